// The messages of a chat completion and the items of a response's input, read into `ClientMessages`. Pure. Failure: FieldError that
// names the place. Source: OpenAI API reference, "Chat: messages" and "Responses: input".

import TextFormats
import WireTypes

struct OpenAIMessages {
    /// The parameter of a response; it may be the question alone, as a text.
    static let inputField = "input"

    /// Thoughts, and calls of the tools of another service: no part of what was said.
    private static let passedOver: Set<String> = [
        "reasoning", "compaction", "web_search_call", "file_search_call", "computer_call", "computer_call_output",
        "code_interpreter_call", "image_generation_call", "local_shell_call", "local_shell_call_output", "shell_call",
        "shell_call_output", "apply_patch_call", "apply_patch_call_output", "mcp_call", "mcp_list_tools", "mcp_approval_request",
        "mcp_approval_response",
    ]

    private let field: String
    private var messages = ClientMessages()

    /// - Parameters:
    ///   - list: of a chat completion, or the items of a response's input.
    ///   - instructions: of a response.
    ///   - field: the list's name in the request.
    static func read(
        _ list: JSON, instructions: String? = nil, field: String, _ bounds: ClientMessages.Bounds
    ) throws(FieldError) -> ClientMessages {
        var reading = OpenAIMessages(field: field)
        if let instructions { reading.messages.instruct(instructions, place: "instructions") }
        if let text = list.string, field == inputField {
            reading.messages.user(text, place: field)
        } else {
            guard let entries = list.array else {
                throw FieldError(field: field, detail: "must be an array, not \(list.kindName)")
            }
            for (index, entry) in entries.enumerated() { try reading.add(entry, place: "\(field)[\(index)]") }
        }
        try reading.messages.finish(field: field, bounds)
        return reading.messages
    }

    private init(field: String) { self.field = field }

    private mutating func add(_ entry: JSON, place: String) throws(FieldError) {
        guard entry.object != nil else { throw FieldError(field: place, detail: "must be an object, not \(entry.kindName)") }
        if field == Self.inputField, let type = entry["type"]?.string, type != "message" { return try add(item: type, entry, place) }
        guard let role = entry["role"]?.string else {
            throw FieldError(field: "\(place).role", detail: "is required: system, developer, user, assistant or tool")
        }
        switch role {
        case "system", "developer": messages.instruct(try text(entry, place), place: "\(place).content")
        case "user": messages.user(try text(entry, place), place: "\(place).content")
        case "assistant":
            let calls = try calls(entry, place)
            try messages.assistant(try text(entry, place, mayBeAbsent: true), calls: calls, place: place)
        case "tool":
            let id = try string(entry, "tool_call_id", place)
            try messages.result(try text(entry, place), of: id, place: place, field: "tool_call_id")
        default:
            throw FieldError(
                field: "\(place).role",
                detail: "must be system, developer, user, assistant or tool, not \"\(role.prefix(40))\"")
        }
    }

    /// An item of a response's input that is no message.
    private mutating func add(item type: String, _ item: JSON, _ place: String) throws(FieldError) {
        switch type {
        case "function_call": try messages.call(try call(item, id: "call_id", place), place: place)
        case "custom_tool_call":
            let input: JSON = ["input": item["input"] ?? ""]
            let call: JSON = [
                "id": .string(try string(item, "call_id", place)), "name": .string(try string(item, "name", place)),
                "arguments": .string(input.text()),
            ]
            try messages.call(call, place: place)
        case "function_call_output", "custom_tool_call_output":
            let id = try string(item, "call_id", place)
            guard let output = item["output"] else { throw FieldError(field: "\(place).output", detail: "is required") }
            try messages.result(try text(of: output, "\(place).output"), of: id, place: place, field: "call_id")
        case "item_reference":
            throw FieldError(
                field: "\(place).type", detail: "item_reference is not supported; send the item, or previous_response_id")
        case _ where Self.passedOver.contains(type): return
        default:
            throw FieldError(
                field: "\(place).type", detail: "must be message or another item of a response, not \"\(type.prefix(40))\"")
        }
    }

    private func calls(_ entry: JSON, _ place: String) throws(FieldError) -> [JSON] {
        guard let value = entry["tool_calls"], !value.isNull else { return [] }
        guard let list = value.array else {
            throw FieldError(field: "\(place).tool_calls", detail: "must be an array, not \(value.kindName)")
        }
        var calls: [JSON] = []
        for (index, one) in list.enumerated() {
            let place = "\(place).tool_calls[\(index)]"
            // Custom tools have a text instead of arguments.
            if let custom = one["custom"] {
                let input: JSON = ["input": custom["input"] ?? ""]
                calls.append([
                    "id": .string(try string(one, "id", place)), "name": .string(try string(custom, "name", place + ".custom")),
                    "arguments": .string(input.text()),
                ])
                continue
            }
            guard let function = one["function"] else { throw FieldError(field: "\(place).function", detail: "is required") }
            var call = try call(function, id: nil, "\(place).function").object ?? [:]
            call["id"] = .string(try string(one, "id", place))
            calls.append(.object(call))
        }
        return calls
    }

    private func call(_ value: JSON, id: String?, _ place: String) throws(FieldError) -> JSON {
        var call: JSONObject = [
            "id": "", "name": .string(try string(value, "name", place)),
            // Some clients send the object itself.
            "arguments": .string(value["arguments"].map { $0.string ?? $0.text() } ?? "{}"),
        ]
        if let id { call["id"] = .string(try string(value, id, place)) }
        return .object(call)
    }

    private func string(_ value: JSON, _ name: String, _ place: String) throws(FieldError) -> String {
        guard let text = value[name]?.string, !text.isEmpty else {
            throw FieldError(field: "\(place).\(name)", detail: "is required, and must be a string")
        }
        return text
    }

    private func text(_ entry: JSON, _ place: String, mayBeAbsent: Bool = false) throws(FieldError) -> String {
        guard let content = entry["content"], !content.isNull else {
            if let refusal = entry["refusal"]?.string { return refusal }
            if mayBeAbsent { return "" }
            throw FieldError(field: "\(place).content", detail: "is required")
        }
        return try text(of: content, "\(place).content")
    }

    /// A string, or a list of parts that are texts.
    private func text(of content: JSON, _ place: String) throws(FieldError) -> String {
        if let text = content.string { return text }
        guard let parts = content.array else {
            throw FieldError(field: place, detail: "must be a string or an array, not \(content.kindName)")
        }
        var texts: [String] = []
        for (index, part) in parts.enumerated() {
            let kind = part["type"]?.string ?? ""
            let isText = ["text", "input_text", "output_text", "refusal"].contains(kind)
            guard isText, let text = part["text"]?.string ?? part["refusal"]?.string else {
                throw FieldError(
                    field: "\(place)[\(index)]", detail: "must be text: other media are not understood")
            }
            texts.append(text)
        }
        return texts.joined(separator: "\n")
    }
}
