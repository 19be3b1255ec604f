// A conversation as a client sends it, read from any of the interfaces of other services: the question, the messages in front of
// it, and the application's instructions. Pure; any thread. Failure: FieldError that names the place.

import Foundation
import TextFormats
import WireTypes

struct ClientMessages {
    /// Bounds in bytes of UTF-8.
    struct Bounds: Sendable, Hashable {
        var history: Int
        var instructions: Int
    }

    /// The user's last message.
    private(set) var question = ""
    /// Where the question is in the request, and the name of the messages there.
    private(set) var questionPlace = ""
    private(set) var field = ""
    /// The messages in front of it, in the form of `ClientConversation.history`.
    private(set) var history: [JSON] = []
    /// The texts of the application, each with its place in the request.
    private var instructionTexts: [(text: String, place: String)] = []
    /// The messages so far; the last one of the user becomes the question.
    private var all: [Entry] = []

    private struct Entry {
        var members: JSONObject
        /// Of an assistant's message.
        var calls: [JSON] = []
        var place: String

        var message: JSON {
            var members = members
            if !calls.isEmpty { members["tool_calls"] = .array(calls) }
            return .object(members)
        }
    }

    /// Calls of tools whose results have not come, by their ids: the tools' names.
    private var openCalls: [String: String] = [:]

    /// All texts of the application, as one.
    var instructions: String { instructionTexts.map(\.text).joined(separator: "\n\n") }

    mutating func instruct(_ text: String, place: String) {
        if !text.isEmpty { instructionTexts.append((text, place)) }
    }

    mutating func user(_ text: String, place: String) {
        openCalls = [:]
        all.append(Entry(members: ["role": "user", "content": .string(text)], place: place))
    }

    /// - Parameter calls: {id, name, arguments} each.
    mutating func assistant(_ text: String, calls: [JSON] = [], place: String) throws(FieldError) {
        openCalls = [:]
        try addCalls(calls, place)
        // A message that says nothing is none: models refuse it.
        guard !text.isEmpty || !calls.isEmpty else { return }
        all.append(Entry(members: ["role": "assistant", "content": .string(text)], calls: calls, place: place))
    }

    /// A call that comes as an item of its own belongs to the assistant's message in front of it.
    mutating func call(_ call: JSON, place: String) throws(FieldError) {
        guard all.last?.members["role"] == "assistant" else { return try assistant("", calls: [call], place: place) }
        try addCalls([call], place)
        all[all.count - 1].calls.append(call)
    }

    private mutating func addCalls(_ calls: [JSON], _ place: String) throws(FieldError) {
        for call in calls {
            let id = call["id"]?.string ?? ""
            guard openCalls.updateValue(call["name"]?.string ?? "", forKey: id) == nil else {
                throw FieldError(field: place, detail: "must not have two calls with the id \"\(id.prefix(80))\"")
            }
        }
    }

    mutating func result(_ text: String, of call: String, place: String, field: String) throws(FieldError) {
        guard let name = openCalls.removeValue(forKey: call) else {
            throw FieldError(field: "\(place).\(field)", detail: "must be the id of a tool call in the assistant's message before it")
        }
        let members: JSONObject = ["role": "tool", "content": .string(text), "tool_call_id": .string(call), "name": .string(name)]
        all.append(Entry(members: members, place: place))
    }

    /// After the last message: tells the question from the history.
    /// - Parameter field: of the messages in the request.
    mutating func finish(field: String, _ bounds: Bounds) throws(FieldError) {
        guard let last = all.last else {
            throw FieldError(field: field, detail: "must hold the words of the user that are to be answered")
        }
        guard last.members["role"] == "user" else {
            throw FieldError(
                field: field, detail: "must end with a message of the user: the assistant begins each answer itself")
        }
        self.field = field
        question = last.members["content"]?.string ?? ""
        questionPlace = last.place
        guard question.contains(where: { !$0.isWhitespace }) else {
            throw FieldError(field: questionPlace, detail: "must not be blank")
        }
        history = all.dropLast().map(\.message)
        let size = history.reduce(0) { $0 + $1.bytes().count }
        guard size <= bounds.history else {
            throw FieldError(
                field: field, detail: "must have at most \(bounds.history) bytes in front of the question, has \(size)")
        }
        let told = instructions.utf8.count
        guard told <= bounds.instructions else {
            throw FieldError(
                field: instructionsPlace,
                detail: "must have at most \(bounds.instructions) bytes, together with all system and developer texts, has \(told)")
        }
    }

    /// Of the longest text.
    var instructionsPlace: String {
        instructionTexts.max { $0.text.utf8.count < $1.text.utf8.count }?.place ?? ""
    }
}
