// Which life of a user a token must be for, as the user's settings say. Any thread; blocks for the disk.

import Foundation
import Tenants

extension TokenDesk {
    /// Tokens of the users whose settings `configs` reads.
    public convenience init(
        store: TokenStore, configs: UserConfigManager, now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.init(
            store: store, incarnation: { (user) throws(IdentityError) in try Self.incarnation(of: user, configs) },
            now: now)
    }

    private static func incarnation(of user: UserID, _ configs: UserConfigManager) throws(IdentityError) -> String? {
        do throws(TenantError) {
            return try configs.get(user).incarnation
        } catch {
            switch error.code {
            case .userNotFound: return nil
            case .configCorrupt: throw IdentityError(.configCorrupt, error.detail)
            default: throw IdentityError(.storage, error.detail)
            }
        }
    }
}
