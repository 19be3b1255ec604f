// A job's live stream: text as it is written, tools as they work, and the end. Broken connections are made again from the
// last event that was seen, so that none is missed; a restart of the service is only a pause.

import Foundation
import HTTPTransport
import TextFormats

/// One event of a job's stream.
public struct JobEvent: Sendable {
    /// As in docs/openapi.yaml. The server's StreamEvent has the same names; a program that uses this library need not import
    /// the server's types. Kinds that a newer service adds are left out.
    public enum Name: String, Sendable, CaseIterable {
        /// The job's state, run, attempt or progress changed.
        case status
        /// {text}: the next piece of the reply. A `status` with a new epoch voids what came before it.
        case delta
        /// {name, phase}: a tool begins or ends.
        case tool
        /// The whole reply, or the report's id.
        case message
        /// {code, detail}
        case error
        /// Nothing more will come.
        case done
        /// All that came before is void and comes again.
        case reset
    }

    public var name: Name
    public var data: JSON
    /// Where to go on, for a later call; nil where the next event belongs to the same place.
    public var id: String?
}

extension ServiceClient {
    /// Seconds one connection may last and stay silent; the service sends heartbeats.
    private static let longestStream: Double = 24 * 3_600
    private static let longestSilence: Double = 60
    /// A stream is tried so many times as often as a call: a service that is started anew takes longer than a hiccup.
    private static let patience = 3

    /// Gives `look` the events of a job as they happen, on the calling thread, until the job has ended.
    ///
    /// - Parameters:
    ///   - last: the `id` of the last event seen; nil: from the beginning.
    ///   - look: returns false to stop.
    /// - Throws: `ClientFailure`, and what `look` throws.
    public func events(of id: String, after last: String? = nil, _ look: (JobEvent) throws -> Bool) throws {
        var last = last
        var failures = 0
        var pause = options.firstPause
        while true {
            do {
                let isOver = try follow(id, after: last) { event in
                    last = event.id ?? last
                    failures = 0
                    pause = options.firstPause
                    return try look(event)
                }
                if isOver { return }
            } catch let failure as ClientFailure where failure.isPassing && failures < options.tries * Self.patience {
                pause = min(max(pause, failure.retryAfter ?? 0), options.longestPause)
            }
            failures += 1
            guard failures <= options.tries * Self.patience else {
                throw ClientFailure("unreachable", "the stream of job \(id) keeps breaking off", isPassing: true)
            }
            Self.rest(pause)
            pause = min(pause * 2, options.longestPause)
        }
    }

    private struct Stopped: Error {}

    /// One connection. - Returns: whether the job has ended, or the caller wants no more.
    private func follow(_ id: String, after last: String?, _ look: (JobEvent) throws -> Bool) throws -> Bool {
        var call = Call("GET", "jobs", id, "events")
        if let last { call.headers = [("Last-Event-ID", last)] }
        var request = try request(call)
        request.deadline = Self.longestStream
        request.idleTimeout = Self.longestSilence
        var parser = EventStreamParser()
        let response = try withoutActuallyEscaping(look) { look throws -> HTTPResponse? in
            do {
                return try http.send(request, onBody: { piece in
                    for event in try parser.feed(piece) {
                        guard let name = JobEvent.Name(rawValue: event.name) else { continue }
                        let data = (try? JSON.parse(event.data)) ?? .string(event.data)
                        let wantsMore = try look(JobEvent(name: name, data: data, id: event.id))
                        if name == .done || !wantsMore { throw Stopped() }
                    }
                })
            } catch let error as TransportError {
                if error.cause is Stopped { return nil }
                if let cause = error.cause { throw cause }
                throw ClientFailure(error, url: url)
            }
        }
        guard let response else { return true }
        guard response.status < 400 else { throw ClientFailure(response) }
        // 204: nothing comes after that event.
        return response.status == 204
    }
}
