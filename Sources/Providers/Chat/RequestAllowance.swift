// How many requests one step of a turn may still make, over all layers: rounds of a server's dialect, tries, fallback models,
// and the attempts of the job. Made by the turn for each step, consumed where a request leaves (`ModelEndpoint`). Any thread.
import Synchronization

public final class RequestAllowance: Sendable, Hashable {
    /// Requests of one step in all.
    public static let requestsPerStep = 8

    private struct State {
        var used: Int
        /// Kept back for the models behind the one that is asked now.
        var reserved = 0
    }

    private let limit: Int
    private let state: Mutex<State>
    private let onRequest: @Sendable (Int) -> Void

    /// - Parameters:
    ///   - used: requests that earlier attempts of the job have made for this step.
    ///   - onRequest: called before each request with the number of requests including this one.
    public init(
        limit: Int = RequestAllowance.requestsPerStep, used: Int = 0, onRequest: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.limit = limit
        state = Mutex(State(used: used))
        self.onRequest = onRequest
    }

    public var used: Int { state.withLock { $0.used } }

    /// Whether the model that is asked now may be asked no more.
    public var isUsedUp: Bool { state.withLock { $0.used >= limit - $0.reserved } }

    /// Whether nothing is left for any model.
    public var isEmpty: Bool { state.withLock { $0.used >= limit } }

    /// Keeps requests back for the models behind the one that is asked now.
    func reserve(_ count: Int) { state.withLock { $0.reserved = max(0, count) } }

    /// - Throws: `requestsUsedUp`.
    func take() throws(ProviderError) {
        let number = state.withLock { state -> Int? in
            guard state.used < limit else { return nil }
            state.used += 1
            return state.used
        }
        guard let number else {
            throw ProviderError(
                code: .requestsUsedUp, detail: "the models were asked \(limit) times for one answer, and are not asked again")
        }
        onRequest(number)
    }

    /// A request that no model has seen: no connection was made, or the account's limit refused it and said when to come again.
    func giveBack() { state.withLock { $0.used = max(0, $0.used - 1) } }

    public static func == (left: RequestAllowance, right: RequestAllowance) -> Bool { left === right }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
