// How long an account is left alone after a 429 that does not say. A pure value.
//
// Without this the calls of all jobs run on against the limit and use up one attempt after the other; with it the queue
// holds the account. By the time it is asked, the call has been tried several times over some seconds: what passes that
// quickly has passed.
import Foundation

struct AssumedPause: Sendable, Equatable {
    /// Seconds, doubled by every refusal that follows the end of a pause.
    static let first: TimeInterval = 15
    static let longest: TimeInterval = 60
    /// Seconds: a Retry-After below this was granted before each try, and did not help.
    static let shortestBelieved: TimeInterval = 5

    private var length: TimeInterval = 0
    private var until: Date?

    /// Seconds to wait after one more refusal that names no time.
    mutating func refused(now: Date) -> TimeInterval {
        // Calls that were under way together are one refusal and not a row of them. (A clock set back makes a pause no
        // longer than it is.)
        if let until, now < until, until.timeIntervalSince(now) <= length { return length }
        length = min(max(length * 2, Self.first), Self.longest)
        until = now.addingTimeInterval(length)
        return length
    }

    /// The account answered: the row has ended.
    mutating func answered() { self = AssumedPause() }
}
