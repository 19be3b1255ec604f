// A ChatRequest as the body of a Messages call. Pure.
//
// What differs from a plain list of messages: the system text stands apart; roles alternate, so neighbours of one role
// are joined; tool results are parts of a user's message; empty texts are refused; ids have a narrow alphabet.
// Cache marks, of which a request may hold four, go where a prefix ends that a later request repeats: the system text up to
// what turns change, and the whole of it; the end of the conversation; and the end of the request before this one where more
// blocks have come since than a mark looks back. A message that no later request repeats to its end is marked where the
// repeated part ends, too.
// Source: Anthropic, "Prompt caching": a mark finds what was cached up to 20 blocks before it.
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
        let system = self.system
        if !tools.isEmpty {
            // Where the system text has two marks, the first covers the tools, which stand in front of it.
            body["tools"] = .array(system.contains { $0["cache_control"] != nil } ? tools : Self.markingLast(tools))
            body["tool_choice"] = ["type": .string(mayCallTools ? "auto" : "none")]
        }
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
        request.messages.filter { $0.role == .system && !$0.content.isBlank }.flatMap { message in
            let parts = Self.texts(message)
            return parts.count == 1 ? parts : [Self.marked(parts[0])] + parts.dropFirst()
        }
    }

    /// One block, or two where only the beginning of the text is repeated by later requests.
    private static func texts(_ message: ChatMessage) -> [JSON] {
        let bytes = message.content.utf8
        guard let count = message.stableBytes, count > 0, count < bytes.count else { return [text(message.content)] }
        let stable = String(decoding: bytes.prefix(count), as: UTF8.self)
        let rest = String(decoding: bytes.dropFirst(count), as: UTF8.self)
        return stable.isBlank || rest.isBlank ? [text(message.content)] : [text(stable), text(rest)]
    }

    // MARK: Messages

    private var messages: [JSON] {
        var turns: [(role: String, blocks: [JSON])] = []
        var names = CallNames()
        var ends = PrefixEnds()
        for message in request.messages where message.role != .system {
            let role = message.role == .assistant ? "assistant" : "user"
            let blocks = blocks(of: message, &names)
            if blocks.isEmpty { continue }
            if message.role == .assistant { ends.before = turns.indices.last.map { ($0, turns[$0].blocks.count - 1) } }
            if turns.last?.role == role {
                turns[turns.count - 1].blocks += blocks
            } else {
                turns.append((role, blocks))
            }
            if message.role == .user, blocks.count == 2, let turn = turns.indices.last {
                ends.repeated = (turn, turns[turn].blocks.count - 2)
            }
        }
        ends.mark(&turns)
        // The interface wants the user to begin; a history that was cut may not.
        if turns.first?.role == "assistant" {
            turns.insert(("user", [Self.text("(earlier messages left out)")]), at: 0)
        }
        return turns.map { ["role": .string($0.role), "content": .array($0.blocks)] }
    }

    private func blocks(of message: ChatMessage, _ names: inout CallNames) -> [JSON] {
        switch message.role {
        case .system: return []
        case .user: return message.content.isBlank ? [] : Self.texts(message)
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

    /// Where prefixes of the conversation end that other requests have, or will have, in common with this one: a turn and a
    /// block in it.
    private struct PrefixEnds {
        /// Of the request before this one: in front of the newest message of the assistant.
        var before: (turn: Int, block: Int)?
        /// Of the words that the next turn repeats, where the newest message has more than that.
        var repeated: (turn: Int, block: Int)?

        /// Blocks in front of a mark in which a cached prefix is found.
        private static let lookBack = 18

        /// One mark, where looking back from the end does not find the prefix, and one at the end.
        func mark(_ turns: inout [(role: String, blocks: [JSON])]) {
            guard let last = turns.indices.last else { return }
            let between = before.map { turns[($0.turn + 1)...].reduce(0) { $0 + $1.blocks.count } } ?? 0
            // What the next turn repeats matters more than what this turn's next request finds.
            let inner = repeated ?? (between > Self.lookBack ? before : nil)
            for place in [inner, (turn: last, block: turns[last].blocks.count - 1)] {
                guard let place else { continue }
                turns[place.turn].blocks[place.block] = AnthropicRequestBody.marked(turns[place.turn].blocks[place.block])
            }
        }
    }

    private static func markingLast(_ blocks: [JSON]) -> [JSON] {
        guard let last = blocks.last else { return blocks }
        return blocks.dropLast() + [marked(last)]
    }

    /// Thinking blocks cannot carry a mark; they are never last in what is sent.
    private static func marked(_ block: JSON) -> JSON {
        guard var members = block.object, !["thinking", "redacted_thinking"].contains(members["type"]?.string) else {
            return block
        }
        members["cache_control"] = cacheMark
        return .object(members)
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
