// A job's stream as the events of a message in Anthropic's form. One per stream, on its task.

import Jobs
import Spool
import TextFormats
import WireTypes

struct MessageEventFormat: StreamFormat {
    private var answer: OpenAIAnswer
    private let requestID: String
    private var translator: StreamTranslator
    private var text = AnswerText()
    private var hasBegun = false
    private var isOver = false

    init(_ answer: OpenAIAnswer, requestID: String) {
        self.answer = answer
        self.requestID = requestID
        translator = StreamTranslator(jobID: answer.jobID)
    }

    /// Sent text cannot be taken back. This reader starts at the beginning, so it loses nothing.
    mutating func reset() -> String { "" }

    mutating func text(of line: StatusChunk.Line, isLast: Bool) -> (text: String, isDone: Bool) {
        var written = ""
        for event in translator.events(of: line, isLast: isLast) where !isOver {
            if !hasBegun { written += begin() }
            if let piece = text.take(event) {
                let delta: JSON = ["type": "text_delta", "text": .string(piece)]
                written += Self.wire("content_block_delta", ["index": 0, "delta": delta])
            }
            switch event.name {
            case .message: written += complete(event)
            case .error:
                written += fail(
                    .jobFailed(event.data["code"]?.string ?? "failed", event.data["detail"]?.string ?? "", jobID: answer.jobID))
            case .done where event.data["status"] == "cancelled":
                written += fail(ProblemDetails(status: 409, code: "job_cancelled", detail: "the job was cancelled"))
            default: break
            }
            isOver = event.name == .done
        }
        return (written, isOver)
    }

    private mutating func begin() -> String {
        hasBegun = true
        let block: JSON = ["type": "text", "text": ""]
        return Self.wire("message_start", ["message": answer.anthropicMessage])
            + Self.wire("content_block_start", ["index": 0, "content_block": block]) + Self.wire("ping", [:])
    }

    private mutating func complete(_ event: StreamEvent) -> String {
        answer.usage = event.data["usage"] ?? .null
        answer.finishReason = event.data["finish_reason"]?.string ?? "stop"
        let delta: JSON = ["stop_reason": .string(answer.anthropicStopReason), "stop_sequence": .null]
        return Self.wire("content_block_stop", ["index": 0])
            + Self.wire("message_delta", ["delta": delta, "usage": answer.anthropicUsage]) + Self.wire("message_stop", [:])
    }

    private func fail(_ problem: ProblemDetails) -> String {
        "event: error\ndata: \(problem.anthropicError(requestID: requestID).text())\n\n"
    }

    private static func wire(_ type: String, _ members: JSONObject) -> String {
        var data: JSONObject = ["type": .string(type)]
        data.merge(members)
        return "event: \(type)\ndata: \(JSON.object(data).text())\n\n"
    }
}
