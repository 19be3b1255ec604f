import Foundation
import TestSupport
import Testing

@testable import Providers

private let down = ProviderError(code: .connection, detail: "acme: Failed to connect to 127.0.0.1 port 9")

@Suite("The state of a breaker")
struct BreakerStateTests {
    private let start = Date(timeIntervalSince1970: 1_800_000_000)

    private func closed() -> BreakerState { BreakerState(threshold: 3, pause: 60, patience: 180) }

    private func opened() -> BreakerState {
        var state = closed()
        for _ in 0..<3 { state.report(.failed(down), isProbe: false, now: start) }
        return state
    }

    @Test("opens at the third failure in a row, not before")
    func opens() {
        var state = closed()
        for outcome in [BreakerState.Outcome.failed(down), .failed(down), .succeeded, .failed(down), .unknown] {
            state.report(outcome, isProbe: false, now: start)
        }
        state.report(.failed(down), isProbe: false, now: start)
        #expect(state.wait(now: start) == nil)
        state.report(.failed(down), isProbe: false, now: start)
        #expect(state.wait(now: start) == 60)
        #expect(state.wait(now: start + 59) == 1)
        #expect(state.lastError == down)
    }

    @Test("lets one probe through after the pause; the others come back in a second and go when it succeeded")
    func probe() {
        var state = opened()
        #expect(state.wait(now: start + 60) == nil)
        let isProbe = state.begin(now: start + 60)
        #expect(isProbe)
        #expect(state.wait(now: start + 60) == 1)
        #expect(state.wait(now: start + 119.5) == 0.5)
        state.report(.succeeded, isProbe: true, now: start + 61)
        #expect(state.wait(now: start + 61) == nil)
        let isNext = state.begin(now: start + 61)
        #expect(!isNext)
        #expect(state.isClear)
    }

    @Test("opens again when the probe fails, and makes the next call the probe when it found out nothing")
    func badProbe() {
        var failed = opened()
        let isProbe = failed.begin(now: start + 60)
        #expect(isProbe)
        var unknown = failed
        failed.report(.failed(down), isProbe: true, now: start + 61)
        #expect(failed.wait(now: start + 62) == 59)
        unknown.report(.unknown, isProbe: true, now: start + 61)
        #expect(unknown.wait(now: start + 61) == nil)
        let isNext = unknown.begin(now: start + 61)
        #expect(isNext)
    }

    @Test("does not take a call from before its opening for the probe")
    func oldCalls() {
        var state = opened()
        let isProbe = state.begin(now: start + 60)
        #expect(isProbe)
        for outcome in [BreakerState.Outcome.failed(down), .unknown] {
            state.report(outcome, isProbe: false, now: start + 61)
            #expect(state.phase == .probing(until: start + 120))
        }
    }

    @Test("lets others go when the probe's answer begins, and opens at once if it breaks off after all")
    func answering() {
        var state = opened()
        state.answering()
        #expect(state.wait(now: start) == 60)
        let isProbe = state.begin(now: start + 60)
        #expect(isProbe)
        state.answering()
        #expect(state.wait(now: start + 60) == nil)
        state.report(.failed(down), isProbe: true, now: start + 70)
        #expect(state.wait(now: start + 70) == 60)
    }

    @Test("is not shut for longer than a pause by a lost probe or a clock set back")
    func bounded() {
        var state = opened()
        #expect(state.wait(now: start - 10_000) == 60)
        let isProbe = state.begin(now: start + 60)
        #expect(isProbe)
        #expect(state.wait(now: start + 120) == nil)
    }

    @Test("calls the failure a pause while it has patience, then by its name; the words are always the real ones")
    func told() {
        let state = opened()
        for (seconds, isPause) in [(0.0, true), (179, true), (180, false), (9_999, false), (-1, false)] {
            let told = state.told(down, wait: 56.2, as: .providerPaused, name: "acme", now: start + seconds)
            #expect(told.code == (isPause ? .providerPaused : .connection), "\(seconds)")
            #expect(told.isRetryable)
            #expect(told.retryAfter == 56.2)
            #expect(told.detail == down.detail + "; acme has failed repeatedly and is asked again in 57 s")
        }
        let asked = ProviderError(code: .overloaded, detail: "x", retryAfter: 90)
        #expect(state.told(asked, wait: 60, as: .modelPaused, name: "a", now: start).retryAfter == 90)
    }
}

@Suite("The circuit breaker of an account")
struct CircuitBreakerTests {
    private let clock = ManualClock()

    private func breaker() -> CircuitBreaker { CircuitBreaker(account: "acme", now: clock.read) }

    private func call(_ breaker: CircuitBreaker, _ error: ProviderError, model: String = "m") -> ProviderError? {
        providerFailure { () throws(ProviderError) in
            try breaker.run(model: model) { _ throws(ProviderError) in throw error }
        }
    }

    private func succeeds(_ breaker: CircuitBreaker, model: String = "m") -> Bool {
        (try? breaker.run(model: model) { _ in true }) ?? false
    }

