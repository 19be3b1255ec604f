// A finished or waiting job's turn, read back from its status file and played through again. Reads only, without the job's
// lock: of a job that runs it sees what is there so far. Failure: SpoolError, JobError.

import Agent
import Foundation
import Jobs
import Logging
import Providers
import Spool
import Tenants
import TextFormats

/// `RunJournal` of what was recorded; nothing can be added.
private final class RecordedJournal: RunJournal {
    struct ReadOnly: Error {}

    private var models: [Int: JSON] = [:]
    private var results: [String: String] = [:]
    private(set) var isEmpty = true

    func add(_ line: StatusChunk.Line) {
        switch line.type {
        case .model:
            guard let step = line.fields["step"]?.int, let response = line.fields["response"] else { return }
            models[step] = response
            isEmpty = false
        case .result:
            guard let key = line.fields["call"]?.string, let text = line.fields["result"]?.string else { return }
            results[key] = text
        case .status:
            if line.status?.voidsJournal == true { (models, results, isEmpty) = ([:], [:], true) }
        case .event, .intent: return
        }
    }

    func modelResponse(step: Int) -> JSON? { models[step] }
    func toolState(callKey: String) -> ToolState { results[callKey].map { .result($0) } ?? .none }
    func recordModelResponse(step: Int, _ response: JSON) throws { throw ReadOnly() }
    func requestsMade(step: Int) -> Int { 0 }
    func firstRequest(step: Int) -> Date? { nil }
    func recordRequests(step: Int, count: Int, since: Date) throws { throw ReadOnly() }
    func recordIntent(callKey: String, name: String, arguments: String) throws { throw ReadOnly() }
    func recordResult(callKey: String, _ result: String) throws { throw ReadOnly() }
}

/// A turn played through again, as it is shown.
public struct ReplayReport: Sendable {
    public let answer: String?
    public let divergences: [String]
    private let replay: TurnReplay
    private let id: JobID

    init(_ replay: TurnReplay, of view: JobView) {
        self.replay = replay
        id = view.id
        answer = replay.answer
        var divergences = replay.divergences
        if let then = view.response, let now = replay.answer, then != now {
            divergences.append("the answer was another: \(then.prefix(200))")
        }
        self.divergences = divergences
    }

    public var stepCount: Int { replay.steps.count }

    /// - Parameter step: only that one; nil: all.
    public func json(step: Int?) -> JSON {
        [
            "job_id": .string(id.description), "steps": .array(steps(step).map(Self.json)),
            "end": .string(replay.end), "answer": JSON(answer), "divergences": JSON(divergences),
        ]
    }

    public func lines(step: Int?) -> [String] {
        steps(step).flatMap(Self.lines) + (step == nil ? [replay.end] : []) + divergences.map { "differs: \($0)" }
    }

    private func steps(_ step: Int?) -> [TurnReplay.Step] { replay.steps.filter { step == nil || $0.number == step } }

    private static func json(_ step: TurnReplay.Step) -> JSON {
        let calls = step.calls.map { call -> JSON in
            [
                "name": .string(call.name), "arguments": .string(call.arguments), "result": JSON(call.result),
                "refusal": JSON(call.refusal),
            ]
        }
        return [
            "step": JSON(step.number), "at": .string(RFC3339.string(step.at)), "model": .string(step.model),
            "text": .string(step.text), "usage": step.usage.json, "calls": .array(calls),
        ]
    }

    private static func lines(_ step: TurnReplay.Step) -> [String] {
        var lines = ["step \(step.number)  \(RFC3339.string(step.at))  \(step.model)  \(step.usage.totalTokens) tokens"]
        if !step.text.isEmpty { lines.append("  says: \(step.text)") }
        for call in step.calls {
            lines.append("  calls \(call.name) \(call.arguments)")
            lines.append("    \(call.result ?? call.refusal.map { "refused: \($0)" } ?? "no result")")
        }
        return lines
    }
}

extension NanobotServices {
    /// - Returns: nil when the job's file is gone or cannot be read.
    private func request(of id: JobID) throws -> JobRequest? {
        guard let payload = try spool.payload(id) else { return nil }
        return try AdmittedJob(payload: payload, now: now()).request
    }

    /// As the turn had it: the job's, else the user's.
    private func language(of id: JobID, _ view: JobView) throws -> String {
        if let language = try request(of: id)?.language { return language }
        return try configs.get(view.userID).preferences.language
    }

    /// - Returns: nil when there is no such job, or it has no recorded model call.
    public func replay(_ id: JobID) throws -> ReplayReport? {
        guard let view = try client.view(id) else { return nil }
        let journal = RecordedJournal()
        var offset = 0
        while let chunk = try spool.lines(id, from: offset, epoch: nil), chunk.next > offset {
            for line in chunk.lines { journal.add(line) }
            offset = chunk.next
        }
        guard !journal.isEmpty else { return nil }
        let kind: TurnKind =
            switch view.kind {
            case .chat: .chat
            case .report: .report
            case .heartbeat: .heartbeat
            }
        let replay = TurnReplay(
            journal: journal, kind: kind, tools: .standard(adding: moreTools(), logger: logger),
            language: try language(of: id, view), userMessage: try request(of: id)?.message ?? "")
        return ReplayReport(replay, of: view)
    }
}
