// What inner layers of one request tell the outermost: who called, and how near their bound they are. Made with the
// request's context; written and read on the request's task.
import Identity
import Synchronization

final class RequestNotes: Sendable {
    private struct State {
        var credential: String?
        var rate: RequestRates.Standing?
    }

    private let state = Mutex(State())

    /// nil until the caller is known, and for callers who were not let in.
    var credential: String? { state.withLock { $0.credential } }
    var rate: RequestRates.Standing? { state.withLock { $0.rate } }

    func note(credential: String) { state.withLock { $0.credential = credential } }
    func note(rate: RequestRates.Standing) { state.withLock { $0.rate = rate } }
}
