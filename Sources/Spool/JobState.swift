// Words of the queue. Values; any thread.

import Foundation
import TextFormats

public enum JobState: String, Sendable, CaseIterable {
    case queued, running, completed, failed, cancelled

    public var isFinal: Bool { self != .queued && self != .running }
}

/// Scheduling class. Chat is `interactive`, reports are `scheduled`, heartbeats and consolidation are `background`.
public enum Lane: String, Sendable, CaseIterable, Comparable {
    case interactive, scheduled, background

    /// The letter in a job file's name.
    var letter: Character {
        switch self {
        case .interactive: return "i"
        case .scheduled: return "s"
        case .background: return "b"
        }
    }

    init?(letter: UInt8) {
        switch letter {
        case UInt8(ascii: "i"): self = .interactive
        case UInt8(ascii: "s"): self = .scheduled
        case UInt8(ascii: "b"): self = .background
        default: return nil
        }
    }

    /// 0 is served first.
    public var rank: Int {
        switch self {
        case .interactive: return 0
        case .scheduled: return 1
        case .background: return 2
        }
    }

    public static func < (left: Lane, right: Lane) -> Bool { left.rank < right.rank }
}

/// Why a job did not succeed this time.
public struct JobFailure: Sendable, Hashable {
    /// Stable, in snake case.
    public var code: String
    /// For a person, with the remedy where there is one.
    public var detail: String
    public var isRetryable: Bool
    /// Seconds the other side asked us to wait.
    public var retryAfter: Double?
    /// The next try must begin before this time. It is not stored. The handler that sets it decides `isRetryable`.
    public var retryUntil: Date?

    public init(code: String, detail: String, isRetryable: Bool, retryAfter: Double? = nil, retryUntil: Date? = nil) {
        self.code = code
        self.detail = detail
        self.isRetryable = isRetryable
        self.retryAfter = retryAfter
        self.retryUntil = retryUntil
    }

    public static let expiredCode = "expired"

    /// The end of a job that may not be begun any more.
    public init(expiredAt expiry: Date) {
        self.init(
            code: JobFailure.expiredCode, detail: "The job was not begun before its expires_at, \(RFC3339.string(expiry)).",
            isRetryable: false)
    }
}
