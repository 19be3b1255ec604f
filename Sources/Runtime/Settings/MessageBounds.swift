// The settings `limits.message_kb`, `.system_kb`, `.history_kb`, `.request_mb` and `.client_sessions`: sizes of what is said in one
// request, and the sessions that clients leave behind. Read strictly. Failure: FieldError.
import Jobs
import TextFormats

public struct MessageBounds: Sendable, Hashable {
    /// Bytes of a message in UTF-8, wherever it comes from. A job file has room for no more than 256 KiB.
    public var message = 64 << 10
    /// Bytes of the application's texts in a request of /v1; they travel in the job's metadata, which has room for 90 KiB.
    public var instructions = 64 << 10
    /// Bytes of the messages in front of the question in a request of /v1.
    public var history = 4 << 20
    /// Bytes of a whole request of /v1.
    public var request = 4 << 20
    /// Sessions of one user that clients of /v1 did not name.
    public var clientSessions = 200

    init() {}

    /// - Parameter limits: the reader of `limits`; its other members are left to their own parts.
    init(_ limits: inout ObjectReader) throws(FieldError) {
        message = (try limits.int("message_kb", in: 1...256)).map { $0 << 10 } ?? message
        instructions = (try limits.int("system_kb", in: 1...90)).map { $0 << 10 } ?? instructions
        request = (try limits.int("request_mb", in: 1...16)).map { $0 << 20 } ?? request
        history = (try limits.int("history_kb", in: 1...16_384)).map { $0 << 10 } ?? request
        guard history <= request else {
            throw limits.error("history_kb", "must not be more than request_mb (\(request >> 20) MiB)")
        }
        clientSessions = try limits.int("client_sessions", in: 10...10_000) ?? clientSessions
    }
}
