// Stops calling an account that keeps failing, so that its callers fail at once (or go to a fallback) instead of each
// waiting for a timeout. After a pause one call, the probe, finds out whether it is back. `BreakerState` decides,
// `CircuitBreaker` holds it for all threads.
import Foundation
import HTTPTransport
import Synchronization

/// The decisions, without clock or lock.
struct BreakerState: Sendable, Equatable {
    enum Phase: Sendable, Equatable {
        case closed(failures: Int)
        case open(until: Date)
        /// The probe is under way. Should it never report, another may go at `until`.
        case probing(until: Date)
    }

    enum Outcome: Sendable {
        case succeeded
        /// The account is failing.
        case failed
        /// Says nothing about the account: cancelled, or refused for a reason in the request.
        case unknown
    }

    let threshold: Int
    let pause: TimeInterval
    private(set) var phase = Phase.closed(failures: 0)

    init(threshold: Int, pause: TimeInterval) {
        self.threshold = threshold
        self.pause = pause
    }

    /// Whether a call may go now: nil if so, else the seconds until one may.
    mutating func admit(now: Date) -> TimeInterval? {
        switch phase {
        case .closed: return nil
        case .open(let until), .probing(let until):
            // A clock set back must not keep it shut for longer than one pause.
            let left = min(until.timeIntervalSince(now), pause)
            if left > 0 { return left }
            phase = .probing(until: now.addingTimeInterval(pause))
            return nil
        }
    }

    mutating func report(_ outcome: Outcome, now: Date) {
        switch (outcome, phase) {
        case (.succeeded, _): phase = .closed(failures: 0)
        case (.failed, .closed(let failures)):
            let count = failures + 1
            phase = count >= threshold ? .open(until: now.addingTimeInterval(pause)) : .closed(failures: count)
        case (.failed, .probing): phase = .open(until: now.addingTimeInterval(pause))
        // Calls that began before it opened: nothing new.
        case (.failed, .open), (.unknown, .closed), (.unknown, .open): break
        // The probe found out nothing: the next call is the probe.
        case (.unknown, .probing): phase = .open(until: now)
        }
    }
}

/// One account's breaker. Any thread.
public final class CircuitBreaker: Sendable {
    /// Failures in a row that open it.
    public static let threshold = 3
    /// Seconds it stays open.
    public static let pause: TimeInterval = 60

    private let state: Mutex<BreakerState>
    private let now: @Sendable () -> Date

    public init(
        threshold: Int = CircuitBreaker.threshold, pause: TimeInterval = CircuitBreaker.pause,
        now: @escaping @Sendable () -> Date
    ) {
        state = Mutex(BreakerState(threshold: threshold, pause: pause))
        self.now = now
    }

    /// Runs `call` unless the breaker is open, and learns from its result.
    func run<Value>(
        account: String, _ call: () throws(ProviderError) -> Value
    ) throws(ProviderError) -> Value {
        if let left = state.withLock({ $0.admit(now: now()) }) {
            throw ProviderError(
                code: .unavailable,
                detail: "\(account) failed repeatedly and is left alone for \(Int(left.rounded(.up))) s",
                retryAfter: left)
        }
        do throws(ProviderError) {
            let value = try call()
            state.withLock { $0.report(.succeeded, now: now()) }
            return value
        } catch {
            state.withLock { $0.report(Self.outcome(error), now: now()) }
            throw error
        }
    }

    private static func outcome(_ error: ProviderError) -> BreakerState.Outcome {
        switch error.code {
        case .timeout, .connection, .overloaded, .unavailable, .badResponse: .failed
        // The account answered: it works, even if it does not like this request.
        case .badRequest, .contextLength: .succeeded
        // A limit has its own waiting time; a quota or a key needs a person, who should see that error, not this one.
        case .rateLimited, .quota, .authentication, .cancelled: .unknown
        }
    }
}
