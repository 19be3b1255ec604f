// A ChatRequest as the body of a Messages call. Pure.
//
// What differs from a plain list of messages: the system text stands apart; roles alternate, so neighbours of one role
// are joined; tool results are parts of a user's message; empty texts are refused; ids have a narrow alphabet.
// Cache marks go on what stays the same from call to call: the tools, the system text, and the conversation so far.
import TextFormats

struct AnthropicRequestBody {
    /// The interface demands a bound; this one is asked for where the caller names none.
    static let defaultMaxTokens = 8_192

    private static let cacheMark: JSON = ["type": "ephemeral"]

    private let request: ChatRequest

    private let thinkingTokens: Int

    /// - Parameter thinkingTokens: at least 1,024; 0: no thinking.
    init(_ request: ChatRequest, thinkingTokens: Int = 0) {
        self.request = request
        self.thinkingTokens = thinkingTokens
    }

    var json: JSON {
        var body: JSONObject = [
            "model": .string(request.model),
            "max_tokens": .int(Int64(request.maxTokens ?? Self.defaultMaxTokens)),
        ]
        let tools = self.tools
        if !tools.isEmpty {
            body["tools"] = .array(Self.markingLast(tools))
            body["tool_choice"] = ["type": .string(mayCallTools ? "auto" : "none")]
        }
        let system = self.system
        if !system.isEmpty { body["system"] = .array(Self.markingLast(system)) }
        body["messages"] = .array(messages)
        if isThinking {
            body["thinking"] = ["type": "enabled", "budget_tokens": .int(Int64(thinkingTokens))]
            // Thinking is part of the bound, and allows no temperature.
            body["max_tokens"] = .int(Int64(thinkingTokens + (request.maxTokens ?? Self.defaultMaxTokens)))
        } else if let temperature = request.temperature {
            body["temperature"] = .double(min(temperature, 1))
        }
        if let user = request.user { body["metadata"] = ["user_id": .string(user)] }
        if request.stream { body["stream"] = true }
        return .object(request.extra.map { MergePatch.merged(body, with: $0) } ?? body)
    }

    /// A model that thinks must find its own thoughts in front of the calls it made since the user last spoke. Where
    /// another model made them, or thinking was off, this call goes without.
    private var isThinking: Bool {
        guard thinkingTokens > 0 else { return false }
        return request.messages.reversed().prefix { $0.role != .user }.allSatisfy {
            $0.role != .assistant || $0.toolCalls.isEmpty || $0.providerState?[AnthropicMessage.stateKey] != nil
        }
    }

    private var mayCallTools: Bool { request.toolChoice == .auto && !request.tools.isEmpty }

    /// A conversation that holds calls needs definitions, even where none may be called any more.
    private var tools: [JSON] {
        if !request.tools.isEmpty {
            return request.tools.map {
                [
                    "name": .string($0.name), "description": .string($0.description), "input_schema": $0.parameters,
                ]
            }
        }
        let called = Set(request.messages.flatMap { $0.toolCalls.map(\.name) })
        return called.sorted().map { ["name": .string($0), "input_schema": ["type": "object"]] }
    }

    private var system: [JSON] {
        request.messages.filter { $0.role == .system && !$0.content.isBlank }.map { Self.text($0.content) }
    }

    // MARK: Messages

    private var messages: [JSON] {
        var turns: [(role: String, blocks: [JSON])] = []
        var names = CallNames()
        for message in request.messages where message.role != .system {
            let role = message.role == .assistant ? "assistant" : "user"
            let blocks = blocks(of: message, &names)
            if blocks.isEmpty { continue }
            if turns.last?.role == role {
                turns[turns.count - 1].blocks += blocks
            } else {
                turns.append((role, blocks))
            }
        }
        // The interface wants the user to begin; a history that was cut may not.
        if turns.first?.role == "assistant" {
            turns.insert(("user", [Self.text("(earlier messages left out)")]), at: 0)
        }
        if let last = turns.indices.last { turns[last].blocks = Self.markingLast(turns[last].blocks) }
        return turns.map { ["role": .string($0.role), "content": .array($0.blocks)] }
    }

    private func blocks(of message: ChatMessage, _ names: inout CallNames) -> [JSON] {
        switch message.role {
        case .system: return []
        case .user: return message.content.isBlank ? [] : [Self.text(message.content)]
        case .tool:
            var block: JSONObject = [
                "type": "tool_result", "tool_use_id": .string(names.ofResult(message.toolCallID ?? "")),
            ]
            if !message.content.isBlank { block["content"] = .string(message.content) }
            return [.object(block)]
        case .assistant:
            var blocks = message.providerState?[AnthropicMessage.stateKey]?.array ?? []
            // A final assistant message may not end in white space.
            let text = message.content.trimmingEnd()
            if !text.isEmpty { blocks.append(Self.text(text)) }
            for call in message.toolCalls {
                blocks.append([
                    "type": "tool_use", "id": .string(names.ofCall(call.id)), "name": .string(call.name),
                    "input": call.parsedArguments ?? .object(JSONObject()),
                ])
            }
            return blocks
        }
    }

    private static func text(_ text: String) -> JSON { ["type": "text", "text": .string(text)] }

    /// The ids of calls in one request, which must differ in all of it: many servers begin anew with every answer, and ids
    /// made by other providers may hold characters that are refused here. A result follows its call.
    private struct CallNames {
        private var used: Set<String> = []
        private var current: [String: String] = [:]

        mutating func ofCall(_ id: String) -> String {
            let plain = AnthropicRequestBody.identifier(id)
            var name = plain
            var number = 2
            while !used.insert(name).inserted {
                name = "\(plain)_\(number)"
                number += 1
            }
            current[id] = name
            return name
        }

        func ofResult(_ id: String) -> String { current[id] ?? AnthropicRequestBody.identifier(id) }
    }

    private static func identifier(_ id: String) -> String {
        let allowed = id.unicodeScalars.map { scalar -> Character in
            let isAllowed = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
            return isAllowed || scalar == "_" || scalar == "-" ? Character(scalar) : "_"
        }
        return allowed.isEmpty ? "_" : String(allowed)
    }

    /// Thinking blocks cannot carry a mark; they are never last in what is sent.
    private static func markingLast(_ blocks: [JSON]) -> [JSON] {
        guard var last = blocks.last?.object, !["thinking", "redacted_thinking"].contains(last["type"]?.string) else {
            return blocks
        }
        last["cache_control"] = cacheMark
        return blocks.dropLast() + [.object(last)]
    }
}

extension String {
    fileprivate var isBlank: Bool { allSatisfy(\.isWhitespace) }

    fileprivate func trimmingEnd() -> String {
        var end = endIndex
        while end > startIndex, self[index(before: end)].isWhitespace { end = index(before: end) }
        return String(self[..<end])
    }
}
