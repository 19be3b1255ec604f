// What is said in a conversation with a model, independent of any vendor's wire format. Pure values.
// `json` and `init(json:)` are nanobot's own stored form (sessions, journal), not a vendor's.
import TextFormats

/// Who speaks.
public enum ChatRole: String, Sendable, Hashable, CaseIterable {
    case system, user, assistant, tool
}

/// One call of a tool, as the model asked for it.
public struct ToolCall: Sendable, Hashable {
    /// The model's id of this call; the answering message carries it as `toolCallID`. Never empty.
    public var id: String
    public var name: String
    /// The JSON text the model wrote, unchecked: models do write broken JSON.
    public var arguments: String

    public init(id: String, name: String, arguments: String) {
        self.id = id
        self.name = name
        self.arguments = arguments
    }

    /// The arguments as an object; `{}` for an empty text; nil if the text is no JSON object.
    public var parsedArguments: JSON? {
        if arguments.allSatisfy(\.isWhitespace) { return .object(JSONObject()) }
        // A parse error carries nothing the caller could use: the model is told its arguments were not JSON.
        guard let value = try? JSON.parse(arguments), value.object != nil else { return nil }
        return value
    }

    public var json: JSON {
        ["id": .string(id), "name": .string(name), "arguments": .string(arguments)]
    }

    public init?(json: JSON) {
        guard let id = json["id"]?.string, let name = json["name"]?.string,
            let arguments = json["arguments"]?.string
        else { return nil }
        self.init(id: id, name: name, arguments: arguments)
    }
}

/// A tool the model may call.
public struct ToolDefinition: Sendable, Hashable {
    public var name: String
    public var description: String
    /// JSON Schema of the arguments; an object schema.
    public var parameters: JSON

    public init(name: String, description: String, parameters: JSON) {
        self.name = name
        self.description = description
        self.parameters = parameters
    }
}

/// One message of a conversation.
public struct ChatMessage: Sendable, Hashable {
    public var role: ChatRole
    /// The text; may be empty when an assistant's message only calls tools.
    public var content: String
    /// Only on assistant messages.
    public var toolCalls: [ToolCall]
    /// Only on tool messages: the call this answers.
    public var toolCallID: String?
    /// On tool messages the tool's name.
    public var name: String?
    /// What a reasoning model thought aloud, for people to read.
    public var reasoning: String?
    /// What the provider that made this message wants back with it unchanged (signed thinking blocks). Opaque to all
    /// others; a provider of another type ignores it.
    public var providerState: JSON?
    /// Bytes at the beginning of the text that later requests repeat exactly; nil: all of it. Not stored. A provider whose
    /// cache is told where to end a prefix ends it there.
    public var stableBytes: Int?

    public init(
        role: ChatRole, content: String, toolCalls: [ToolCall] = [], toolCallID: String? = nil, name: String? = nil,
        reasoning: String? = nil, providerState: JSON? = nil
    ) {
        self.role = role
        self.content = content
        self.toolCalls = toolCalls
        self.toolCallID = toolCallID
        self.name = name
        self.reasoning = reasoning
        self.providerState = providerState
    }

    public static func system(_ text: String) -> ChatMessage { ChatMessage(role: .system, content: text) }
    public static func user(_ text: String) -> ChatMessage { ChatMessage(role: .user, content: text) }
    public static func assistant(_ text: String, toolCalls: [ToolCall] = []) -> ChatMessage {
        ChatMessage(role: .assistant, content: text, toolCalls: toolCalls)
    }
    public static func tool(_ result: String, callID: String, name: String) -> ChatMessage {
        ChatMessage(role: .tool, content: result, toolCallID: callID, name: name)
    }

    public var json: JSON {
        var fields = JSONObject([("role", .string(role.rawValue)), ("content", .string(content))])
        if !toolCalls.isEmpty { fields["tool_calls"] = .array(toolCalls.map(\.json)) }
        if let toolCallID { fields["tool_call_id"] = .string(toolCallID) }
        if let name { fields["name"] = .string(name) }
        if let reasoning { fields["reasoning"] = .string(reasoning) }
        if let providerState { fields["provider_state"] = providerState }
        return .object(fields)
    }

    /// nil if a field is missing or of the wrong type; unknown keys are ignored, so that newer files stay readable.
    public init?(json: JSON) {
        guard let role = (json["role"]?.string).flatMap(ChatRole.init(rawValue:)),
            let content = json["content"]?.string
        else { return nil }
        var calls: [ToolCall] = []
        for item in json["tool_calls"]?.array ?? [] {
            guard let call = ToolCall(json: item) else { return nil }
            calls.append(call)
        }
        self.init(
            role: role, content: content, toolCalls: calls, toolCallID: json["tool_call_id"]?.string,
            name: json["name"]?.string, reasoning: json["reasoning"]?.string, providerState: json["provider_state"])
    }
}
