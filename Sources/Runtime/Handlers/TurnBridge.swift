// Where a spool's run record and an agent's turn meet: the journal and the events of a turn become lines of the job's
// status file, and the pool's cancellation flag becomes the turn's token. Used by the worker's thread only.

import Agent
import Foundation
import HTTPTransport
import Logging
import Spool
import TextFormats
import Workers

/// `RunJournal` over the journal lines of a status file.
final class SpoolJournal: RunJournal {
    private let record: RunRecord
    private let run: Int
    private var models: [Int: JSON] = [:]
    private var tools: [String: ToolState] = [:]
    private var requests: [Int: (count: Int, since: Date?)] = [:]

    /// - Parameter run: of the job; what an earlier run asked for does not count in this one.
    init(_ record: RunRecord, run: Int) {
        self.record = record
        self.run = run
        for line in record.replay {
            switch line.kind {
            case .model:
                if let step = line.fields["step"]?.int, let response = line.fields["response"] {
                    models[step] = response
                }
            case .intent:
                if let key = line.fields["call"]?.string, tools[key] == nil { tools[key] = .intentOnly }
                if let step = line.fields["step"]?.int, let count = line.fields["requests"]?.int,
                    line.fields["run"]?.int == run
                {
                    requests[step] = (count, line.fields["since"]?.string.flatMap(RFC3339.date))
                }
            case .result:
                if let key = line.fields["call"]?.string, let text = line.fields["result"]?.string {
                    tools[key] = .result(text)
                }
            }
        }
    }

    func modelResponse(step: Int) -> JSON? { models[step] }

    func recordModelResponse(step: Int, _ response: JSON) throws {
        try record.journal(.model, ["step": JSON(step), "response": response])
        models[step] = response
    }

    func requestsMade(step: Int) -> Int { requests[step]?.count ?? 0 }
    func firstRequest(step: Int) -> Date? { requests[step].flatMap { $0.count > 0 ? $0.since : nil } }

    func recordRequests(step: Int, count: Int, since: Date) throws {
        try record.journal(
            .intent,
            ["step": JSON(step), "requests": JSON(count), "since": .string(RFC3339.string(since)), "run": JSON(run)],
            isRepeatable: true)
        requests[step] = (count, since)
    }

    func toolState(callKey: String) -> ToolState { tools[callKey] ?? .none }

    func recordIntent(callKey: String, name: String, arguments: String) throws {
        try record.journal(
            .intent, ["call": .string(callKey), "name": .string(name), "arguments": .string(arguments)])
        tools[callKey] = .intentOnly
    }

    func recordResult(callKey: String, _ result: String) throws {
        // A call without an intent may be made again: its result need only stand before the model's next answer does.
        try record.journal(
            .result, ["call": .string(callKey), "result": .string(result)], isRepeatable: tools[callKey] == nil)
        tools[callKey] = .result(result)
    }
}

/// `TurnEvents` as event lines. A line that cannot be written is only missed by those who watch.
final class SpoolEvents: TurnEvents {
    private let record: RunRecord
    private let logger: Logger
    private var hasFailed = false

    init(_ record: RunRecord, logger: Logger) {
        self.record = record
        self.logger = logger
    }

    func delta(_ text: String) { write { try record.event(["event": "delta", "text": .string(text)]) } }

    func restart() { write { try record.event(["event": "restart"]) } }

    func tool(name: String, phase: ToolPhase) {
        write { try record.event(["event": "tool", "name": .string(name), "phase": .string(phase.rawValue)]) }
    }

    func progress(_ percent: Int) { write { try record.progress(percent) } }

    private func write(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            if !hasFailed { logger.warning("events of a job are not written", metadata: ["error": "\(error)"]) }
            hasFailed = true
        }
    }
}

extension CancellationFlag {
    /// A token for one turn that is cancelled with this flag, under the name the agent knows the reason by. A drain only
    /// asks: a model call that goes on is paid for, and journaled when it ends in the grace time.
    func turnToken() -> CancellationToken {
        let token = CancellationToken()
        onSet { reason in
            let stop: TurnStop
            switch reason {
            case .cancelled: stop = .cancelled
            case .timeout: stop = .timeout
            case .drain: return token.ask(reason: TurnStop.drain.rawValue)
            case .halt: stop = .drain
            }
            token.cancel(reason: stop.rawValue)
        }
        return token
    }
}
