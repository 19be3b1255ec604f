// Names this process has put into queued/ itself and tells its listeners of: when inotify brings the same name, it is no
// news, and trying to claim the job before its submitter lets go of it would be in vain. Any thread. Never fails: a name
// that has been forgotten is treated as news, which costs one claim that is refused.

import Synchronization

final class OwnNews: Sendable {
    private struct State {
        var expected: Set<JobFileName> = []
        var order: [JobFileName] = []
        var oldest = 0
    }

    private let state = Mutex(State())
    /// Names remembered at most; notifications are read within milliseconds, or lost.
    private static let bound = 8_192

    /// To be called before the rename.
    func expect(_ name: JobFileName) {
        state.withLock { state in
            guard state.expected.insert(name).inserted else { return }
            if state.order.count < OwnNews.bound { return state.order.append(name) }
            state.expected.remove(state.order[state.oldest])
            state.order[state.oldest] = name
            state.oldest = (state.oldest + 1) % OwnNews.bound
        }
    }

    /// The rename did not happen: the name may come from somebody else.
    func forget(_ name: JobFileName) { state.withLock { _ = $0.expected.remove(name) } }

    /// - Returns: whether a notification of this name is the one that was expected.
    func take(_ name: JobFileName) -> Bool { state.withLock { $0.expected.remove(name) != nil } }
}