    @Test("holds calls back with the last real error, counting only failures that can pass")
    func refusal() throws {
        let breaker = breaker()
        for code in [ProviderError.Code.badRequest, .quota, .authentication, .rateLimited, .cancelled] {
            for _ in 0..<4 { #expect(call(breaker, ProviderError(code: code, detail: "x"))?.code == code) }
        }
        // A certificate that is not trusted needs a person, who should see just that.
        let untrusted = ProviderError(code: .connection, detail: "certificate", isRetryable: false)
        for _ in 0..<4 { #expect(call(breaker, untrusted) == untrusted) }
        for _ in 0..<3 { #expect(call(breaker, down) == down) }
        clock.advance(by: 3)
        let refused = try #require(call(breaker, ProviderError(code: .quota, detail: "never called")))
        #expect(refused.code == .providerPaused)
        #expect(refused.retryAfter == 57)
        #expect(refused.isRetryable)
        #expect(!refused.streamed)
        #expect(refused.detail.hasPrefix(down.detail))
    }

    @Test(
        "counts a server's errors against the model, so that the account's others go on",
        arguments: [
            ProviderError(code: .unavailable, detail: "quotes a prompt", status: 500),
            ProviderError(code: .overloaded, detail: "quotes a prompt", status: 503),
            ProviderError(code: .timeout, detail: "quotes a prompt"),
            ProviderError(code: .badResponse, detail: "quotes a prompt"),
            ProviderError(code: .connection, detail: "quotes a prompt", status: 200),
            ProviderError(code: .connection, detail: "quotes a prompt", streamed: true),
        ])
    func models(error: ProviderError) throws {
        let breaker = breaker()
        for _ in 0..<3 { #expect(call(breaker, error, model: "bad") == error) }
        let refused = try #require(call(breaker, error, model: "bad"))
        #expect(refused.code == .modelPaused)
        #expect(refused.retryAfter == 60)
        #expect(refused.detail.contains("acme/bad"))
        // A server's words may hold what another tenant asked.
        #expect(!refused.detail.contains("quotes"))
        #expect(succeeds(breaker, model: "good"))
        #expect(!succeeds(breaker, model: "bad"))
        clock.advance(by: 60)
        #expect(succeeds(breaker, model: "bad"))
    }

    @Test("counts connection errors of all models against the account")
    func account() {
        let breaker = breaker()
        for model in ["a", "b", "c"] { #expect(call(breaker, down, model: model) == down) }
        #expect(call(breaker, down, model: "d")?.code == .providerPaused)
        // Any answer, be it an error, shows that it can be reached.
        let fresh = self.breaker()
        for _ in 0..<4 {
            #expect(call(fresh, down) == down)
            #expect(call(fresh, down, model: "b") == down)
            #expect(call(fresh, ProviderError(code: .badRequest, detail: "x", status: 404))?.code == .badRequest)
        }
    }

    @Test("sends the others back for a second while a probe is under way, and lets them go when it succeeded")
    func probe() throws {
        let breaker = breaker()
        for _ in 0..<3 { _ = call(breaker, down) }
        clock.advance(by: 60)
        let during = try breaker.run(model: "m") { [self] _ in call(breaker, down) }
        #expect(during?.code == .providerPaused)
        #expect(during?.retryAfter == 1)
        #expect(succeeds(breaker))
    }

    @Test("lets the others go as soon as the probe's answer begins")
    func answering() throws {
        let breaker = breaker()
        for _ in 0..<3 { _ = call(breaker, down) }
        clock.advance(by: 60)
        let goes = try breaker.run(model: "m") { [self] pass in
            breaker.answering(pass)
            return succeeds(breaker)
        }
        #expect(goes)
    }

    @Test("a probe's failure is a pause, in its own words, until the patience is over")
    func failedProbe() {
        let breaker = breaker()
        let last = ProviderError(code: .connection, detail: "no route", status: nil)
        for _ in 0..<3 { _ = call(breaker, down) }
        for _ in 0..<2 {
            clock.advance(by: 60)
            let told = call(breaker, last)
            #expect(told?.code == .providerPaused)
            #expect(told?.retryAfter == 60)
            #expect(told?.detail.hasPrefix("no route") == true)
        }
        clock.advance(by: 60)
        #expect(call(breaker, last)?.code == .connection)
        // The others of the same pause as well, each told when to come back.
        clock.advance(by: 10)
        let refused = call(breaker, ProviderError(code: .quota, detail: "never called"))
        #expect(refused?.code == .connection)
        #expect(refused?.retryAfter == 50)
        #expect(refused?.detail.hasPrefix("no route") == true)
    }

    @Test("a probe of the account that meets a model's error closes the account's and not the model's")
    func mixed() {
        let breaker = breaker()
        let broken = ProviderError(code: .unavailable, detail: "x", status: 500)
        for _ in 0..<3 { _ = call(breaker, broken, model: "bad") }
        for _ in 0..<3 { _ = call(breaker, down, model: "good") }
        clock.advance(by: 60)
        #expect(call(breaker, broken, model: "bad")?.code == .modelPaused)
        #expect(succeeds(breaker, model: "good"))
        #expect(call(breaker, broken, model: "bad")?.code == .modelPaused)
    }

    @Test("remembers a bounded number of failing models and keeps those that are open")
    func bound() {
        let breaker = breaker()
        let broken = ProviderError(code: .unavailable, detail: "x", status: 500)
        for _ in 0..<3 { _ = call(breaker, broken, model: "bad") }
        for number in 0..<(CircuitBreaker.maxModels * 2) { _ = call(breaker, broken, model: "\(number)") }
        #expect(call(breaker, broken, model: "bad")?.code == .modelPaused)
    }
}
