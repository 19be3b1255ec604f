// A job's stream as the events of a response. One per stream, on its task. The events of a job are always the same ones with
// the same numbers, so a reader may come back and name the last one seen.

import Jobs
import Spool
import TextFormats
import WireTypes

struct ResponseEventFormat: StreamFormat {
    private var answer: OpenAIAnswer
    /// Events up to this number were seen before.
    private let startingAfter: Int
    private var translator: StreamTranslator
    private var text = AnswerText()
    private var number = 0
    private var hasBegun = false
    private var hasItem = false
    private var isOver = false

    init(_ answer: OpenAIAnswer, startingAfter: Int = -1) {
        self.answer = answer
        self.startingAfter = startingAfter
        translator = StreamTranslator(jobID: answer.jobID)
    }

    mutating func reset() -> String { "" }

    mutating func text(of line: StatusChunk.Line, isLast: Bool) -> (text: String, isDone: Bool) {
        var written = ""
        for event in translator.events(of: line, isLast: isLast) where !isOver {
            if !hasBegun { written += begin() }
            if let piece = text.take(event) { written += item() + delta(piece) }
            switch event.name {
            case .message:
                answer.usage = event.data["usage"] ?? .null
                answer.state = .completed
                answer.finishReason = event.data["finish_reason"]?.string ?? "stop"
                written += item() + complete()
            case .error: written += fail(event)
            case .done:
                isOver = true
                if event.data["status"] == "cancelled" {
                    answer.state = .cancelled
                    written += wire("response.cancelled", ["response": answer.response])
                }
            default: break
            }
        }
        return (written, isOver)
    }

    private mutating func begin() -> String {
        hasBegun = true
        answer.state = .inProgress
        return wire("response.created", ["response": answer.response])
            + wire("response.in_progress", ["response": answer.response])
    }

    private var place: JSONObject { ["item_id": .string(answer.messageID), "output_index": 0, "content_index": 0] }

    private mutating func item() -> String {
        guard !hasItem else { return "" }
        hasItem = true
        let empty: JSON = ["type": "output_text", "text": "", "annotations": [], "logprobs": []]
        return wire(
            "response.output_item.added", ["output_index": 0, "item": answer.message(status: "in_progress")])
            + wire("response.content_part.added", place.with("part", empty))
    }

    private mutating func delta(_ piece: String) -> String {
        wire("response.output_text.delta", place.with("delta", .string(piece)).with("logprobs", []))
    }

    private mutating func complete() -> String {
        // What was sent in pieces is what the answer is here.
        answer.text = text.sent
        return wire("response.output_text.done", place.with("text", .string(answer.text)).with("logprobs", []))
            + wire("response.content_part.done", place.with("part", answer.outputText))
            + wire(
                "response.output_item.done",
                ["output_index": 0, "item": answer.message(status: answer.isCut ? "incomplete" : "completed")])
            + wire(answer.isCut ? "response.incomplete" : "response.completed", ["response": answer.response])
    }

    private mutating func fail(_ event: StreamEvent) -> String {
        answer.state = .failed
        answer.error = (event.data["code"]?.string ?? "failed", event.data["detail"]?.string ?? "")
        return wire("response.failed", ["response": answer.response])
    }

    private mutating func wire(_ type: String, _ members: JSONObject) -> String {
        defer { number += 1 }
        guard number > startingAfter else { return "" }
        let data = members.with("type", .string(type)).with("sequence_number", JSON(number))
        return "event: \(type)\ndata: \(JSON.object(data).text())\n\n"
    }
}

extension JSONObject {
    fileprivate func with(_ key: String, _ value: JSON) -> JSONObject {
        var copy = self
        copy[key] = value
        return copy
    }
}
