// What becomes of a job after its handler has returned: the retry policy (DESIGN §3, "Backoff"). Pure; any thread.

import Foundation
import Spool
import TextFormats

/// Which way out of the claim is taken.
enum Ending: Sendable {
    case complete(result: JSON, usage: JSON?)
    case cancel(result: JSON?, usage: JSON?)
    case bury(JobFailure, usage: JSON?)
    case retry(JobFailure, due: Date, usage: JSON?)
    case release(reason: String)
    case hold(until: Date, JobFailure)

    /// Whether the job waits in queued/ afterwards.
    var goesBack: Bool {
        switch self {
        case .retry, .release, .hold: true
        case .complete, .cancel, .bury: false
        }
    }

    /// Why it did not succeed this time.
    var failure: JobFailure? {
        switch self {
        case .bury(let failure, _), .retry(let failure, _, _), .hold(_, let failure): failure
        case .complete, .cancel, .release: nil
        }
    }

    /// For log lines and metrics.
    var label: String {
        switch self {
        case .complete: "completed"
        case .cancel: "cancelled"
        case .bury(let failure, _): failure.code == JobFailure.expiredCode ? "expired" : "failed"
        case .retry: "retried"
        case .release: "released"
        case .hold: "held"
        }
    }

    /// Whether a hold is that of the whole account: not where one model of it alone is left alone.
    var holdsAccount: Bool {
        guard case .hold(_, let failure) = self else { return false }
        return !EndingRules.codesOfOneJob.contains(failure.code)
    }
}

struct EndingRules: Sendable {
    /// Seconds: full jitter between 0 and base · 2^attempt, at most cap
    /// (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015).
    var backoffBase: TimeInterval = 2
    var backoffCap: TimeInterval = 300
    /// A rate limit that asks for at least this many seconds holds the account instead of using an attempt.
    var holdThreshold: TimeInterval = 5
    /// The longest hold and the longest honoured Retry-After, in seconds: a provider's mistake must not stop a tenant.
    var longestHold: TimeInterval = 3_600
    /// Seconds: what a hold lasts at least, so that a job cannot go round and round without a wait.
    var shortestHold: TimeInterval = 1

    static let timeoutCode = "timeout"
    static let storageCode = "storage"
    /// Seconds a job waits whose work met a disk that takes no writes from anybody.
    static let diskWait: TimeInterval = 5
    static let rateLimitedCode = "rate_limited"
    /// No call was made, or only to find out whether the provider is back: nothing the job has tried and failed at. The
    /// provider's side bounds how long it says so (`CircuitBreaker.patience`); then the real error comes, and counts.
    static let providerPausedCode = "provider_paused"
    static let modelPausedCode = "model_paused"
    /// Calls under way may use up what is left of a budget.
    static let budgetBusyCode = "budget_busy"
    /// Holds for these reasons say nothing about other jobs of the account.
    static let codesOfOneJob: Set<String> = [modelPausedCode, storageCode, budgetBusyCode]

    /// - Parameters:
    ///   - attempt: failed tries before this one.
    ///   - stopped: why the job was asked to stop, if it was.
    ///   - random: 0 ..< 1.
    ///   - isDiskFull: the spool's disk takes no writes, whatever the reason.
    func ending(
        of outcome: JobOutcome, attempt: Int, policy: JobPolicy, stopped: CancellationFlag.Reason?, now: Date,
        random: Double, isDiskFull: Bool = false
    ) -> Ending {
        if stopped == .cancelled { return cancelled(outcome) }
        // An outage of the machine, however long, is no failure of the job.
        if isDiskFull, case .failed(let failure, _) = outcome, failure.code == Self.storageCode {
            return .hold(until: now + Self.diskWait * (1 + random), failure)
        }
        switch outcome {
        case .completed(let result, let usage):
            return .complete(result: result, usage: usage)
        case .failed(let failure, let usage):
            return failed(failure, usage, attempt: attempt, policy: policy, now: now, random: random)
        case .held(let until, let reason):
            let failure = JobFailure(code: Self.rateLimitedCode, detail: reason, isRetryable: true)
            return .hold(until: min(until, now + longestHold), failure)
        case .postponed(let failure, let seconds):
            // Up to three times as long, so that jobs that wait for one thing do not all come back in one moment.
            return .hold(until: now + max(seconds, shortestHold) * (1 + 2 * random), failure)
        case .released(let reason):
            guard stopped == .timeout else { return .release(reason: reason) }
            return timedOut(nil, attempt: attempt, policy: policy, now: now, random: random)
        case .cancelled(let usage):
            switch stopped {
            case .timeout: return timedOut(usage, attempt: attempt, policy: policy, now: now, random: random)
            case .drain, .halt: return .release(reason: "drain")
            case .cancelled, nil: return .cancel(result: nil, usage: usage)
            }
        }
    }

    /// The end of a job that may not be begun any more.
    func expired(_ expiry: Date) -> Ending {
        .bury(JobFailure(expiredAt: expiry), usage: nil)
    }

    /// Who cancelled before the final line gets a cancelled job, whatever the handler was about to say.
    private func cancelled(_ outcome: JobOutcome) -> Ending {
        switch outcome {
        case .completed(let result, let usage): .cancel(result: result, usage: usage)
        case .failed(_, let usage), .cancelled(let usage): .cancel(result: nil, usage: usage)
        case .released, .held, .postponed: .cancel(result: nil, usage: nil)
        }
    }

    private func timedOut(_ usage: JSON?, attempt: Int, policy: JobPolicy, now: Date, random: Double) -> Ending {
        let detail = "The job ran longer than its timeout_s of \(Int(policy.timeout)) seconds."
        let failure = JobFailure(code: Self.timeoutCode, detail: detail, isRetryable: true)
        return failed(failure, usage, attempt: attempt, policy: policy, now: now, random: random)
    }

    private func failed(
        _ failure: JobFailure, _ usage: JSON?, attempt: Int, policy: JobPolicy, now: Date, random: Double
    ) -> Ending {
        guard failure.isRetryable else { return .bury(failure, usage: usage) }
        let asked = min(max(failure.retryAfter ?? 0, 0), longestHold)
        let isLimit = failure.code == Self.rateLimitedCode && asked >= holdThreshold
        if isLimit || failure.code == Self.providerPausedCode || failure.code == Self.modelPausedCode {
            return .hold(until: now + max(asked, shortestHold), failure)
        }
        guard attempt + 1 < policy.maxAttempts else { return .bury(failure, usage: usage) }
        // At once rather than too late; what the other side asked for is kept in any case.
        let left = failure.retryUntil.map { max(0, $0.timeIntervalSince(now) - 1) } ?? .infinity
        let delay = max(asked, min(backoff(attempt: attempt, random: random), left))
        return .retry(failure, due: now + delay, usage: usage)
    }

    /// Seconds to wait after the given number of earlier failures.
    func backoff(attempt: Int, random: Double) -> TimeInterval {
        min(backoffCap, backoffBase * pow(2, Double(min(attempt, 30)))) * random
    }
}
