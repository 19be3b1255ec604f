// Bounds the bytes of requests and answers that this process holds because a client has not sent, or not taken, the rest: in all
// and of one user. Any thread; waiting costs no thread. Failure: ProblemDetails `too_many_transfers`, 429 or 503.

import NIOCore
import Synchronization
import Tenants
import WireTypes

/// Hands out leases of bytes in the order in which they were asked for. A lease is given back when the last reference to the lease
/// goes, whatever became of the request. A wait ends with the lease, after `patience`, or when the client has gone.
final class TransferBudget: Sendable {
    final class Lease: Sendable {
        private let budget: TransferBudget
        fileprivate let bytes: Int
        private let user: UserID?

        fileprivate init(_ budget: TransferBudget, _ bytes: Int, _ user: UserID?) {
            self.budget = budget
            self.bytes = bytes
            self.user = user
        }

        deinit { budget.giveBack(bytes, user) }
    }

    private struct Waiter {
        var key: Int
        var bytes: Int
        var user: UserID?
        var continuation: CheckedContinuation<Lease, any Error>
    }

    private struct State {
        var used = 0
        var users: [UserID: Int] = [:]
        var waiters: [Waiter] = []
        /// Keys of waits that are about to begin, and of those among them that ended before: the client was gone already.
        var beginning: Set<Int> = []
        var ended: Set<Int> = []
        var lastKey = 0
    }

    private let limit: Int
    private let userLimit: Int
    /// How long one request waits in all.
    let patience: TimeAmount
    private let state = Mutex(State())

    /// - Parameters:
    ///   - limit: bytes in all.
    ///   - userLimit: bytes of one user's own tokens; callers who reach everybody have the whole.
    ///   - patience: how long a lease is waited for.
    init(limit: Int, userLimit: Int, patience: TimeAmount) {
        self.limit = limit
        self.userLimit = min(userLimit, limit)
        self.patience = patience
    }

    var bytesInUse: Int { state.withLock(\.used) }
    var waiting: Int { state.withLock(\.waiters.count) }

    /// Bytes of the lease for a request of `bytes`: a request that is larger than its whole bound has the bound to itself.
    private func size(_ bytes: Int, _ user: UserID?) -> Int { min(max(0, bytes), user == nil ? limit : userLimit) }

    private func fits(_ bytes: Int, _ user: UserID?, _ state: State) -> (inAll: Bool, ofUser: Bool) {
        (state.used + bytes <= limit, user.map { state.users[$0, default: 0] + bytes <= userLimit } ?? true)
    }

    private func enter(_ bytes: Int, _ user: UserID?, _ state: inout State) {
        state.used += bytes
        if let user { state.users[user, default: 0] += bytes }
    }

    /// - Throws: 429 when the user's bound is reached, 503 when the bound of all is.
    func takeNow(_ bytes: Int, for user: UserID?) throws(ProblemDetails) -> Lease {
        let bytes = size(bytes, user)
        try state.withLock { state throws(ProblemDetails) in
            let fit = fits(bytes, user, state)
            guard fit.inAll, fit.ofUser else { throw Self.refusal(ofUser: !fit.ofUser) }
            enter(bytes, user, &state)
        }
        return Lease(self, bytes, user)
    }

    /// For the answer of a call that has changed something: it is counted, and never refused.
    func takeAnyway(_ bytes: Int, for user: UserID?) -> Lease {
        state.withLock { enter(bytes, user, &$0) }
        return Lease(self, bytes, user)
    }

    /// Waits behind those who came before.
    /// - Parameter waited: what the request has waited already.
    /// - Throws: as `takeNow`, after `patience`; CancellationError when the client has gone.
    func take(
        _ bytes: Int, for user: UserID?, on channel: any Channel, waited: TimeAmount = .zero
    ) async throws -> Lease {
        let bytes = size(bytes, user)
        let (lease, key) = state.withLock { state -> (Lease?, Int) in
            let fit = fits(bytes, user, state)
            // Only waits for a user's own bound are overtaken.
            if fit.inAll, fit.ofUser, state.waiters.allSatisfy({ $0.user != user && !fits($0.bytes, $0.user, state).ofUser }) {
                enter(bytes, user, &state)
                return (Lease(self, bytes, user), 0)
            }
            state.lastKey += 1
            state.beginning.insert(state.lastKey)
            return (nil, state.lastKey)
        }
        if let lease { return lease }
        defer { state.withLock { _ = ($0.beginning.remove(key), $0.ended.remove(key)) } }
        let departure = try await channel.pipeline.handler(type: ClientDeparture.self).get()
        let listener = departure.add { [weak self] in self?.end(key, CancellationError()) }
        defer { departure.remove(listener) }
        let alarm = channel.eventLoop.scheduleTask(in: max(.zero, patience - waited)) { [weak self] in self?.end(key, nil) }
        defer { alarm.cancel() }
        return try await withCheckedThrowingContinuation { continuation in
            let isEnded = state.withLock { state in
                state.beginning.remove(key)
                if state.ended.contains(key) { return true }
                state.waiters.append(Waiter(key: key, bytes: bytes, user: user, continuation: continuation))
                return false
            }
            if isEnded { continuation.resume(throwing: CancellationError()) } else { serve() }
        }
    }

    /// Ends a wait. - Parameter error: nil: its time is up.
    private func end(_ key: Int, _ error: (any Error)?) {
        let found = state.withLock { state -> (Waiter, Bool)? in
            guard let index = state.waiters.firstIndex(where: { $0.key == key }) else {
                if state.beginning.contains(key) { state.ended.insert(key) }
                return nil
            }
            let waiter = state.waiters.remove(at: index)
            return (waiter, !fits(waiter.bytes, waiter.user, state).ofUser)
        }
        guard let (waiter, isOfUser) = found else { return }
        waiter.continuation.resume(throwing: error ?? Self.refusal(ofUser: isOfUser))
        // It may have been the one that others waited behind.
        serve()
    }

    private func giveBack(_ bytes: Int, _ user: UserID?) {
        state.withLock { state in
            state.used -= bytes
            guard let user, let own = state.users[user] else { return }
            state.users[user] = own > bytes ? own - bytes : nil
        }
        serve()
    }

    /// Leases go out in order; a wait for a user's own bound holds up no other user.
    private func serve() {
        let served = state.withLock { state in
            var served: [(Waiter, Lease)] = []
            var blocked: Set<UserID> = []
            var index = 0
            while index < state.waiters.count {
                let waiter = state.waiters[index]
                let fit = fits(waiter.bytes, waiter.user, state)
                if let user = waiter.user, blocked.contains(user) || !fit.ofUser {
                    blocked.insert(user)
                    index += 1
                    continue
                }
                guard fit.inAll else { break }
                state.waiters.remove(at: index)
                enter(waiter.bytes, waiter.user, &state)
                served.append((waiter, Lease(self, waiter.bytes, waiter.user)))
            }
            return served
        }
        for (waiter, lease) in served { waiter.continuation.resume(returning: lease) }
    }

    /// Seconds; most transfers are over by then.
    private static let retryAfter = 5

    private static func refusal(ofUser: Bool) -> ProblemDetails {
        ofUser
            ? ProblemDetails(
                status: 429, code: "too_many_transfers",
                detail: "this user's unfinished uploads and downloads hold all the memory they may; finish or close some",
                retryAfter: retryAfter)
            : ProblemDetails(
                status: 503, code: "too_many_transfers",
                detail: "unfinished uploads and downloads hold all the memory there is for them", retryAfter: retryAfter)
    }
}
