// A server as a child process: one JSON message a line. The child is ended when the channel goes. Any thread: exchanges and the
// listener take turns.
// Source: Model Context Protocol, revision 2025-11-25, "Transports: stdio".
import Foundation
import HTTPTransport
import Subprocesses
import Synchronization
import TextFormats

/// `@unchecked Sendable`: `process` and `lines` are used while `turn` is held; `waitForOutput` needs no lock.
final class StdioChannel: MCPChannel, @unchecked Sendable {
    /// Seconds the listener waits for output at once: so long a closed channel may keep its thread.
    private static let tick = 5.0
    /// Seconds until an answer to the server's request must be taken by it.
    private static let patience = 5.0

    private let process: TalkingProcess
    private let server: String
    private let turn = NSLock()
    private let isClosed = Atomic(false)
    private var lines = MCPLines()

    /// - Throws: `unavailable` when it cannot be started.
    init(server: String, command: MCPCommand) throws(MCPError) {
        self.server = server
        do throws(SubprocessError) {
            process = try TalkingProcess(
                program: command.program, arguments: command.arguments, environment: command.environment())
        } catch {
            throw MCPError(.unavailable, "\(server): \(error)")
        }
    }

    func exchange(
        _ request: JSON, id: Int, seconds: Double, cancellation: CancellationToken?, other: @escaping (JSON) -> JSON?
    ) throws(MCPError) -> JSON {
        turn.lock()
        defer { turn.unlock() }
        let deadline = ProcessInfo.processInfo.systemUptime + seconds
        let isStopped = { cancellation?.isCancelled ?? false }
        try translated(id) { () throws(TalkingError) in try send(request, deadline, isStopped) }
        while true {
            let line = try translated(id) { () throws(TalkingError) in
                try process.line(until: deadline, maxBytes: MCPBounds.message, isStopped: isStopped)
            }
            var found: JSON?
            switch lines.take(line) {
            case .noise: continue
            case .unreadable(let reason):
                throw MCPError(.protocolError, "\(server) sent an answer that is no JSON: \(reason)", mayHaveRun: true)
            case .messages(let messages):
                for message in messages {
                    if MCPReading.answers(message, id) {
                        found = message
                    } else if let answer = other(message) {
                        try translated(id) { () throws(TalkingError) in try send(answer, deadline, isStopped) }
                    }
                }
            }
            guard let found else { continue }
            // What came with the answer would wait for the next line otherwise. An end is the next caller's.
            try? hear(other)
            return found
        }
    }

    /// Receives what is there without waiting for more. The caller holds `turn`.
    private func hear(_ other: (JSON) -> JSON?) throws(TalkingError) {
        while let line = try process.readyLine(maxBytes: MCPBounds.message) {
            guard case .messages(let messages) = lines.take(line) else { continue }
            for message in messages {
                guard let answer = other(message) else { continue }
                try send(answer, ProcessInfo.processInfo.systemUptime + Self.patience) { false }
            }
        }
    }

    func listen(other: @escaping (JSON) -> JSON?) -> MCPListening {
        while !isClosed.load(ordering: .acquiring) {
            guard process.waitForOutput(seconds: Self.tick) else { continue }
            do throws(TalkingError) {
                turn.lock()
                defer { turn.unlock() }
                if !isClosed.load(ordering: .acquiring) { try hear(other) }
            } catch {
                return isClosed.load(ordering: .acquiring) ? .closed : .gone
            }
        }
        return .closed
    }

    func notify(_ message: JSON) throws(MCPError) {
        turn.lock()
        defer { turn.unlock() }
        try translated(nil) { () throws(TalkingError) in
            try send(message, ProcessInfo.processInfo.systemUptime + 5) { false }
        }
    }

    func agreed(on version: String) {}

    func close() {
        isClosed.store(true, ordering: .releasing)
        turn.withLock { process.stop() }
    }

    private func send(_ message: JSON, _ deadline: TimeInterval, _ isStopped: () -> Bool) throws(TalkingError) {
        try process.send(message.bytes() + [UInt8(ascii: "\n")], until: deadline, isStopped: isStopped)
    }

    /// - Parameter id: of the request to take back when nobody waits for it any more.
    private func translated<Value>(_ id: Int?, _ body: () throws(TalkingError) -> Value) throws(MCPError) -> Value {
        do throws(TalkingError) {
            return try body()
        } catch {
            switch error {
            case .ended:
                let said = process.complaints
                throw MCPError(
                    .unavailable, "\(server) has ended" + (said.isEmpty ? "" : ": \(said.suffix(300))"),
                    mayHaveRun: true)
            case .tooLong:
                throw MCPError(
                    .protocolError, "\(server) sent a line of more than \(MCPBounds.message) bytes", mayHaveRun: true)
            case .timeout:
                withdraw(id)
                throw MCPError(.timeout, "\(server) did not answer in time", mayHaveRun: true)
            case .stopped:
                withdraw(id)
                throw MCPError(.cancelled, "cancelled while \(server) was working", mayHaveRun: true)
            }
        }
    }

    private func withdraw(_ id: Int?) {
        guard let id else { return }
        // Only politeness: a server that reads nothing will not read this either.
        try? send(MCPMessage.cancelled(id), ProcessInfo.processInfo.systemUptime + 0.2) { false }
    }
}
