import Foundation
import Spool
import Testing
import TextFormats

@testable import Workers

@Suite struct EndingRulesTests {
    static let now = Date(timeIntervalSince1970: 1_764_000_000)
    static let done = JobOutcome.completed(result: ["n": 1], usage: ["total_tokens": 3])

    static func failed(_ code: String, retryable: Bool = true, after: Double? = nil) -> JobOutcome {
        .failed(JobFailure(code: code, detail: "", isRetryable: retryable, retryAfter: after), usage: nil)
    }

    struct Row: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var outcome: JobOutcome
        var attempt = 0
        var stopped: CancellationFlag.Reason?
        /// The ending's label, and the failure's code and seconds until it is due, where there are any.
        var label: String
        var code: String?
        var due: TimeInterval?
    }

    /// With random 0.5, a base of 2 s and a cap of 300 s.
    static let rows: [Row] = [
        Row(testDescription: "done", outcome: done, label: "completed"),
        Row(testDescription: "done in spite of drain", outcome: done, stopped: .drain, label: "completed"),
        Row(testDescription: "done just after its time", outcome: done, stopped: .timeout, label: "completed"),
        Row(testDescription: "cancel wins over done", outcome: done, stopped: .cancelled, label: "cancelled"),
        Row(
            testDescription: "cancel wins over failure", outcome: failed("connection"), stopped: .cancelled,
            label: "cancelled"),
        Row(
            testDescription: "cancel wins over release", outcome: .released(reason: "drain"), stopped: .cancelled,
            label: "cancelled"),
        Row(
            testDescription: "cancel wins over hold", outcome: .held(until: now + 9, reason: "429"),
            stopped: .cancelled, label: "cancelled"),
        Row(
            testDescription: "a lasting error fails at once", outcome: failed("quota", retryable: false),
            label: "failed", code: "quota"),
        Row(
            testDescription: "first retry", outcome: failed("connection"), label: "retried", code: "connection",
            due: 1),
        Row(
            testDescription: "second retry", outcome: failed("connection"), attempt: 1, label: "retried",
            code: "connection", due: 2),
        Row(
            testDescription: "third retry", outcome: failed("connection"), attempt: 2, label: "retried",
            code: "connection", due: 4),
        Row(
            testDescription: "out of attempts", outcome: failed("connection"), attempt: 3, label: "failed",
            code: "connection"),
        Row(
            testDescription: "attempts set lower by hand", outcome: failed("connection"), attempt: 900_000,
            label: "failed", code: "connection"),
        Row(
            testDescription: "a longer Retry-After is honoured", outcome: failed("overloaded", after: 30),
            label: "retried", code: "overloaded", due: 30),
        Row(
            testDescription: "a shorter Retry-After does not shorten", outcome: failed("overloaded", after: 0.1),
            attempt: 2, label: "retried", code: "overloaded", due: 4),
        Row(
            testDescription: "Retry-After is capped", outcome: failed("overloaded", after: 1e9), label: "retried",
            code: "overloaded", due: 3_600),
        Row(
            testDescription: "a negative Retry-After counts as none", outcome: failed("overloaded", after: -5),
            label: "retried", code: "overloaded", due: 1),
        Row(
            testDescription: "a step with little time left is tried again within it",
            outcome: .failed(
                JobFailure(code: "overloaded", detail: "", isRetryable: true, retryUntil: now + 3), usage: nil),
            attempt: 3 - 1, label: "retried", code: "overloaded", due: 2),
        Row(
            testDescription: "a rate limit holds the account", outcome: failed("rate_limited", after: 20),
            label: "held", code: "rate_limited", due: 20),
        Row(
            testDescription: "a rate limit on the last attempt uses none", outcome: failed("rate_limited", after: 20),
            attempt: 3, label: "held", code: "rate_limited", due: 20),
        Row(
            testDescription: "a hold is capped", outcome: failed("rate_limited", after: 1e9), label: "held",
            code: "rate_limited", due: 3_600),
        Row(
            testDescription: "a rate limit of a moment is a retry", outcome: failed("rate_limited", after: 2),
            label: "retried", code: "rate_limited", due: 2),
        Row(
            testDescription: "a paused provider uses no attempt", outcome: failed("provider_paused", after: 57),
            attempt: 3, label: "held", code: "provider_paused", due: 57),
        Row(
            testDescription: "a paused model uses none either", outcome: failed("model_paused", after: 57),
            attempt: 3, label: "held", code: "model_paused", due: 57),
        Row(
            testDescription: "a probe's end is waited for shortly", outcome: failed("provider_paused", after: 1),
            attempt: 3, label: "held", code: "provider_paused", due: 1),
        Row(
            testDescription: "a pause is never without a wait", outcome: failed("provider_paused", after: 0),
            label: "held", code: "provider_paused", due: 1),
        Row(
            testDescription: "a pause is capped", outcome: failed("model_paused", after: 1e9), label: "held",
            code: "model_paused", due: 3_600),
        Row(
            testDescription: "a handler's hold", outcome: .held(until: now + 60, reason: "429"), label: "held",
            code: "rate_limited", due: 60),
        Row(
            testDescription: "a handler's hold is capped", outcome: .held(until: .distantFuture, reason: "429"),
            label: "held", code: "rate_limited", due: 3_600),
        Row(
            testDescription: "waits alone for what passes, with no attempt left",
            outcome: .postponed(JobFailure(code: "budget_busy", detail: "", isRetryable: true), seconds: 4), attempt: 3,
            label: "held", code: "budget_busy", due: 8),
        Row(
            testDescription: "waits a second at least",
            outcome: .postponed(JobFailure(code: "budget_busy", detail: "", isRetryable: true), seconds: 0),
            label: "held", code: "budget_busy", due: 2),
        Row(
            testDescription: "drained", outcome: .released(reason: "drain"), attempt: 3, stopped: .drain,
            label: "released"),
        Row(
            testDescription: "stopped by drain", outcome: .cancelled(usage: nil), attempt: 3, stopped: .drain,
            label: "released"),
        Row(
            testDescription: "stopped by its time", outcome: .cancelled(usage: nil), stopped: .timeout,
            label: "retried", code: "timeout", due: 1),
        Row(
            testDescription: "released at its time", outcome: .released(reason: "stopped"), attempt: 3,
            stopped: .timeout, label: "failed", code: "timeout"),
        Row(testDescription: "the handler cancels", outcome: .cancelled(usage: nil), label: "cancelled"),
    ]

    @Test("each outcome has its ending", arguments: rows)
    func endings(row: Row) {
        let ending = EndingRules().ending(
            of: row.outcome, attempt: row.attempt, policy: JobPolicy(timeout: 300, maxAttempts: 4),
            stopped: row.stopped, now: Self.now, random: 0.5)
        #expect(ending.label == row.label)
        switch ending {
        case .bury(let failure, _):
            #expect(failure.code == row.code)
            #expect(row.due == nil)
        case .retry(let failure, let due, _), .hold(let due, let failure):
            #expect(failure.code == row.code)
            #expect(due.timeIntervalSince(Self.now) == row.due)
        case .complete, .cancel, .release:
            #expect(row.code == nil && row.due == nil)
        }
    }

    @Test(
        "a hold is the whole account's, unless one model alone is paused",
        arguments: [("rate_limited", true), ("provider_paused", true), ("model_paused", false), ("connection", false)])
    func account(code: String, isHeld: Bool) {
        let ending = EndingRules().ending(
            of: Self.failed(code, after: 20), attempt: 0, policy: JobPolicy(), stopped: nil, now: Self.now, random: 0)
        #expect(ending.holdsAccount == isHeld)
    }

    @Test("a job that waits for a budget holds no other of its account")
    func postponed() {
        let outcome = JobOutcome.postponed(JobFailure(code: "budget_busy", detail: "", isRetryable: true), seconds: 1)
        let ending = EndingRules().ending(
            of: outcome, attempt: 0, policy: JobPolicy(), stopped: nil, now: Self.now, random: 0)
        #expect(!ending.holdsAccount && ending.goesBack)
    }

    @Test("what was paid for is kept when a finished job is cancelled")
    func usageOfCancelled() {
        let ending = EndingRules().ending(
            of: Self.done, attempt: 0, policy: JobPolicy(), stopped: .cancelled, now: Self.now, random: 0)
        guard case .cancel(let result, let usage) = ending else {
            Issue.record("\(ending)")
            return
        }
        #expect(result?["n"] == 1)
        #expect(usage?["total_tokens"] == 3)
    }

    @Test("an expired job is buried as expired, with the time in words")
    func expired() {
        guard case .bury(let failure, _) = EndingRules().expired(Self.now) else {
            Issue.record("not buried")
            return
        }
        #expect(failure.code == "expired")
        #expect(failure.detail.contains("2025-11-24T16:00:00.000Z"))
    }

    @Test("backoff is full jitter: never above base times 2^attempt or the cap, and down to nothing", arguments: 0..<40)
    func backoff(attempt: Int) {
        let rules = EndingRules()
        let highest = rules.backoff(attempt: attempt, random: 1)
        #expect(highest == min(300, 2 * pow(2, Double(attempt))))
        #expect(rules.backoff(attempt: attempt, random: 0) == 0)
    }

    @Test("the first reason to stop stays, unless a stronger one comes: drain, then timeout, then cancel")
    func strength() {
        typealias Reason = CancellationFlag.Reason
        let table: [(first: Reason, second: Reason, stays: Reason, calls: Int)] = [
            (.drain, .timeout, .timeout, 2), (.drain, .cancelled, .cancelled, 2), (.timeout, .drain, .timeout, 1),
            (.cancelled, .timeout, .cancelled, 1), (.timeout, .cancelled, .cancelled, 2), (.drain, .drain, .drain, 1),
        ]
        for row in table {
            let heard = Happenings<Reason>()
            let flag = CancellationFlag()
            #expect(!flag.isSet)
            flag.onSet { heard.note($0) }
            flag.set(row.first)
            flag.set(row.second)
            #expect(flag.reason == row.stays)
            #expect(heard.all.count == row.calls && heard.all.last == row.stays)
            flag.onSet { heard.note($0) }
            #expect(heard.all.count == row.calls + 1)
        }
    }
}
