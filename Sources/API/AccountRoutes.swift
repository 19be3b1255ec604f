// /users/{id}/limits, /plan, /suspend, /resume: what a user may use, and what the operator decides about it.

import HTTPTypes
import Hummingbird
import Tenants
import TextFormats
import WireTypes

struct AccountRoutes: RouteGroup {
    let options: APIOptions
    let services: APIServices
    let bridge: BlockingBridge

    var routes: [Route] {
        [
            Route(.get, "/users/{user_id}/limits", for: .owner) { _, context in try await limits(context) },
            Route(.put, "/users/{user_id}/plan", for: .admin) { request, context in try await setPlan(request, context) },
            Route(.post, "/users/{user_id}/suspend", for: .admin) { request, context in try await suspend(request, context) },
            Route(.post, "/users/{user_id}/resume", for: .admin) { request, context in
                try await request.noBody()
                return try await decide(context) { budgets, user in try budgets.resume(user) }
            },
        ]
    }

    private func limits(_ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        return .json(
            try await bridge.run(for: .user(user)) { [services] in
                try services.workspaces.require(user)
                return try services.budgets.summary(of: user)
            })
    }

    private func setPlan(_ request: Request, _ context: APIContext) async throws -> Response {
        var reader = try ObjectReader(try await request.json(maxBytes: options.maxBodyBytes))
        let plan = try reader.string("plan", min: 1, max: AccountStanding.maximumPlan)
        try reader.finish()
        return try await decide(context) { budgets, user in
            if let plan, !budgets.planNames.contains(plan) {
                throw ProblemDetails(
                    status: 404, code: "plan_not_found", detail: "no plan \"\(plan.prefix(64))\" in the settings", field: "plan")
            }
            return try budgets.setPlan(plan, of: user)
        }
    }

    private func suspend(_ request: Request, _ context: APIContext) async throws -> Response {
        var reader = try ObjectReader(try await request.json(maxBytes: options.maxBodyBytes))
        let reason = try reader.require(
            try reader.string("reason", min: 1, max: AccountStanding.maximumReason), "reason")
        try reader.finish()
        return try await decide(context) { budgets, user in try budgets.suspend(user, reason: reason) }
    }

    private func decide(
        _ context: APIContext, _ change: @escaping @Sendable (BudgetDesk, UserID) throws -> AccountStanding
    ) async throws -> Response {
        let user = try context.pathUser()
        return .json(
            try await bridge.run(for: .user(user)) { [services] in
                try services.workspaces.require(user)
                _ = try change(services.budgets, user)
                return try services.budgets.summary(of: user)
            })
    }
}
