import Foundation
import HTTPTransport
import Logging
import ModelTestSupport
import TestSupport
import Testing

@testable import Providers

@Suite("The rate of an account")
struct AccountRateTests {
    private let clock = ManualClock()

    /// Waiting moves the clock.
    private func rate(requests: Int = 0, tokens: Int = 0, cancels: Bool = false) -> AccountRate {
        AccountRate(
            account: "acme", rates: AccountRates(requestsPerMinute: requests, tokensPerMinute: tokens), now: clock.read,
            wait: { [clock] seconds, _ in
                if !cancels { clock.advance(by: seconds) }
                return cancels
            })
    }

    private func call(_ rate: AccountRate, estimate: Int = 1, tokens: Int = 0) -> ProviderError? {
        do throws(ProviderError) {
            _ = try rate.run(estimate: estimate, cancellation: nil) {
                ChatResponse(
                    message: .assistant("A"), finishReason: .stop,
                    usage: TokenUsage(promptTokens: tokens, completionTokens: 0), model: "m")
            }
            return nil
        } catch {
            return error
        }
    }

    @Test("lets no more requests start in any minute than its bound")
    func requests() {
        let rate = rate(requests: 30)
        var starts: [Date] = []
        for _ in 0..<200 {
            if let error = call(rate) {
                #expect(error.code == .rateLimited)
                #expect(error.isOwnBound)
                clock.advance(by: error.retryAfter ?? 0)
            } else {
                starts.append(clock.now)
                clock.advance(by: 0.7)
            }
        }
        #expect(starts.count > 150)
        for start in starts {
            #expect(starts.filter { $0 >= start && $0 < start + 60 }.count <= 30)
        }
    }

    @Test("waits for a few seconds itself, and names the time where it is longer")
    func shortWaits() {
        let rate = rate(requests: 1)
        #expect(call(rate) == nil)
        let start = clock.now
        #expect(call(rate)?.retryAfter == 60)
        clock.advance(by: 56)
        #expect(call(rate) == nil)
        #expect(clock.now.timeIntervalSince(start) == 60)
    }

    @Test("counts what a call really cost, and lets one larger than the bound through when nothing else counts")
    func tokens() {
        let rate = rate(tokens: 1_000)
        #expect(call(rate, estimate: 10, tokens: 900) == nil)
        #expect(call(rate, estimate: 200)?.retryAfter == 60)
        #expect(call(rate, estimate: 100, tokens: 50) == nil)
        #expect(call(rate, estimate: 51)?.code == .rateLimited)
        clock.advance(by: 60)
        #expect(call(rate, estimate: 5_000, tokens: 5_000) == nil)
        #expect(call(rate, estimate: 1)?.code == .rateLimited)
    }

    @Test("a cancelled wait gives its moment back")
    func cancelled() {
        let rate = rate(requests: 1, cancels: true)
        #expect(call(rate) == nil)
        clock.advance(by: 58)
        #expect(call(rate)?.code == .cancelled)
        clock.advance(by: 2)
        #expect(call(rate) == nil)
    }

    @Test("a bound of our own is not tried again by the call, and asks for a hold")
    func hold() throws {
        let base = ScriptedProvider(
            name: "acme", [.text("A"), .text("B"), .text("C")])
        let account = AccountProvider(
            base, maxConcurrent: 4, rates: AccountRates(requestsPerMinute: 1), prices: [:], retries: RetryPolicy(),
            logger: Logger(label: "test"), now: clock.read)
        let request = ChatRequest(model: "m", messages: [.user("hi")])
        #expect(try account.complete(request).message.content == "A")
        let error = providerFailure { () throws(ProviderError) in try account.complete(request) }
        #expect(error?.code == .rateLimited)
        #expect(error?.retryAfter == 60)
        #expect(base.requests.count == 1)
    }
}
