// /users/{id}/skills: what the user's assistant can do by instruction, and what is wrong with the files that say so.

import Hummingbird
import Tenants
import TextFormats
import WireTypes

struct SkillRoutes: RouteGroup {
    let services: APIServices
    let bridge: BlockingBridge

    var routes: [Route] {
        [Route(.get, "/users/{user_id}/skills", for: .owner) { _, context in try await list(context) }]
    }

    private func list(_ context: APIContext) async throws -> Response {
        let user = try context.pathUser()
        let found = try await bridge.run(for: .user(user)) { [services] in
            try services.workspaces.require(user)
            return try services.skills.skills(of: user)
        }
        return .json(.array(found.map(\.json)))
    }
}
