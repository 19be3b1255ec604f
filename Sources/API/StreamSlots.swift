// Bounds the open event streams, in all and of one user. Any thread.

import Synchronization
import Tenants
import WireTypes

/// Counts streams; a slot is given back when the last reference to it goes, whatever became of its response.
final class StreamSlots: Sendable {
    final class Slot: Sendable {
        private let slots: StreamSlots
        private let user: UserID?

        fileprivate init(_ slots: StreamSlots, _ user: UserID?) {
            self.slots = slots
            self.user = user
        }

        deinit { slots.giveBack(user) }
    }

    private struct State {
        var open = 0
        var users: [UserID: Int] = [:]
    }

    private let limit: Int
    /// Of one user's own tokens; the operator's programs, which stream for many, have the whole.
    private let userLimit: Int
    private let state = Mutex(State())

    init(limit: Int, userLimit: Int = .max) {
        self.limit = limit
        self.userLimit = userLimit
    }

    var count: Int { state.withLock(\.open) }

    /// - Parameter user: whose token asks; nil for callers who reach everybody.
    /// - Throws: 503 when `limit` streams are open, 429 when the user has `userLimit`.
    func take(for user: UserID? = nil) throws(ProblemDetails) -> Slot {
        try state.withLock { state throws(ProblemDetails) in
            guard state.open < limit else {
                throw ProblemDetails(
                    status: 503, code: "too_many_streams", detail: "too many event streams are open; poll instead",
                    retryAfter: 10)
            }
            if let user {
                let own = state.users[user, default: 0]
                guard own < userLimit else {
                    throw ProblemDetails(
                        status: 429, code: "too_many_streams", detail: "this user has \(own) event streams open; close some",
                        retryAfter: 10)
                }
                state.users[user] = own + 1
            }
            state.open += 1
        }
        return Slot(self, user)
    }

    private func giveBack(_ user: UserID?) {
        state.withLock { state in
            state.open -= 1
            guard let user, let own = state.users[user] else { return }
            state.users[user] = own > 1 ? own - 1 : nil
        }
    }
}
