// When a failing account or model is left alone, and whose failure it is meanwhile. A pure value: no clock, no lock.
//
//     closed ──`threshold` failures in a row──▶ open for `pause` ──the next call: the probe──▶ probing
//        ▲──────────────────────── the probe, or anyone, succeeded ──────────────────────────────│
//                                     open again ◀───────────────── the probe failed ────────────│
//
// Once it has opened, failures belong to the outage and not to the jobs that meet it: for `patience` seconds calls are
// told to wait, which uses no attempt of a job. After that they get the real error again, at most once in a pause, so
// that nobody waits for ever for something that does not come back, however many wait.
import Foundation

struct BreakerState: Sendable, Equatable {
    enum Phase: Sendable, Equatable {
        case closed(failures: Int)
        case open(until: Date)
        /// The probe is under way. Should it never report, another may go at `until`.
        case probing(until: Date)
    }

    enum Outcome: Sendable {
        case succeeded
        case failed(ProviderError)
        /// Says nothing about what is guarded here: cancelled, limited, or something else's failure.
        case unknown
    }

    /// Seconds to come back in while a probe is under way: its end decides for all who wait.
    static let probeWait: TimeInterval = 1

    let threshold: Int
    /// Seconds.
    let pause: TimeInterval
    /// Seconds.
    let patience: TimeInterval
    private(set) var phase = Phase.closed(failures: 0)
    /// The last failure of the row.
    private(set) var lastError: ProviderError?
    private var openedAt: Date?

    init(threshold: Int, pause: TimeInterval, patience: TimeInterval) {
        self.threshold = threshold
        self.pause = pause
        self.patience = patience
    }

    /// Nothing is held against it: as good as new.
    var isClear: Bool { phase == .closed(failures: 0) }

    var isClosed: Bool {
        if case .closed = phase { return true }
        return false
    }

    /// Seconds until a call may go; nil: now.
    func wait(now: Date) -> TimeInterval? {
        let date: Date
        let most: TimeInterval
        switch phase {
        case .closed: return nil
        case .open(let until): (date, most) = (until, pause)
        case .probing(let until): (date, most) = (until, Self.probeWait)
        }
        let left = date.timeIntervalSince(now)
        // A clock set back must not keep it shut for longer than one pause.
        return left > 0 ? min(left, most) : nil
    }

    /// A call goes, `wait` having been nil.
    /// - Returns: whether it is the probe.
    mutating func begin(now: Date) -> Bool {
        if case .closed = phase { return false }
        phase = .probing(until: now.addingTimeInterval(pause))
        return true
    }

    mutating func report(_ outcome: Outcome, isProbe: Bool, now: Date) {
        switch (outcome, phase) {
        case (.succeeded, _):
            self = BreakerState(threshold: threshold, pause: pause, patience: patience)
        case (.failed(let error), .closed(let failures)):
            lastError = error
            phase = .closed(failures: failures + 1)
            if failures + 1 >= threshold { open(now: now) }
        case (.failed(let error), .probing) where isProbe:
            lastError = error
            open(now: now)
        // The probe found out nothing: the next call is the probe.
        case (.unknown, .probing) where isProbe: phase = .open(until: now)
        // Calls that began before it opened: nothing new.
        case (.failed, .open), (.failed, .probing), (.unknown, _): break
        }
    }

    /// The probe has begun to get its answer: nobody needs to wait for the end of it. One failure opens again.
    mutating func answering() {
        if case .probing = phase { phase = .closed(failures: threshold - 1) }
    }

    private mutating func open(now: Date) {
        phase = .open(until: now.addingTimeInterval(pause))
        openedAt = openedAt ?? now
    }

    /// What a caller is told that must wait: `error` in words, and by whose account it goes.
    ///
    /// - Parameters:
    ///   - wait: seconds.
    ///   - code: what it is called while there is patience.
    ///   - name: of what is guarded.
    func told(
        _ error: ProviderError, wait: TimeInterval, as code: ProviderError.Code, name: String, now: Date
    ) -> ProviderError {
        var told = error
        let seconds = Int(wait.rounded(.up))
        told.detail = "\(error.detail); \(name) has failed repeatedly and is asked again in \(seconds) s"
        told.retryAfter = max(error.retryAfter ?? 0, wait)
        if hasPatience(now: now) {
            told.code = code
            told.isRetryable = true
        }
        return told
    }

    /// A clock set back ends the patience: rather an attempt too many than waiting for the clock.
    private func hasPatience(now: Date) -> Bool {
        guard let openedAt else { return false }
        return (0..<patience).contains(now.timeIntervalSince(openedAt))
    }
}
