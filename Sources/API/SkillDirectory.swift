// Where the API gets a user's skills from. Implemented in Runtime over the agent's reading of the workspace.

import Tenants
import WireTypes

/// Called on BlockingBridge's threads, several at once; may block on files. Throws TenantError; reading creates nothing.
public protocol SkillDirectory: Sendable {
    /// By name: those of the workspace, usable or not, and the built-in ones that none of them replaces.
    func skills(of user: UserID) throws -> [SkillAnswer]
}
