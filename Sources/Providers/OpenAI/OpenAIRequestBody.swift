// A ChatRequest as the body of a chat completions call. Pure.
import TextFormats

struct OpenAIRequestBody {
    let account: String
    let dialect: OpenAIDialect

    func json(_ request: ChatRequest) -> JSON {
        var body: JSONObject = [
            "model": .string(request.model),
            "messages": .array(joined(dialect.demandsReasoning ? told(request.messages) : request.messages).map(message)),
        ]
        // Not `tool_choice: none`: many servers ignore it, none can call a tool it was not told of. Some (Bedrock, LiteLLM
        // in front of it) refuse a conversation with calls in it where no tool is named.
        if !request.tools.isEmpty, request.toolChoice != .none || dialect.keepsTools {
            body["tools"] = .array(request.tools.map(tool))
            if request.toolChoice == .none { body["tool_choice"] = "none" }
        }
        if let temperature = request.temperature, !dialect.omitsTemperature {
            body["temperature"] = .double(temperature)
        }
        if let maxTokens = request.maxTokens {
            body[dialect.usesMaxCompletionTokens ? "max_completion_tokens" : "max_tokens"] = .int(Int64(maxTokens))
        }
        if let user = request.user, !dialect.omitsUser { body["user"] = .string(user) }
        if request.stream {
            body["stream"] = true
            if !dialect.omitsStreamOptions { body["stream_options"] = ["include_usage": true] }
        }
        return .object(request.extra.map { MergePatch.merged(body, with: $0) } ?? body)
    }

    /// Calls whose reasoning is not known, and their results, as text: some servers refuse calls without it. Such calls come
    /// from another model, or from a session that was stored before reasoning was kept.
    private func told(_ messages: [ChatMessage]) -> [ChatMessage] {
        var names: [String: String] = [:]
        return messages.map { message in
            if message.role == .assistant, !message.toolCalls.isEmpty, reasoningToReturn(message) == nil {
                for call in message.toolCalls { names[call.id] = call.name }
                let calls = message.toolCalls.map { "[called the tool \($0.name) with \($0.arguments)]" }
                return .assistant(([message.content] + calls).filter { !$0.isEmpty }.joined(separator: "\n"))
            }
            if message.role == .tool, let id = message.toolCallID, let name = names[id] {
                return .user("[result of the tool \(name)]\n\(message.content)")
            }
            if message.role == .assistant { for call in message.toolCalls { names[call.id] = nil } }
            return message
        }
    }

    /// Templates of many open models want question and answer to alternate; where an answer never came, two questions stand
    /// next to each other.
    private func joined(_ messages: [ChatMessage]) -> [ChatMessage] {
        var joined: [ChatMessage] = []
        for message in messages {
            if message.role == .user, var last = joined.last, last.role == .user {
                last.content += "\n\n" + message.content
                joined[joined.count - 1] = last
            } else {
                joined.append(message)
            }
        }
        return joined
    }

    private func message(_ message: ChatMessage) -> JSON {
        var fields = JSONObject([("role", .string(message.role.rawValue)), ("content", .string(message.content))])
        switch message.role {
        case .assistant where !message.toolCalls.isEmpty:
            if message.content.isEmpty { fields["content"] = .null }
            let state = message.providerState?["account"]?.string == account ? message.providerState : nil
            fields["tool_calls"] = .array(message.toolCalls.map { call($0, extra: state?["extra_content"]?[$0.id]) })
            if let reasoning = reasoningToReturn(message) { fields["reasoning_content"] = .string(reasoning) }
        case .tool: fields["tool_call_id"] = .string(message.toolCallID ?? "")
        default: break
        }
        return .object(fields)
    }

    /// Thinking models that call tools want their thoughts back with the results (DeepSeek refuses the call otherwise).
    /// Only the account that sent them gets them: others refuse the unknown field.
    func reasoningToReturn(_ message: ChatMessage) -> String? {
        guard !dialect.omitsReasoning, message.providerState?["account"]?.string == account,
            message.providerState?["returns"]?.string == "reasoning_content"
        else { return nil }
        return message.reasoning
    }

    private func call(_ call: ToolCall, extra: JSON?) -> JSON {
        // Servers parse these texts again: one broken text from the model would make every later call fail.
        let arguments = call.parsedArguments == nil || call.arguments.isEmpty ? "{}" : call.arguments
        var fields: JSONObject = [
            "id": .string(call.id), "type": "function",
            "function": ["name": .string(call.name), "arguments": .string(arguments)],
        ]
        if let extra { fields["extra_content"] = extra }
        return .object(fields)
    }

    private func tool(_ tool: ToolDefinition) -> JSON {
        [
            "type": "function",
            "function": [
                "name": .string(tool.name), "description": .string(tool.description), "parameters": tool.parameters,
            ],
        ]
    }
}
