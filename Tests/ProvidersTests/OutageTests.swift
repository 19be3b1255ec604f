import Foundation
import Logging
import ModelTestSupport
import TestSupport
import Testing

@testable import Providers

private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
private let request = ChatRequest(model: "m", messages: [.user("hi")])
private let down = ProviderError(code: .connection, detail: "acme: Failed to connect to 127.0.0.1 port 9")

private func account(_ base: ScriptedProvider, _ clock: ManualClock) -> AccountProvider {
    AccountProvider(
        base, maxConcurrent: 4, prices: [:], retries: RetryPolicy(maxAttempts: 1), logger: logger, now: clock.read)
}

/// What becomes of a job that the queue treats as `EndingRules` says: a pause or a rate limit of 5 s or more uses no
/// attempt; other errors that can pass use one.
@Suite("A job and its provider's outage")
struct OutageTests {
    private struct Job {
        var attempts = 0
        var seconds = 0.0
        var error: ProviderError?
    }

    private let clock = ManualClock()
    private static let maxAttempts = 4

    private func answering(_ answer: @escaping @Sendable () -> Result<ChatResponse, ProviderError>) -> AccountProvider {
        let steps = [ScriptedProvider.Step](repeating: .decide { _ in answer() }, count: 1_000)
        return account(ScriptedProvider(name: "acme", steps), clock)
    }

    private func ended(_ job: Job, after limit: Double = 86_400, on account: AccountProvider) -> Job {
        var job = job
        while job.seconds < limit {
            do throws(ProviderError) {
                _ = try account.complete(request)
                job.error = nil
                return job
            } catch {
                job.error = error
                let wait = error.retryAfter ?? 0
                let isHold =
                    [.providerPaused, .modelPaused].contains(error.code) || error.code == .rateLimited && wait >= 5
                if !isHold {
                    job.attempts += 1
                    if job.attempts == Self.maxAttempts || !error.isRetryable { return job }
                }
                // No jitter: the shortest backoff there is, hence the hardest on the job.
                clock.advance(by: max(wait, 0.001))
                job.seconds += max(wait, 0.001)
            }
        }
        return job
    }

    private static func answer() -> ChatResponse {
        ChatResponse(message: .assistant("back"), finishReason: .stop, usage: .zero, model: "m")
    }

    static let outages = [
        down, ProviderError(code: .unavailable, detail: "oops", status: 500),
        ProviderError(code: .rateLimited, detail: "slow down", status: 429),
    ]

    @Test("of two minutes is outlived", arguments: outages)
    func short(error: ProviderError) {
        let back = clock.now + 120
        let account = answering { [clock] in clock.now < back ? .failure(error) : .success(Self.answer()) }
        let job = ended(Job(), on: account)
        #expect(job.error == nil)
        #expect(job.attempts < Self.maxAttempts)
        #expect(job.seconds <= 181)
    }

    @Test("for good ends the job with the real error when its attempts are used up", arguments: outages[..<2])
    func lasting(error: ProviderError) {
        let account = answering { .failure(error) }
        let job = ended(Job(), on: account)
        #expect(job.attempts == Self.maxAttempts)
        #expect(job.error?.code == error.code)
        #expect(job.error?.detail.hasPrefix(error.detail) == true)
        #expect(job.seconds >= 180)
        #expect(job.seconds <= 300)
    }

    @Test("for good ends every job of a long queue in the same few minutes")
    func queue() {
        let account = answering { .failure(down) }
        let first = ended(Job(), on: account)
        for _ in 0..<50 {
            let next = ended(Job(), on: account)
            #expect(next.error?.code == .connection)
            #expect(next.error?.detail.contains("Failed to connect") == true)
            #expect(next.seconds <= Double(Self.maxAttempts) * CircuitBreaker.pause)
        }
        #expect(first.error?.code == .connection)
    }

    @Test("by a rate limit that names no time holds the job for growing times and uses no attempt")
    func limited() {
        let account = answering { .failure(Self.outages[2]) }
        let job = ended(Job(), after: 3_600, on: account)
        #expect(job.attempts == 0)
        #expect(job.error?.code == .rateLimited)
        #expect(job.error?.retryAfter == AssumedPause.longest)
    }
}

@Suite("An account that comes back")
struct ComebackTests {
    @Test("takes further calls as soon as the probe's first words have come")
    func firstWords() throws {
        let clock = ManualClock()
        let provider = ScriptedProvider([.fail(down), .fail(down), .fail(down), .text("well again"), .text("me too")])
        let account = account(provider, clock)
        for _ in 0..<3 { _ = providerFailure { () throws(ProviderError) in try account.complete(request) } }
        clock.advance(by: CircuitBreaker.pause)
        var probe = request
        probe.stream = true
        var others: [String?] = []
        _ = try account.complete(probe, cancellation: nil) { _ in
            guard others.isEmpty else { return }
            others.append((try? account.complete(request))?.message.content)
        }
        #expect(others == ["me too"])
    }
}

@Suite("The pause after a rate limit that names no time")
struct AssumedPauseTests {
    private let start = Date(timeIntervalSince1970: 1_800_000_000)

    @Test("doubles for refusals in a row, not for those of the same moment, and begins anew after an answer")
    func doubles() {
        var pause = AssumedPause()
        let given = [0.0, 14, 15, 45, 105].map { pause.refused(now: start + $0) }
        #expect(given == [15, 15, 30, 60, 60])
        pause.answered()
        let anew = pause.refused(now: start + 106)
        #expect(anew == 15)
    }

    @Test("is not prolonged by a clock set back")
    func clock() {
        var pause = AssumedPause()
        let given = [0.0, -9_999, -9_998].map { pause.refused(now: start + $0) }
        #expect(given == [15, 30, 30])
    }

    @Test(
        "is given to an account's rate limits, where they name no time worth the name",
        arguments: [(nil, 15), (0, 15), (4.9, 15), (5, 5), (33, 33)] as [(Double?, Double)])
    func limits(asked: Double?, given: Double) {
        let clock = ManualClock(start)
        let limit = ProviderError(code: .rateLimited, detail: "x", status: 429, retryAfter: asked)
        let account = account(ScriptedProvider([.fail(limit), .text("well"), .fail(limit)]), clock)
        #expect(providerFailure { () throws(ProviderError) in try account.complete(request) }?.retryAfter == given)
        clock.advance(by: 60)
        #expect((try? account.complete(request)) != nil)
        // The row has ended with the answer: the next pause is a first one.
        #expect(providerFailure { () throws(ProviderError) in try account.complete(request) }?.retryAfter == given)
    }
}
