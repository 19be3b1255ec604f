// Which messages a chat goes on from when its client brought a conversation along, on its way through the job's metadata. The
// messages themselves are in the session's file. Its names are reserved: no sender can set them. Pure; any thread.

public struct ClientHistoryReference: Sendable, Hashable {
    /// SHA-256 of the messages the client brought.
    public var digest: String?
    /// The job whose answer is the last of these messages, where the session has them itself: nothing is stored then.
    public var follows: String?

    /// SHA-256 of what a request with a previous answer brought: the answer's id and the messages. It tells repeats of the request
    /// from other requests under the same idempotency key.
    public var request: String?

    public init(digest: String? = nil, follows: String? = nil, request: String? = nil) {
        self.digest = digest
        self.follows = follows
        self.request = request
    }

    /// Begins the names in a job's metadata that only the service sets.
    static let reserved = "nanobot."
    private static let digestKey = reserved + "history"
    private static let followsKey = reserved + "history_follows"
    private static let requestKey = reserved + "history_request"
    /// Names that there may be.
    static let count = 3

    /// - Parameter metadata: of a job.
    public init(_ metadata: [String: String]) {
        self.init(digest: metadata[Self.digestKey], follows: metadata[Self.followsKey], request: metadata[Self.requestKey])
    }

    var metadata: [String: String] {
        var members: [String: String] = [:]
        members[Self.digestKey] = digest
        members[Self.followsKey] = follows
        members[Self.requestKey] = request
        return members
    }

    /// The digest of the history that the session has to be based on first; nil: the session has the messages.
    public var stored: String? { follows == nil ? digest : nil }
}
