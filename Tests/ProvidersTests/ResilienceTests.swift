import Foundation
import HTTPTransport
import Logging
import ModelTestSupport
import Synchronization
import Testing

@testable import Providers

private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
private let request = ChatRequest(model: "m", messages: [.user("hi")])

func providerFailure(_ body: () throws(ProviderError) -> ChatResponse) -> ProviderError? {
    do throws(ProviderError) {
        let response = try body()
        Issue.record("no error but \"\(response.message.content)\"")
        return nil
    } catch {
        return error
    }
}

@Suite("Trying again")
struct RetryingProviderTests {
    private final class Waits: Sendable {
        let list = Mutex<[Double]>([])
    }

    private func retrying(_ base: ScriptedProvider, waits: Waits, cancelled: Bool = false) -> RetryingProvider {
        RetryingProvider(base, logger: logger, random: { 0.5 }) { seconds, _ in
            waits.list.withLock { $0.append(seconds) }
            return cancelled
        }
    }

    private func error(_ code: ProviderError.Code, retryAfter: Double? = nil, streamed: Bool = false)
        -> ScriptedProvider.Step
    {
        .fail(ProviderError(code: code, detail: "x", retryAfter: retryAfter, streamed: streamed))
    }

    @Test("makes four attempts with growing waits, then gives the last error")
    func attempts() {
        let waits = Waits()
        let base = ScriptedProvider([
            error(.connection), error(.rateLimited, retryAfter: 0.5), error(.overloaded), error(.unavailable), .text("late"),
        ])
        #expect(
            providerFailure { () throws(ProviderError) in try retrying(base, waits: waits).complete(request) }?.code
                == .unavailable)
        #expect(waits.list.withLock { $0 } == [0.5, 1, 2])
        #expect(base.requests.count == 4)
    }

    @Test("makes no third attempt after errors that cost much and come again", arguments: [ProviderError.Code.timeout, .badResponse, .rateLimited])
    func costly(code: ProviderError.Code) {
        let base = ScriptedProvider([error(code), error(code), .text("late")])
        let failure = providerFailure { () throws(ProviderError) in try retrying(base, waits: Waits()).complete(request) }
        #expect(failure?.code == code)
        #expect(base.requests.count == 2)
    }

    @Test("answers as soon as one attempt succeeds")
    func success() throws {
        let base = ScriptedProvider([error(.rateLimited, retryAfter: 4.5), .text("done")])
        let waits = Waits()
        #expect(try retrying(base, waits: waits).complete(request).message.content == "done")
        #expect(waits.list.withLock { $0 } == [5])
    }

    @Test(
        "does not repeat what cannot pass, what was said already, or what should wait long",
        arguments: [
            ProviderError(code: .quota, detail: "x"), ProviderError(code: .authentication, detail: "x"),
            ProviderError(code: .badRequest, detail: "x"), ProviderError(code: .contextLength, detail: "x"),
            ProviderError(code: .cancelled, detail: "x"), ProviderError(code: .connection, detail: "x", streamed: true),
            ProviderError(code: .rateLimited, detail: "x", retryAfter: 5),
        ])
    func notRepeated(failure: ProviderError) {
        let base = ScriptedProvider([.fail(failure), .text("no")])
        #expect(
            providerFailure { () throws(ProviderError) in try retrying(base, waits: Waits()).complete(request) }
                == failure)
        #expect(base.requests.count == 1)
    }

    @Test("stops waiting when it is cancelled")
    func cancelled() {
        let base = ScriptedProvider([error(.connection), .text("no")])
        let failure = providerFailure { () throws(ProviderError) in
            try retrying(base, waits: Waits(), cancelled: true).complete(request)
        }
        #expect(failure?.code == .cancelled)
        #expect(base.requests.count == 1)
        // The real wait, on a token cancelled already.
        let token = CancellationToken()
        token.cancel()
        let real = RetryingProvider(ScriptedProvider([error(.connection)]), logger: logger)
        #expect(
            providerFailure { () throws(ProviderError) in try real.complete(request, cancellation: token) }?.code
                == .cancelled)
    }
}

@Suite("A chain of models")
struct FallbackProviderTests {
    private func chain(_ providers: [ScriptedProvider]) throws -> FallbackProvider {
        try #require(FallbackProvider(providers.map(\.resolved), logger: logger))
    }

