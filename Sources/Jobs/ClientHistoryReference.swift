// Which messages a chat goes on from when its client brought a conversation along, on its way through the job's metadata. The
// messages themselves are in the session's file. Pure; any thread.

public struct ClientHistoryReference: Sendable, Hashable {
    /// SHA-256 of the messages the client brought.
    public var digest: String?
    /// The job whose answer is the last of these messages, where the session has them itself: nothing is stored then.
    public var follows: String?

    public init(digest: String? = nil, follows: String? = nil) {
        self.digest = digest
        self.follows = follows
    }

    private static let digestKey = "client_history"
    private static let followsKey = "client_history_follows"

    /// - Parameter metadata: of a job.
    public init(_ metadata: [String: String]) {
        self.init(digest: metadata[Self.digestKey], follows: metadata[Self.followsKey])
    }

    public var metadata: [String: String] {
        var members: [String: String] = [:]
        members[Self.digestKey] = digest
        members[Self.followsKey] = follows
        return members
    }

    /// The digest of the history that the session has to be based on first; nil: the session has the messages.
    public var stored: String? { follows == nil ? digest : nil }
}
