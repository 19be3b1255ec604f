// A journal in memory that outlives "processes": after a set number of records it calls `onLimit`, which a test uses to
// stop the turn there; or it fails instead of recording.
import Agent
import Foundation
import TextFormats

final class MemoryJournal: RunJournal {
    struct Full: Error {}

    private(set) var responses: [Int: JSON] = [:]
    private(set) var intents: Set<String> = []
    private(set) var results: [String: String] = [:]
    /// What was recorded, in order: "model 0", "intent 0:0", "result 0:0".
    private(set) var log: [String] = []
    var recordsLeft = Int.max
    var failsAtLimit = false
    var onLimit: () -> Void = {}

    func modelResponse(step: Int) -> JSON? { responses[step] }

    func recordModelResponse(step: Int, _ response: JSON) throws {
        try spend()
        responses[step] = response
        noted("model \(step)")
    }

    private(set) var requests: [Int: Int] = [:]

    func requestsMade(step: Int) -> Int { requests[step] ?? 0 }

    private(set) var beginnings: [Int: Date] = [:]

    func firstRequest(step: Int) -> Date? { requestsMade(step: step) > 0 ? beginnings[step] : nil }

    func recordRequests(step: Int, count: Int, since: Date) throws {
        requests[step] = count
        beginnings[step] = since
    }

    func toolState(callKey: String) -> ToolState {
        if let result = results[callKey] { return .result(result) }
        return intents.contains(callKey) ? .intentOnly : .none
    }

    func recordIntent(callKey: String, name: String, arguments: String) throws {
        try spend()
        intents.insert(callKey)
        noted("intent \(callKey)")
    }

    func recordResult(callKey: String, _ result: String) throws {
        try spend()
        results[callKey] = result
        noted("result \(callKey)")
    }

    private func spend() throws {
        if failsAtLimit, recordsLeft == 0 { throw Full() }
    }

    private func noted(_ line: String) {
        log.append(line)
        recordsLeft -= 1
        if recordsLeft == 0, !failsAtLimit { onLimit() }
    }
}

final class MemoryEvents: TurnEvents {
    private(set) var text = ""
    private(set) var tools: [String] = []
    private(set) var percents: [Int] = []

    func delta(_ text: String) { self.text += text }
    private(set) var restarts = 0
    func restart() {
        text = ""
        restarts += 1
    }
    func tool(name: String, phase: ToolPhase) { tools.append("\(name) \(phase.rawValue)") }
    func progress(_ percent: Int) { percents.append(percent) }
}
