// Names this process has put into queued/ itself and tells its listeners of: when inotify brings the same name, it is no
// news, and trying to claim the job before its submitter lets go of it would be in vain. Any thread. Never fails: a name
// that has been forgotten is treated as news, which costs one claim that is refused.

import Foundation

final class OwnNews: Sendable {
    /// What can differ between two names of one job in queued/: cheap to hash, as it is done under the lock.
    private struct Key: Hashable {
        var id: JobID
        var due: Int64
        var counts: SIMD4<Int>

        init(_ name: JobFileName) {
            id = name.id
            due = name.dueMilliseconds
            counts = SIMD4(name.run, name.attempt, name.crashes, name.isDead ? 1 : 0)
        }
    }

    private struct State {
        var expected: Set<Key> = []
        var order: [Key] = []
        var oldest = 0
    }

    /// Taken with every job: a thread that waits sleeps instead of spinning.
    private let lock = NSLock()
    /// Guarded by `lock`.
    nonisolated(unsafe) private var state = State()
    /// Names remembered at most; notifications are read within milliseconds, or lost.
    private static let bound = 8_192

    /// To be called before the rename.
    func expect(_ name: JobFileName) {
        let key = Key(name)
        lock.withLock {
            guard state.expected.insert(key).inserted else { return }
            if state.order.count < OwnNews.bound { return state.order.append(key) }
            state.expected.remove(state.order[state.oldest])
            state.order[state.oldest] = key
            state.oldest = (state.oldest + 1) % OwnNews.bound
        }
    }

    /// The rename did not happen: the name may come from somebody else.
    func forget(_ name: JobFileName) { lock.withLock { _ = state.expected.remove(Key(name)) } }

    /// - Returns: whether a notification of this name is the one that was expected.
    func take(_ name: JobFileName) -> Bool { lock.withLock { state.expected.remove(Key(name)) != nil } }
}
