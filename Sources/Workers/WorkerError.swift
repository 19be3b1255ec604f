// What can keep a worker pool from starting. What goes wrong with a single job is logged and left to recovery.

public struct WorkerError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// The number of workers is out of range.
        case invalidCount = "invalid_count"
        /// The limit on open files does not fit the number of workers.
        case tooFewDescriptors = "too_few_descriptors"
        case noThread = "no_thread"
        /// `start` was called twice.
        case alreadyStarted = "already_started"
    }

    public var code: Code
    /// With the remedy.
    public var detail: String

    init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    public var description: String { "\(code.rawValue): \(detail)" }
}