    @Test(
        "asks the next after errors of the account",
        arguments: [
            ProviderError.Code.rateLimited, .overloaded, .quota, .authentication, .timeout, .connection, .unavailable,
            .providerPaused, .modelPaused,
        ])
    func next(code: ProviderError.Code) throws {
        let first = ScriptedProvider(name: "a", [.fail(ProviderError(code: code, detail: "x"))])
        let second = ScriptedProvider(name: "b", [.text("from b")])
        #expect(try chain([first, second]).complete(request).message.content == "from b")
        #expect(second.requests.first?.model == "model")
    }

    @Test("ends at errors of the request, a cancellation, and once text was delivered")
    func ends() throws {
        for error in [
            ProviderError(code: .badRequest, detail: "x"), ProviderError(code: .contextLength, detail: "x"),
            ProviderError(code: .cancelled, detail: "x"), ProviderError(code: .connection, detail: "x", streamed: true),
        ] {
            let second = ScriptedProvider([.text("no")])
            let chain = try chain([ScriptedProvider([.fail(error)]), second])
            #expect(providerFailure { () throws(ProviderError) in try chain.complete(request) } == error)
            #expect(second.requests.isEmpty)
        }
    }

    @Test("fails with the error that can pass")
    func joined() throws {
        let limited = ProviderError(code: .rateLimited, detail: "slow", retryAfter: 30)
        let chain = try chain([
            ScriptedProvider([.fail(ProviderError(code: .quota, detail: "empty"))]), ScriptedProvider([.fail(limited)]),
        ])
        let error = providerFailure { () throws(ProviderError) in try chain.complete(request) }
        #expect(error?.code == .rateLimited)
        #expect(error?.retryAfter == 30)
        #expect(error?.detail == "empty; then slow")
    }

    @Test("of errors that can pass gives the one that can be tried again first")
    func soonest() throws {
        func error(_ code: ProviderError.Code, _ retryAfter: Double?) -> ProviderError {
            ProviderError(code: code, detail: "x", retryAfter: retryAfter)
        }
        let table: [(first: ProviderError, second: ProviderError, code: ProviderError.Code)] = [
            (error(.providerPaused, 57), error(.connection, nil), .connection),
            (error(.providerPaused, 57), error(.rateLimited, 15), .rateLimited),
            (error(.providerPaused, 9), error(.rateLimited, 15), .providerPaused),
            (error(.overloaded, nil), error(.connection, nil), .overloaded),
            (error(.providerPaused, 57), error(.quota, nil), .providerPaused),
        ]
        for row in table {
            let chain = try chain([ScriptedProvider([.fail(row.first)]), ScriptedProvider([.fail(row.second)])])
            #expect(
                providerFailure { () throws(ProviderError) in try chain.complete(request) }?.code == row.code)
        }
    }
}

@Suite("The limit of an account")
struct AccountLimiterTests {
    @Test("never lets more than the limit in, and everyone in the end")
    func limit() {
        let limiter = AccountLimiter(account: "a", maxConcurrent: 3)
        let counts = Mutex((inside: 0, most: 0, done: 0))
        let finished = (0..<20).map { _ in WakeSignal() }
        for signal in finished {
            Thread.detachNewThread {
                // A failure shows in the count.
                try? limiter.run(timeout: 60, cancellation: nil) {
                    counts.withLock { counts in
                        counts.inside += 1
                        counts.most = max(counts.most, counts.inside)
                    }
                    sched_yield()
                    counts.withLock { counts in
                        counts.inside -= 1
                        counts.done += 1
                    }
                }
                signal.signal()
            }
        }
        for signal in finished { #expect(signal.wait(seconds: 60)) }
        #expect(counts.withLock { $0.done } == 20)
        #expect(counts.withLock { $0.most } <= 3)
    }

    @Test("ends the wait of a cancelled or impatient caller without losing the place")
    func leaves() throws {
        let limiter = AccountLimiter(account: "a", maxConcurrent: 1)
        let token = CancellationToken()
        token.cancel()
        try limiter.run(timeout: 1, cancellation: nil) {
            for (cancellation, timeout, code) in [(token, 60.0, ProviderError.Code.cancelled), (nil, 0, .rateLimited)] {
                let error = providerFailure { () throws(ProviderError) in
                    try limiter.run(timeout: timeout, cancellation: cancellation) { () throws(ProviderError) in
                        throw ProviderError(code: .badRequest, detail: "entered")
                    }
                }
                #expect(error?.code == code)
            }
        }
        #expect(try limiter.run(timeout: 0, cancellation: nil) { true })
    }
}
