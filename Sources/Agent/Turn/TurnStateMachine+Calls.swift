// What becomes of the tool calls in a model's answer: which may run, and what is said to the others. Part of the pure
// state machine. Every call that enters the history keeps a form all providers accept back.
import Foundation
import Providers
import TextFormats

extension TurnStateMachine {
    mutating func plan(_ calls: [ToolCall], step: Int, wasCut: Bool) -> [PlannedCall] {
        calls.enumerated().map { index, call in
            let failure = refusal(of: call, index: index, wasCut: wasCut)
            var kept = call
            kept.id = uniqueID(call.id, step: step, index: index)
            kept.name = Self.acceptableName(call.name)
            // Broken JSON in the history makes providers refuse the whole conversation.
            if call.parsedArguments == nil { kept.arguments = "{}" }
            return PlannedCall(step: step, index: index, call: kept, refusal: failure?.text)
        }
    }

    private mutating func refusal(of call: ToolCall, index: Int, wasCut: Bool) -> ToolFailure? {
        guard index < limits.callsPerRound else {
            return ToolFailure(
                code: "too_many_calls",
                detail: "only \(limits.callsPerRound) calls are taken from one answer; make this one in the next")
        }
        guard toolNames.contains(call.name) else {
            let hint = Spelling.nearest(to: call.name, in: Array(toolNames)).map { "; did you mean \($0)?" } ?? ""
            let all = toolNames.sorted().joined(separator: ", ")
            return ToolFailure(
                code: "unknown_tool", detail: "there is no tool \"\(call.name.prefix(64))\"\(hint) Tools: \(all)")
        }
        guard let arguments = call.parsedArguments else {
            let reason = wasCut ? "were cut off at the output limit; use shorter arguments" : "are not a JSON object"
            return ToolFailure(
                code: "invalid_arguments",
                detail: "the arguments \(reason). They began: \(call.arguments.prefix(200))")
        }
        let occurrence = repetitions.count(name: call.name, arguments: arguments)
        guard occurrence < limits.identicalCalls else {
            return ToolFailure(
                code: "repeated_call",
                detail: "\(call.name) was called with exactly these arguments \(occurrence - 1) times before in this "
                    + "turn and is not run again: use the earlier result, change the arguments, or answer the user")
        }
        return nil
    }

    /// Some servers give no ids, or the same ones in every answer; a result must name exactly one call of the turn.
    private mutating func uniqueID(_ id: String, step: Int, index: Int) -> String {
        var candidate = id.isEmpty || id.utf8.count > 64 ? "call_\(step)_\(index)" : id
        while !usedCallIDs.insert(candidate).inserted { candidate = "call_\(step)_\(index)_\(usedCallIDs.count)" }
        return candidate
    }

    /// Providers take names of [A-Za-z0-9_-]{1,64} back, whatever their models invent.
    private static func acceptableName(_ name: String) -> String {
        let letters = name.unicodeScalars.filter { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
                || scalar == "_" || scalar == "-"
        }
        let kept = String(String.UnicodeScalarView(letters.prefix(64)))
        return kept.isEmpty ? "unnamed_tool" : kept
    }
}

/// Counts how often a call with the same name and content was made in this turn.
struct RepeatGuard: Sendable {
    private var counts: [String: Int] = [:]

    /// Counts this occurrence too; arguments that differ only in the order of their members are the same.
    mutating func count(name: String, arguments: JSON) -> Int {
        let key = name + "\n" + arguments.sorted.text()
        counts[key, default: 0] += 1
        return counts[key, default: 1]
    }
}
