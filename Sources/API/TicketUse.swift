// The event streams that a ticket can be for, and how a request says that it brings one. Pure; any thread.

import HTTPTypes
import Hummingbird
import Spool
import WireTypes

/// A stream's path: /jobs/{job_id}/events.
struct StreamPath {
    let job: JobID

    /// - Parameter path: without a query, exactly as it is called.
    /// - Returns: nil for what is no event stream.
    init?(_ path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0].isEmpty, parts[1] == "jobs", parts[3] == "events", let job = JobID(String(parts[2])),
            "\(job)" == parts[2]
        else { return nil }
        self.job = job
    }
}

/// A request for an event stream that names a ticket. Other calls know no tickets: there the parameter is ignored.
struct TicketUse: Sendable {
    let text: String
    let path: String
    /// The reader names the last event it has read, as a browser does that connects again.
    let isReturning: Bool

    init?(_ request: Request) {
        guard request.method == .get || request.method == .head, StreamPath(request.uri.path) != nil,
            let text = request.query("ticket")
        else { return nil }
        self.text = text
        path = request.uri.path
        isReturning = request.lastEventID.flatMap { StreamPosition($0) } != nil
    }
}

extension Request {
    /// Where a reader of an event stream goes on; nil: at the start.
    var lastEventID: String? { headers[.lastEventID] ?? query("last_event_id") }
}
