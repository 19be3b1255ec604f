// What the operator has decided about a user: the plan, and whether the account is suspended. Kept in account.json of the
// workspace, apart from the user's own settings, and written by the operator's calls only: no tool of the agent may.
// Any thread; any process. Failure: TenantError.
import DurableFiles
import Foundation
import TextFormats

public struct AccountStanding: Sendable, Hashable {
    /// Name of a plan of the settings; nil: the limits of everybody.
    public var plan: String?
    /// Why the account is suspended; nil: it is not.
    public var suspension: String?

    public init(plan: String? = nil, suspension: String? = nil) {
        self.plan = plan
        self.suspension = suspension
    }

    /// Characters of a plan's name, and of a reason.
    public static let maximumPlan = 64
    public static let maximumReason = 500

    public var json: JSON {
        ["plan": plan.map { .string($0) } ?? .null, "suspension": suspension.map { .string($0) } ?? .null]
    }
}

extension AccountStanding {
    /// As answers show it, beside the user's own members.
    public var summary: JSONObject {
        ["plan": JSON(plan), "suspended": .bool(suspension != nil), "reason": JSON(suspension)]
    }
}

extension Workspace {
    public static let account = "account.json"
    private static let maximumAccount = 64 << 10

    /// - Throws: `.configCorrupt` when the file says nothing that can be read: who is suspended stays so until an operator
    ///   has looked.
    public func standing() throws(TenantError) -> AccountStanding {
        guard let text = try readText(Self.account, maxBytes: Self.maximumAccount) else { return AccountStanding() }
        do {
            let json = try JSON.parse(Array(text.utf8))
            guard json.object != nil else { throw FieldError(field: "", detail: "must be an object") }
            return AccountStanding(plan: json["plan"]?.string, suspension: json["suspension"]?.string)
        } catch {
            throw TenantError(
                .configCorrupt, "account.json of \"\(user)\" cannot be read: \(error). Correct or remove it.")
        }
    }

    /// Reads, changes and writes under a lock: no change is lost. Commit point: the rename.
    @discardableResult
    public func changeStanding(_ change: (inout AccountStanding) -> Void) throws(TenantError) -> AccountStanding {
        do {
            return try withLock(.account) {
                var standing = try standing()
                change(&standing)
                directory.sweepTemporaries(of: Self.account)
                try writeText(Self.account, standing.json.text() + "\n")
                return standing
            }
        } catch let error as TenantError {
            throw error
        } catch let error as FileError {
            throw TenantError(error, doing: "change account.json of \"\(user)\"")
        } catch {
            throw TenantError(.storage, "Could not change account.json of \"\(user)\": \(error)")
        }
    }
}
