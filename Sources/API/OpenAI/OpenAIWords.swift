// What was said in a request of OpenAI's dialect: the words to answer, and what the application asks of the answer. Pure.
// Failure: FieldError that names the place.

import Foundation
import Tenants
import TextFormats
import WireTypes

struct OpenAIWords {
    /// What the user said last.
    var message: String
    /// System and developer texts.
    var instructions: String
    /// A session for conversations that name none: the same for every request that begins with the same words, since
    /// these clients send the whole conversation again each time.
    var ownSession: String

    /// - Parameters:
    ///   - messages: of a chat completion, or the items of a response's input.
    ///   - field: its name in the request.
    init(messages: JSON, instructions: String? = nil, field: String) throws(FieldError) {
        guard let entries = messages.array else {
            throw FieldError(field: field, detail: "must be an array, not \(messages.kindName)")
        }
        var users: [String] = []
        var orders = instructions.map { [$0] } ?? []
        for (index, entry) in entries.enumerated() {
            let place = "\(field)[\(index)]"
            // A response's input may hold items that are no messages, as its output does.
            if let type = entry["type"]?.string, type != "message" {
                if type.hasPrefix("function_call") {
                    throw FieldError(field: "\(place).type", detail: "the assistant works with its own tools")
                }
                continue
            }
            guard let role = entry["role"]?.string else {
                throw FieldError(field: "\(place).role", detail: "is required: system, developer, user or assistant")
            }
            switch role {
            case "system", "developer": orders.append(try Self.text(entry, place))
            case "user": users.append(try Self.text(entry, place))
            case "assistant": continue
            default:
                throw FieldError(
                    field: "\(place).role",
                    detail: "must be system, developer, user or assistant, not \"\(role.prefix(40))\"")
            }
        }
        guard let message = users.last else {
            throw FieldError(field: field, detail: "must hold the words of the user that are to be answered")
        }
        self.message = message
        self.instructions = orders.joined(separator: "\n\n")
        let beginning = "\(self.instructions)\u{0}\(users[0])"
        ownSession = "v1-\(Fingerprint.sha256Hex(Array(beginning.utf8)).prefix(24))"
    }

    /// One text without a conversation around it: a session of its own.
    init(message: String, instructions: String?, session: String) {
        self.message = message
        self.instructions = instructions ?? ""
        ownSession = session
    }

    private static func text(_ entry: JSON, _ place: String) throws(FieldError) -> String {
        guard let content = entry["content"] else { throw FieldError(field: "\(place).content", detail: "is required") }
        if let text = content.string { return text }
        guard let parts = content.array else {
            throw FieldError(field: "\(place).content", detail: "must be a string or an array, not \(content.kindName)")
        }
        var texts: [String] = []
        for (index, part) in parts.enumerated() {
            guard ["text", "input_text", "output_text"].contains(part["type"]?.string), let text = part["text"]?.string
            else {
                throw FieldError(
                    field: "\(place).content[\(index)]", detail: "must be text: other media are not understood")
            }
            texts.append(text)
        }
        return texts.joined(separator: "\n")
    }
}
