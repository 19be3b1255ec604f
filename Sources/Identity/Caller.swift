// Who is calling, as the rest of the program needs to know it. A value; any thread.
import Tenants

/// What a credential lets its holder do.
public enum AccessScope: String, Sendable, Hashable, CaseIterable {
    /// Everything, for every user.
    case admin
    /// Everything of one user.
    case user
    /// Reading what is one user's.
    case read
}

public struct Caller: Sendable, Hashable {
    public enum Reach: Sendable, Hashable {
        /// Every user.
        case everybody
        /// This user alone; all others look absent.
        case only(UserID)
    }

    public var reach: Reach
    /// Nothing may be changed.
    public var isReadOnly: Bool
    /// Which credential it was, for logs, audit and bounds: "open", "admin", "token <id>", "jwt <subject>". Never a secret.
    public var credential: String
    /// What tokens made by this caller depend on; nil for a caller who reaches every user: such tokens depend on nothing.
    public var maker: TokenMaker?
    /// The credential itself, for what ends with it; nil: the operator's own token, or none.
    public var link: TokenLink?

    public init(
        reach: Reach, isReadOnly: Bool = false, credential: String, maker: TokenMaker? = nil, link: TokenLink? = nil
    ) {
        self.reach = reach
        self.isReadOnly = isReadOnly
        self.credential = credential
        self.maker = maker
        self.link = link ?? maker?.links.first
    }

    /// A program of this machine, where no token has been made.
    public static let open = Caller(reach: .everybody, credential: "open")

    public var isAdmin: Bool { reach == .everybody && !isReadOnly }

    /// The one user that is reached; nil for everybody.
    public var user: UserID? {
        guard case .only(let user) = reach else { return nil }
        return user
    }

    public func reaches(_ id: UserID) -> Bool { user.map { $0 == id } ?? true }
}
