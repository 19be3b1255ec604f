// The answer as a client sees it grow that cannot be told to forget: what was sent stays sent. Pure.
//
// A job's deltas are the texts of all its model calls, and a call that a crash cut off is made again. So the text of a cut
// call is not continued by the repeated one's: what is missing of the answer comes whole at the end. The same holds where
// words that were sent turned out to be the model's reasoning.

import Foundation
import TextFormats
import WireTypes

struct AnswerText {
    /// All that was sent.
    private(set) var sent = ""
    /// What was sent of the model call under way.
    private var current = ""
    private var epoch: JSON?
    /// The call whose text was sent was cut off.
    private var isCut = false

    /// - Returns: what to send now; nil: nothing.
    mutating func take(_ event: StreamEvent) -> String? {
        switch event.name {
        case .status:
            let next = event.data["epoch"]
            if let epoch, let next, epoch != next, !current.isEmpty { isCut = true }
            epoch = next ?? epoch
            return nil
        case .delta: return isCut ? nil : send(event.data["text"]?.string ?? "")
        case .tool:
            // The call is over; its words were said on the way to the answer.
            if event.data["phase"] == "start" {
                current = ""
                isCut = false
            }
            return nil
        case .message: return finish(event.data["response"]?.string ?? "")
        case .reset:
            // Some of it was no part of the answer. It stays sent; the whole answer follows at the end.
            isCut = isCut || !current.isEmpty
            return nil
        case .error, .done: return nil
        }
    }

    private mutating func send(_ text: String) -> String? {
        guard !text.isEmpty else { return nil }
        let piece = current.isEmpty && !sent.isEmpty ? "\n\n" + text : text
        current += text
        sent += piece
        return piece
    }

    private mutating func finish(_ answer: String) -> String? {
        let said = current.trimmingCharacters(in: .whitespacesAndNewlines)
        guard said != answer.trimmingCharacters(in: .whitespacesAndNewlines) else { return nil }
        if !said.isEmpty, answer.hasPrefix(current) {
            let rest = String(answer.dropFirst(current.count))
            sent += rest
            return rest
        }
        let rest = sent.isEmpty ? answer : "\n\n" + answer
        sent += rest
        return rest
    }
}
