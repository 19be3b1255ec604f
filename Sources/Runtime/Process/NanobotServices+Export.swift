// All that is kept of a user, as GET /users/{id}/export gives it, without a service. Blocks; one thread at a time.

import API
import Identity
import Tenants

extension NanobotServices {
    /// Gives `take` the archive piece by piece.
    /// - Throws: TenantError, among them `.userNotFound`; JobError, IdentityError; what `take` throws.
    public func export(_ user: UserID, _ take: ([UInt8]) throws -> Void) throws {
        let archive = try UserArchive(user, workspaces: workspaces, jobs: client, tokens: tokens.store, now: now())
        do {
            while let piece = try archive.next() { try take(piece) }
        } catch is UserArchive.Changed {
            throw TenantError(.storage, "A file of \"\(user)\" became shorter while it was read; export the user again.")
        }
    }
}
