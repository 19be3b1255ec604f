// The objects of Anthropic's interface, as far as this service speaks it: messages, models, errors. Plain values; any thread.
// Source: Anthropic API reference, "Messages", "Models", "Errors".

import Foundation
import TextFormats

extension OpenAIAnswer {
    /// The answer as a message in Anthropic's form.
    public var anthropicMessage: JSON {
        let content: JSON = state == .completed ? [["type": "text", "text": .string(text), "citations": .null]] : []
        return [
            "id": .string(messageID), "type": "message", "role": "assistant", "model": .string(model), "content": content,
            "stop_reason": state == .completed ? .string(anthropicStopReason) : .null, "stop_sequence": .null,
            "usage": anthropicUsage,
        ]
    }

    public var anthropicStopReason: String {
        switch finishReason {
        case "length": "max_tokens"
        case "content_filter": "refusal"
        default: "end_turn"
        }
    }

    /// Tokens that came from the cache are not counted as input there.
    public var anthropicUsage: JSON {
        func tokens(_ name: String) -> Int { usage[name]?.int ?? 0 }
        let cached = tokens("cached_tokens")
        return [
            "input_tokens": JSON(max(0, tokens("prompt_tokens") - cached)), "output_tokens": JSON(tokens("completion_tokens")),
            "cache_read_input_tokens": JSON(cached), "cache_creation_input_tokens": 0,
        ]
    }
}

extension OpenAIModel {
    public var anthropicJSON: JSON {
        [
            "type": "model", "id": .string(id), "display_name": .string(id), "created_at": .string(RFC3339.string(created)),
        ]
    }
}

extension ProblemDetails {
    /// The same problem in the shape Anthropic's clients read. A wrong field is a bad request there.
    public func anthropicError(requestID: String?) -> JSON {
        var members: JSONObject = [
            "type": "error", "error": ["type": .string(anthropicType), "message": .string(namedDetail)],
            // Members of ours: programs that know this service branch on them.
            "code": .string(code), "request_id": JSON(requestID),
        ]
        if let field { members["param"] = .string(field) }
        if let jobID { members["job_id"] = .string(jobID) }
        return .object(members)
    }

    private var anthropicType: String {
        switch openAIStatus {
        case 401: "authentication_error"
        case 403: "permission_error"
        case 404: "not_found_error"
        case 413: "request_too_large"
        case 429: "rate_limit_error"
        case 503: "overloaded_error"
        case 504: "timeout_error"
        case 500...: "api_error"
        default: "invalid_request_error"
        }
    }
}
