// Stops calling what keeps failing, so that callers wait in the queue (or go to a fallback) instead of each for a
// timeout. One account has one of these: connection errors count against the account, errors of a server that answers
// against the model alone, since behind a gateway one model may be down and the rest well. `BreakerState` decides,
// `CircuitBreaker` holds it for all threads.
import Foundation
import HTTPTransport
import Synchronization

/// One account's breakers: its own and its models'. Any thread.
public final class CircuitBreaker: Sendable {
    /// Failures in a row that open it.
    public static let threshold = 3
    /// Seconds it stays open.
    public static let pause: TimeInterval = 60
    /// Seconds from its opening during which failures are the outage's and use no attempt of a job: an outage of two
    /// minutes is outlived even by a job whose other attempts opened it.
    public static let patience: TimeInterval = 180
    /// Models with failures that are remembered; names come from users.
    static let maxModels = 256

    /// A call that was let through.
    struct Pass: Sendable {
        var model: String
        var probesAccount: Bool
        var probesModel: Bool

        var isProbe: Bool { probesAccount || probesModel }
    }

    private struct State {
        var account: BreakerState
        /// Those that failed since they last succeeded.
        var models: [String: BreakerState] = [:]
    }

    private let name: String
    private let fresh: BreakerState
    private let state: Mutex<State>
    private let now: @Sendable () -> Date

    /// - Parameter account: its name, for the errors.
    public init(
        account: String, threshold: Int = CircuitBreaker.threshold, pause: TimeInterval = CircuitBreaker.pause,
        patience: TimeInterval = CircuitBreaker.patience, now: @escaping @Sendable () -> Date
    ) {
        name = account
        fresh = BreakerState(threshold: threshold, pause: pause, patience: patience)
        state = Mutex(State(account: fresh))
        self.now = now
    }

    /// Runs `call` unless a breaker is open, and learns from its result.
    ///
    /// - Parameter call: gets the pass, to be given to `answering` when its answer begins.
    /// - Throws: `providerPaused` or `modelPaused` with the last real error's words; after `patience`, that error.
    func run<Value>(
        model: String, _ call: (Pass) throws(ProviderError) -> Value
    ) throws(ProviderError) -> Value {
        let pass = try enter(model).get()
        do throws(ProviderError) {
            let value = try call(pass)
            _ = learn(nil, pass)
            return value
        } catch {
            throw learn(error, pass) ?? error
        }
    }

    /// A probe's answer has begun to come: others may go without waiting for its end. Call it as often as you like.
    func answering(_ pass: Pass) {
        guard pass.isProbe else { return }
        state.withLock { state in
            if pass.probesAccount { state.account.answering() }
            if pass.probesModel { state.models[pass.model]?.answering() }
        }
    }

    // MARK: -

    private func enter(_ model: String) -> Result<Pass, ProviderError> {
        let now = now()
        return state.withLock { state in
            // Both are asked before either begins: a probe that one lets through and the other stops never reports.
            if let wait = state.account.wait(now: now) {
                return .failure(refusal(state.account, wait, .providerPaused, name, now))
            }
            if let one = state.models[model], let wait = one.wait(now: now) {
                return .failure(refusal(one, wait, .modelPaused, "\(name)/\(model)", now))
            }
            return .success(
                Pass(
                    model: model, probesAccount: state.account.begin(now: now),
                    probesModel: state.models[model]?.begin(now: now) ?? false))
        }
    }

    private func refusal(
        _ breaker: BreakerState, _ wait: TimeInterval, _ code: ProviderError.Code, _ name: String, _ now: Date
    ) -> ProviderError {
        let last = breaker.lastError ?? ProviderError(code: .unavailable, detail: name)
        return breaker.told(last, wait: wait, as: code, name: name, now: now)
    }

    /// - Returns: what the caller is told of `error`: for a probe more than the error itself.
    private func learn(_ error: ProviderError?, _ pass: Pass) -> ProviderError? {
        let now = now()
        return state.withLock { state in
            state.account.report(outcome(error, .account), isProbe: pass.probesAccount, now: now)
            var one = state.models[pass.model] ?? fresh
            one.report(outcome(error, .model), isProbe: pass.probesModel, now: now)
            keep(one, pass.model, in: &state)
            guard let error else { return nil }
            switch Self.guilty(error) {
            case .account? where pass.probesAccount:
                return state.account.told(error, wait: fresh.pause, as: .providerPaused, name: name, now: now)
            case .model? where pass.probesModel:
                return one.told(
                    error, wait: fresh.pause, as: .modelPaused, name: "\(name)/\(pass.model)", now: now)
            default: return error
            }
        }
    }

    private func keep(_ one: BreakerState, _ model: String, in state: inout State) {
        if state.models[model] == nil, state.models.count >= Self.maxModels {
            state.models = state.models.filter { !$0.value.isClosed }
            guard state.models.count < Self.maxModels else { return }
        }
        state.models[model] = one.isClear ? nil : one
    }

    private enum Scope {
        case account, model
    }

    /// What a failure counts against; nil: nothing.
    private static func guilty(_ error: ProviderError) -> Scope? {
        // What a person must repair is said at once to everybody, not hidden behind a pause.
        guard error.isRetryable else { return nil }
        switch error.code {
        // A connection that broke after the server had begun to answer says nothing about reaching it.
        case .connection: return error.status == nil && !error.streamed ? .account : .model
        case .timeout, .overloaded, .unavailable, .badResponse: return .model
        // A limit has its own waiting time.
        case .rateLimited, .providerPaused, .modelPaused: return nil
        case .quota, .authentication, .cancelled, .badRequest, .contextLength, .contentFilter, .requestsUsedUp: return nil
        }
    }

    private func outcome(_ error: ProviderError?, _ scope: Scope) -> BreakerState.Outcome {
        guard let error else { return .succeeded }
        if Self.guilty(error) == scope { return .failed(shareable(error, scope)) }
        let hasAnswered = error.status != nil || error.streamed
        switch scope {
        case .account: return hasAnswered ? .succeeded : .unknown
        // The model works, even if it does not like this request.
        case .model: return hasAnswered && [.badRequest, .contextLength, .contentFilter].contains(error.code) ? .succeeded : .unknown
        }
    }

    /// `error` as the calls of others may be told it that were not made.
    private func shareable(_ error: ProviderError, _ scope: Scope) -> ProviderError {
        // That a connection failed is said in words of the transport; they hold nothing of the request.
        let detail = scope == .account ? error.detail : ErrorClassifier.gist(error, account: name)
        return ProviderError(code: error.code, detail: detail, isRetryable: error.isRetryable)
    }
}
