// What inner layers of one request tell the outer ones: who called, how near their bound they are, and what they have leased for
// an answer that is made while it is sent. Made with the
// request's context; written and read on the request's task.
import Identity
import Synchronization

final class RequestNotes: Sendable {
    private struct State {
        var credential: String?
        var rate: RequestRates.Standing?
        var lease: TransferBudget.Lease?
        var ticket: TicketReader?
    }

    private let state = Mutex(State())

    /// nil until the caller is known, and for callers who were not let in.
    var credential: String? { state.withLock { $0.credential } }
    var rate: RequestRates.Standing? { state.withLock { $0.rate } }

    /// The reader of an event stream who came with a ticket; the reading ends when the request's last reference goes.
    var ticket: TicketReader? { state.withLock { $0.ticket } }

    func note(ticket: TicketReader) { state.withLock { $0.ticket = ticket } }
    func note(credential: String) { state.withLock { $0.credential = credential } }
    func note(rate: RequestRates.Standing) { state.withLock { $0.rate = rate } }
    /// Of a body that is made while it is sent, or one so large that its memory was asked for before.
    func note(lease: TransferBudget.Lease) { state.withLock { $0.lease = lease } }

    func takeLease() -> TransferBudget.Lease? {
        state.withLock { state in
            defer { state.lease = nil }
            return state.lease
        }
    }
}
