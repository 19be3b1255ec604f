// The only way from the async side (API) to the blocking side (everything below it): a bounded pool of threads, shared
// fairly between those it works for (`ThreadShares` decides). Called from any task; the closure runs on a pool thread.
//
// A wait for a lock below a call ends after `lockSeconds`, or when the call's task is cancelled (`LockWait`).

import DurableFiles
import Identity
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import Tenants
import WireTypes

/// Whom a call works for, and so whose share of the threads it uses.
enum CallOwner: Hashable, Sendable {
    /// The user whose data the call touches. The caller may be another one.
    case user(UserID)
    /// Calls of the operator about no user, or about many.
    case operators
    /// Finding out who is calling.
    case credentials
    /// /ready, /metrics and the documentation.
    case probes
}

extension Caller {
    /// Whom a call works for that concerns no other user.
    var owner: CallOwner { user.map(CallOwner.user) ?? .operators }
}

/// Runs blocking calls off the event loops. Fails with 503 `overloaded` when too many calls wait already, so a stuck
/// disk costs bounded memory and a clear answer, and with 429 `too_many_calls` when too many of them are one user's.
final class BlockingBridge: Service {
    /// Seconds a call waits for a lock.
    static let lockSeconds = 5.0

    /// Threads, and calls, by what they are doing.
    struct Use: Sendable {
        var threads: Int
        var running: Int
        var waiting: Int
        /// The most threads of one owner.
        var largest: Int
    }

    private struct Call: Sendable {
        var owner: CallOwner
        /// Runs it on this thread, or fails it.
        var resume: @Sendable (Refusal?) -> Void
    }

    private enum Refusal: Error {
        case cancelled, shuttingDown, full, shareIsFull

        var error: any Error {
            switch self {
            case .cancelled: CancellationError()
            case .full:
                ProblemDetails(
                    status: 503, code: "overloaded",
                    detail: "too many requests are being worked on; try again shortly", retryAfter: 1)
            case .shareIsFull:
                ProblemDetails(
                    status: 429, code: "too_many_calls",
                    detail: "too many requests of this user are being worked on; try again shortly", retryAfter: 1)
            case .shuttingDown:
                ProblemDetails(status: 503, code: "shutting_down", detail: "the service is shutting down", retryAfter: 5)
            }
        }
    }

    private struct State {
        var shares: ThreadShares<CallOwner, Call>
        var isClosed = false
    }

    /// One call's way, for its cancellation.
    private final class Ticket: Sendable {
        private struct State {
            var isCancelled = false
            var number: Int?
        }
        private let state = Mutex(State())

        var isCancelled: Bool { state.withLock { $0.isCancelled } }

        /// - Returns: whether the call was cancelled before.
        func enter(_ number: Int) -> Bool {
            state.withLock { state in
                state.number = number
                return state.isCancelled
            }
        }

        /// - Returns: the call's number, once it has one.
        func cancel() -> Int? {
            state.withLock { state in
                state.isCancelled = true
                return state.number
            }
        }
    }

    private let pool: NIOThreadPool
    private let state: Mutex<State>

    /// - Parameters:
    ///   - threads: 1…256: what one user alone may use. The pool has twice as many.
    ///   - limit: most calls waiting.
    init(threads: Int, limit: Int) {
        pool = NIOThreadPool(numberOfThreads: threads * 2)
        state = Mutex(State(shares: ThreadShares(threads: threads * 2, places: limit)))
        pool.start()
    }

    var use: Use {
        state.withLock {
            Use(
                threads: $0.shares.threads, running: $0.shares.running, waiting: $0.shares.waiting,
                largest: $0.shares.largestUse)
        }
    }

    /// - Throws: what `body` throws; 503 when the bound is reached or the pool is shut down, 429 when the owner's share of
    ///   the waiting places is taken.
    func run<Value: Sendable>(
        for owner: CallOwner, _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let ticket = Ticket()
        let wait = LockWait(seconds: Self.lockSeconds) { ticket.isCancelled }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
                let call = Call(owner: owner) { refusal in
                    if let refusal { return continuation.resume(throwing: refusal.error) }
                    continuation.resume(with: Result { try wait.bounding(body) })
                }
                enter(call, ticket)
            }
        } onCancel: {
            if let number = ticket.cancel() { withdraw(number, owner) }
        }
    }

    private func enter(_ call: Call, _ ticket: Ticket) {
        do throws(Refusal) {
            let number = try state.withLock { state throws(Refusal) in
                guard !state.isClosed else { throw .shuttingDown }
                do throws(ThreadSharesRefusal) {
                    return try state.shares.add(call, of: call.owner)
                } catch {
                    throw error == .full ? .full : .shareIsFull
                }
            }
            if ticket.enter(number) { withdraw(number, call.owner) }
            startCalls()
        } catch {
            call.resume(error)
        }
    }

    private func withdraw(_ number: Int, _ owner: CallOwner) {
        state.withLock { $0.shares.withdraw(number, of: owner) }?.resume(.cancelled)
    }

    /// Gives threads to the calls that may have one.
    private func startCalls() {
        while let call = state.withLock({ $0.shares.next() }) {
            pool.submit { [self] item in
                // An item is cancelled when the pool ends before its thread came to it.
                call.resume(item == .cancelled ? .shuttingDown : nil)
                state.withLock { $0.shares.end(of: call.owner) }
                startCalls()
            }
        }
    }

    /// As a service: lives until the server is down (services stop in reverse order), then ends its threads.
    func run() async throws {
        try? await gracefulShutdown()  // throws only when cancelled, which means the same here: stop
        let left = state.withLock { state in
            state.isClosed = true
            return state.shares.withdrawAll()
        }
        for call in left { call.resume(.shuttingDown) }
        try await pool.shutdownGracefully()
    }
}
