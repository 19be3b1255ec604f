// A job's stream as chunks of a chat completion. One per stream, on its task.

import Jobs
import Spool
import TextFormats
import WireTypes

struct ChatChunkFormat: StreamFormat {
    private let answer: OpenAIAnswer
    private let withUsage: Bool
    private var translator: StreamTranslator
    private var text = AnswerText()
    private var hasBegun = false
    private var isOver = false

    init(_ answer: OpenAIAnswer, withUsage: Bool) {
        self.answer = answer
        self.withUsage = withUsage
        translator = StreamTranslator(jobID: answer.jobID)
    }

    /// Sent text cannot be taken back. This reader starts at the beginning, so it loses nothing.
    mutating func reset() -> String { "" }

    mutating func text(of line: StatusChunk.Line, isLast: Bool) -> (text: String, isDone: Bool) {
        var written = ""
        for event in translator.events(of: line, isLast: isLast) where !isOver {
            if !hasBegun {
                hasBegun = true
                written += Self.wire(
                    answer.chunk(["role": "assistant", "content": "", "refusal": .null], withUsage: withUsage))
            }
            if let piece = text.take(event) {
                written += Self.wire(answer.chunk(["content": .string(piece)], withUsage: withUsage))
            }
            switch event.name {
            case .message:
                written += end(event.data["finish_reason"]?.string ?? "stop", usage: event.data["usage"] ?? .null)
            case .error: written += fail(event)
            case .done where event.data["status"] == "cancelled":
                written += Self.wire(
                    ProblemDetails(status: 409, code: "job_cancelled", detail: "the job was cancelled").openAIError)
            default: break
            }
            isOver = event.name == .done
            if isOver { written += "data: [DONE]\n\n" }
        }
        return (written, isOver)
    }

    private func end(_ reason: String, usage: JSON) -> String {
        var text = Self.wire(answer.chunk([:], finish: reason, withUsage: withUsage))
        guard withUsage else { return text }
        var last = answer
        last.usage = usage
        text += Self.wire(last.chunk(nil, withUsage: true))
        return text
    }

    private func fail(_ event: StreamEvent) -> String {
        let problem = ProblemDetails.jobFailed(
            event.data["code"]?.string ?? "failed", event.data["detail"]?.string ?? "", jobID: answer.jobID)
        return Self.wire(problem.openAIError)
    }

    private static func wire(_ json: JSON) -> String { "data: \(json.text())\n\n" }
}
