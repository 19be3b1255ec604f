// What can go wrong in the spool, for its callers.

import DurableFiles

public struct SpoolError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// The id is taken by a job of other content.
        case conflict
        /// The disk refused; nothing was admitted or changed.
        case storage
        /// The disk failed at a moment after which nobody can say whether the job exists; ask again by its id.
        case outcomeUnknown = "outcome_unknown"
        case notFound = "not_found"
        /// The job is not in a state that allows this.
        case state
        /// A record could not be read; it was left where it is.
        case corrupt
        /// The folder cannot be a spool, for example because locks do not work there.
        case unusable
        /// Another process took the job over; this one must stop working on it.
        case takenOver = "taken_over"
        /// The job has written more into its record than a job may.
        case recordFull = "record_full"
        case invalid
    }

    public var code: Code
    public var detail: String
    public var id: JobID?
    public var file: FileError?

    public init(_ code: Code, _ detail: String, id: JobID? = nil, file: FileError? = nil) {
        self.code = code
        self.detail = detail
        self.id = id
        self.file = file
    }

    init(_ file: FileError, id: JobID? = nil) {
        self.init(.storage, file.description, id: id, file: file)
    }

    /// Whether the disk refused for a reason that can pass by itself, such as being full.
    public var isPassing: Bool { file?.isPassing ?? false }

    /// Something else holds a lock and does not let go; nothing was changed.
    public var isLockTimeout: Bool { file?.code == .busy }

    public var description: String { "\(code.rawValue): \(detail)" }
}

/// Runs file calls and translates their error.
func stored<Value>(_ id: JobID? = nil, _ body: () throws(FileError) -> Value) throws(SpoolError) -> Value {
    do throws(FileError) {
        return try body()
    } catch {
        throw SpoolError(error, id: id)
    }
}
