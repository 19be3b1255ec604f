// The server-sent events of one job: reads its durable status file and waits for it to grow. Runs on the request's
// task; a waiting stream holds no thread.

import Foundation
import HTTPTypes
import Hummingbird
import Identity
import Jobs
import NIOCore
import Spool
import TextFormats
import WireTypes

/// Streams a job from any position to its end. The client may leave at any time and come back with Last-Event-ID, to
/// this process or another: the position is one of the file, not of the process.
struct EventStream: Sendable {
    let waiter: JobWaiter
    let slots: StreamSlots
    /// Seconds.
    let heartbeatInterval: Double
    /// Seconds.
    let writeTimeout: Int64

    /// - Parameters:
    ///   - from: nil: from the start.
    ///   - format: how the events are written; nil: in our own form.
    /// - Throws: 503 when too many streams are open.
    func response(
        for id: JobID, from position: StreamPosition?, context: APIContext, headers: HTTPFields = [:],
        format: (any StreamFormat)? = nil
    ) throws -> Response {
        let format = format ?? HouseFormat(jobID: "\(id)")
        let slot = try slots.take(for: context.caller.user)
        var headers = headers
        headers[.contentType] = "text/event-stream"
        headers[.cacheControl] = "no-cache"
        headers[.accelBuffering] = "no"
        let body = ResponseBody { writer in
            defer { withExtendedLifetime(slot) {} }
            let output = writer
            try await self.waiter.observing(id, context: context) { signal in
                try await self.write(
                    id, from: position, as: format, signal: signal, output: output, context: context)
            }
            try await output.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }

    /// Whether a reader at `position` has seen all there will be.
    func isOver(_ id: JobID, at position: StreamPosition, for caller: Caller) async throws -> Bool {
        guard try await waiter.view(id, for: caller).state.isFinal else { return false }
        let owner = waiter.owner(of: id, asked: caller)
        let chunk = try await chunk(id, from: position, isChecked: true, for: owner)
        return chunk.lines.isEmpty && !chunk.isReset
    }

    private func write(
        _ id: JobID, from start: StreamPosition?, as form: any StreamFormat, signal: ChangeSignal,
        output: any ResponseBodyWriter, context: APIContext
    ) async throws {
        var output = output
        var format = form
        var position = start
        var isResuming = start != nil
        let owner = waiter.owner(of: id, asked: context.caller)
        var rings = signal.rings.makeAsyncIterator()
        var lastWrite = ContinuousClock.now
        while true {
            let step = try await next(id, from: position, isResuming: isResuming, format: &format, for: owner)
            isResuming = false
            position = step.position
            if !step.text.isEmpty {
                try await send(step.text, to: &output, context: context)
                lastWrite = .now
            }
            if step.isDone { return }
            if step.hasMore { continue }
            if signal.isAbandoned { return }
            guard await rings.next() != nil else { return }
            guard try await mayGoOn(context, owner) else { return }
            if ContinuousClock.now - lastWrite >= .seconds(heartbeatInterval) {
                try await send(StreamEvent.heartbeat, to: &output, context: context)
                lastWrite = .now
            }
        }
    }

    /// A reader with a ticket ends when another connection took the ticket over, or when the ticket is valid no longer.
    private func mayGoOn(_ context: APIContext, _ owner: CallOwner) async throws -> Bool {
        guard let ticket = context.notes.ticket, ticket.isDue else { return true }
        return try await waiter.bridge.run(for: owner) { ticket.goesOn() }
    }

    private struct Step {
        var text = ""
        var position: StreamPosition
        var isDone = false
        var hasMore: Bool
    }

    /// The events of the lines after `position`.
    private func next(
        _ id: JobID, from position: StreamPosition?, isResuming: Bool, format: inout any StreamFormat, for owner: CallOwner
    ) async throws -> Step {
        let chunk = try await chunk(id, from: position, isChecked: isResuming, for: owner)
        var step = Step(position: StreamPosition(epoch: chunk.epoch, offset: chunk.next), hasMore: !chunk.lines.isEmpty)
        if chunk.isReset {
            step.text += format.reset()
        }
        for (index, line) in chunk.lines.enumerated() {
            let written = format.text(of: line, isLast: index == chunk.lines.count - 1)
            step.text += written.text
            if written.isDone { step.isDone = true }
        }
        return step
    }

    /// Checking a position against the file costs a read of all before it, so it is done where it can be wrong: for a
    /// position a client brought, and when a new claim shows, for a claim cuts off a torn end of the file.
    private func chunk(
        _ id: JobID, from position: StreamPosition?, isChecked: Bool, for owner: CallOwner
    ) async throws -> StatusChunk {
        let jobs = waiter.jobs
        return try await waiter.bridge.run(for: owner) {
            let offset = position?.offset ?? 0
            guard var chunk = try jobs.lines(id, from: offset, epoch: isChecked ? position?.epoch : nil) else {
                throw ProblemDetails.noJob("\(id)")
            }
            guard let position, !isChecked else { return chunk }
            let hasNewClaim = chunk.lines.contains { $0.status != nil && $0.epoch != position.epoch }
            if hasNewClaim, let checked = try jobs.lines(id, from: offset, epoch: position.epoch) { return checked }
            // Read without its epoch, lines before the first state do not know theirs: it is still the one before.
            let known = chunk.lines.firstIndex { $0.status != nil }
            for index in chunk.lines[..<(known ?? chunk.lines.endIndex)].indices {
                chunk.lines[index].epoch = position.epoch
            }
            if known == nil { chunk.epoch = position.epoch }
            return chunk
        }
    }

    /// Writes, but not for ever: a client that reads nothing is cut off, so that it can't hold its slot.
    private func send(_ text: String, to output: inout any ResponseBodyWriter, context: APIContext) async throws {
        let channel = context.channel
        let guillotine = channel.eventLoop.scheduleTask(in: .seconds(writeTimeout)) { channel.close(promise: nil) }
        defer { guillotine.cancel() }
        try await output.write(ByteBuffer(string: text))
    }
}
