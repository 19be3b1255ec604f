// The errors of this room. A value; any thread.

public struct IdentityError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        /// The credential is unknown, revoked, expired, forged or of a user who is gone. Callers are not told which.
        case invalidToken = "invalid_token"
        case tokenNotFound = "token_not_found"
        case tooManyTokens = "too_many_tokens"
        /// The token has a successor already, and the caller is no admin.
        case tokenRotated = "token_rotated"
        case invalidField = "invalid_field"
        /// The ticket is unknown, forged, for another path, or what it was made by is valid no longer. Callers are not told which.
        case ticketInvalid = "ticket_invalid"
        /// The reading was not begun, or not taken up again, in time.
        case ticketExpired = "ticket_expired"
        /// Another reader has the ticket.
        case ticketInUse = "ticket_in_use"
        case tooManyTickets = "too_many_tickets"
        /// The keys of an identity provider cannot be had, or mean nothing.
        case keysUnavailable = "keys_unavailable"
        /// The user's config.json is damaged: nobody can tell which life of that user the token is for.
        case configCorrupt = "config_corrupt"
        /// The disk refused, and nothing has changed.
        case storage
        /// The disk failed at a moment that leaves open whether the change was made: look at the list of tokens.
        case outcomeUnknown = "outcome_unknown"
    }

    public var code: Code
    public var detail: String
    public var field: String?

    public init(_ code: Code, _ detail: String, field: String? = nil) {
        self.code = code
        self.detail = detail
        self.field = field
    }

    public var description: String { detail }
}
