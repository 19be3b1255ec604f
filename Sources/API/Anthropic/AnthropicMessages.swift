// A request in Anthropic's form: its messages, read into `ClientMessages`, and the parameters that ask for something the service cannot
// do. Pure. Failure: FieldError or ProblemDetails that names the place. Source: Anthropic API reference, "Messages".

import TextFormats
import WireTypes

extension ClientCall {
    /// A parameter is refused where the answer would silently lack it. Bounds, sampling and thinking are the operator's, and passed over.
    func refuseUnsupportedOfAnthropic() throws {
        for (name, why) in [
            ("tools", "the assistant works with its own tools; a caller's cannot be called"),
            ("mcp_servers", "the assistant works with its own tools; a caller's cannot be called"),
            ("stop_sequences", "is not supported"), ("container", "is not supported"),
            ("output_format", "answers are text: structured output cannot be promised"),
        ] {
            if let value = value(name), !Self.isEmpty(value) { throw unsupported(name, why) }
        }
        if let format = value("output_config")?["format"], !Self.isEmpty(format) {
            throw unsupported("output_config.format", "answers are text: structured output cannot be promised")
        }
        if let choice = value("tool_choice"), !Self.isEmpty(choice), !["auto", "none"].contains(choice["type"]?.string) {
            throw unsupported("tool_choice", "there are no tools to choose from")
        }
    }
}

struct AnthropicMessages {
    private var messages = ClientMessages()

    /// - Parameter call: its `messages` and `system`.
    static func read(_ call: ClientCall, _ bounds: ClientMessages.Bounds) throws(FieldError) -> ClientMessages {
        var reading = AnthropicMessages()
        if let system = call.value("system") {
            for (text, place) in try reading.texts(system, "system") { reading.messages.instruct(text, place: place) }
        }
        guard let list = call.value("messages") else { throw FieldError(field: "messages", detail: "is required") }
        guard let entries = list.array else {
            throw FieldError(field: "messages", detail: "must be an array, not \(list.kindName)")
        }
        for (index, entry) in entries.enumerated() { try reading.add(entry, "messages[\(index)]") }
        try reading.messages.finish(field: "messages", bounds)
        return reading.messages
    }

    private mutating func add(_ entry: JSON, _ place: String) throws(FieldError) {
        let role = entry["role"]?.string ?? ""
        guard let content = entry["content"] else { throw FieldError(field: "\(place).content", detail: "is required") }
        switch role {
        case "system":
            for (text, place) in try texts(content, "\(place).content") { messages.instruct(text, place: place) }
        case "user": try addUser(content, "\(place).content")
        case "assistant": try addAssistant(content, "\(place).content")
        default:
            throw FieldError(field: "\(place).role", detail: "must be user or assistant, not \"\(role.prefix(40))\"")
        }
    }

    private mutating func addUser(_ content: JSON, _ place: String) throws(FieldError) {
        var said: [JSON] = []
        for (index, block) in (content.array ?? []).enumerated() {
            guard block["type"] == "tool_result" else {
                said.append(block)
                continue
            }
            let place = "\(place)[\(index)]"
            guard let id = block["tool_use_id"]?.string else {
                throw FieldError(field: "\(place).tool_use_id", detail: "is required, and must be a string")
            }
            let result = try block["content"].map { (content) throws(FieldError) in try joined(content, "\(place).content") }
            try messages.result(result ?? "", of: id, place: place, field: "tool_use_id")
        }
        guard content.array == nil || !said.isEmpty else { return }
        messages.user(try joined(content.array == nil ? content : .array(said), place), place: place)
    }

    private mutating func addAssistant(_ content: JSON, _ place: String) throws(FieldError) {
        var said: [JSON] = []
        var calls: [JSON] = []
        for (index, block) in (content.array ?? []).enumerated() {
            switch block["type"]?.string {
            case "tool_use":
                guard let id = block["id"]?.string, let name = block["name"]?.string else {
                    throw FieldError(field: "\(place)[\(index)]", detail: "must have id, name and input")
                }
                let input = block["input"] ?? .object([:])
                calls.append(["id": .string(id), "name": .string(name), "arguments": .string(input.text())])
            // Thoughts, and calls of the tools of another service: no part of what was said.
            case "thinking", "redacted_thinking", "server_tool_use", "web_search_tool_result": continue
            default: said.append(block)
            }
        }
        let text = try joined(content.array == nil ? content : .array(said), place)
        try messages.assistant(text, calls: calls, place: place)
    }

    private func joined(_ content: JSON, _ place: String) throws(FieldError) -> String {
        try texts(content, place).map(\.text).joined(separator: "\n")
    }

    /// A string, or blocks of text, each with its place.
    private func texts(_ content: JSON, _ place: String) throws(FieldError) -> [(text: String, place: String)] {
        if let text = content.string { return [(text, place)] }
        guard let blocks = content.array else {
            throw FieldError(field: place, detail: "must be a string or an array, not \(content.kindName)")
        }
        var texts: [(text: String, place: String)] = []
        for (index, block) in blocks.enumerated() {
            guard block["type"] == "text", let text = block["text"]?.string else {
                throw FieldError(field: "\(place)[\(index)]", detail: "must be text: other media are not understood")
            }
            texts.append((text, "\(place)[\(index)].text"))
        }
        return texts
    }
}
