// The objects of OpenAI's interface, as far as this service speaks it: chat completions, models, responses, errors. Plain
// values; any thread. Source: OpenAI API reference, "Chat", "Models", "Responses", "Streaming".

import Foundation
import TextFormats

/// An assistant's answer, whatever its state, as OpenAI's clients want to see it.
public struct OpenAIAnswer: Sendable {
    public enum State: String, Sendable {
        case queued
        case inProgress = "in_progress"
        case completed, failed, cancelled
    }

    public var jobID: String
    public var created: Date
    /// As the caller named it.
    public var model: String
    public var state: State
    public var text: String
    /// {prompt_tokens, completion_tokens, total_tokens, cached_tokens, …}; `.null` until the end.
    public var usage: JSON
    public var error: (code: String, message: String)?
    /// `stop`, `length` or `content_filter`.
    public var finishReason = "stop"
    public var sessionID: String
    /// What the caller asked for and gets back as it came.
    public var echo: JSONObject = [:]

    public init(
        jobID: String, created: Date, model: String, state: State, text: String, usage: JSON,
        error: (code: String, message: String)? = nil, sessionID: String
    ) {
        self.jobID = jobID
        self.created = created
        self.model = model
        self.state = state
        self.text = text
        self.usage = usage
        self.error = error
        self.sessionID = sessionID
    }

    private var createdSeconds: JSON { .int(Int64(created.timeIntervalSince1970)) }

    // MARK: Chat completions

    public var completionID: String { "chatcmpl-\(jobID)" }

    public var completion: JSON {
        let message: JSON = ["role": "assistant", "content": .string(text), "refusal": .null, "annotations": []]
        let choice: JSON = ["index": 0, "message": message, "logprobs": .null, "finish_reason": .string(finishReason)]
        return [
            "id": .string(completionID), "object": "chat.completion", "created": createdSeconds,
            "model": .string(model), "choices": [choice], "usage": completionUsage, "service_tier": "default",
            "system_fingerprint": .null,
        ]
    }

    public var completionUsage: JSON {
        [
            "prompt_tokens": tokens("prompt_tokens"), "completion_tokens": tokens("completion_tokens"),
            "total_tokens": tokens("total_tokens"), "prompt_tokens_details": ["cached_tokens": tokens("cached_tokens")],
            "completion_tokens_details": ["reasoning_tokens": 0],
        ]
    }

    /// One event of a streamed completion.
    ///
    /// - Parameters:
    ///   - delta: what is new; nil: the event that carries the usage and no choice.
    ///   - withUsage: the caller wants usage, so every event has the member.
    public func chunk(_ delta: JSON?, finish: String? = nil, withUsage: Bool) -> JSON {
        var members: JSONObject = [
            "id": .string(completionID), "object": "chat.completion.chunk", "created": createdSeconds,
            "model": .string(model), "service_tier": "default", "system_fingerprint": .null,
        ]
        if let delta {
            let choice: JSON = ["index": 0, "delta": delta, "logprobs": .null, "finish_reason": JSON(finish)]
            members["choices"] = [choice]
            if withUsage { members["usage"] = .null }
        } else {
            members["choices"] = []
            members["usage"] = completionUsage
        }
        return .object(members)
    }

    // MARK: Responses

    public var responseID: String { "resp_\(jobID)" }
    public var messageID: String { "msg_\(jobID)" }

    /// What `responseID` says about the job; nil for an id that is none of ours.
    public static func jobID(inResponse id: String) -> String? {
        id.hasPrefix("resp_") ? String(id.dropFirst(5)) : nil
    }

    public var outputText: JSON {
        ["type": "output_text", "text": .string(text), "annotations": [], "logprobs": []]
    }

    /// The only item there is.
    public func message(status: String) -> JSON {
        let content: JSON = status == "completed" || status == "incomplete" ? [outputText] : []
        return [
            "id": .string(messageID), "type": "message", "status": .string(status), "role": "assistant",
            "content": content,
        ]
    }

    /// Whether the text is only the beginning of an answer.
    public var isCut: Bool { state == .completed && finishReason != "stop" }
    private var cutReason: String { finishReason == "length" ? "max_output_tokens" : finishReason }

    public var response: JSON {
        var members: JSONObject = [
            "id": .string(responseID), "object": "response", "created_at": createdSeconds,
            "status": .string(isCut ? "incomplete" : state.rawValue), "background": false,
            "error": error.map { ["code": .string($0.code), "message": .string($0.message)] } ?? .null,
            "incomplete_details": isCut ? ["reason": .string(cutReason)] : .null,
            "instructions": .null, "max_output_tokens": .null, "max_tool_calls": .null,
            "model": .string(model), "output": state == .completed ? [message(status: isCut ? "incomplete" : "completed")] : [],
            "parallel_tool_calls": true, "previous_response_id": .null,
            "reasoning": ["effort": .null, "summary": .null], "service_tier": "default", "store": true,
            "temperature": 1.0, "text": ["format": ["type": "text"]], "tool_choice": "auto", "tools": [],
            "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled",
            "usage": usage.isNull ? .null : responseUsage, "user": .null, "metadata": [:],
            "conversation": ["id": .string(sessionID)],
        ]
        members.merge(echo)
        return .object(members)
    }

    private var responseUsage: JSON {
        [
            "input_tokens": tokens("prompt_tokens"), "input_tokens_details": ["cached_tokens": tokens("cached_tokens")],
            "output_tokens": tokens("completion_tokens"), "output_tokens_details": ["reasoning_tokens": 0],
            "total_tokens": tokens("total_tokens"),
        ]
    }

    private func tokens(_ key: String) -> JSON { JSON(usage[key]?.int ?? 0) }
}

/// A model that may be named in a request.
public struct OpenAIModel: Sendable, Hashable {
    public var id: String
    public var owner: String
    public var created: Date

    public init(id: String, owner: String, created: Date) {
        self.id = id
        self.owner = owner
        self.created = created
    }

    public var json: JSON {
        [
            "id": .string(id), "object": "model", "created": .int(Int64(created.timeIntervalSince1970)),
            "owned_by": .string(owner),
        ]
    }
}

extension ProblemDetails {
    /// The same problem in the shape OpenAI's clients read. A wrong field is a bad request there.
    public var openAIError: JSON {
        var error: JSONObject = [
            "message": .string(namedDetail), "type": .string(openAIType), "param": JSON(field), "code": .string(code),
        ]
        // A member of ours: their clients pass it on as it is.
        if let jobID { error["job_id"] = .string(jobID) }
        return ["error": .object(error)]
    }

    /// The detail, beginning with the parameter where it does not name it.
    var namedDetail: String {
        guard let field, !field.isEmpty, !detail.contains(field) else { return detail }
        return "\(field): \(detail)"
    }

    public var openAIStatus: Int { status == 422 ? 400 : status }

    private var openAIType: String {
        switch openAIStatus {
        case 401: "authentication_error"
        case 403: "permission_error"
        case 429: code.hasPrefix("budget_") ? "insufficient_quota" : "rate_limit_error"
        case 500...: "server_error"
        default: "invalid_request_error"
        }
    }
}
