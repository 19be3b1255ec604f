// The short forms of results and arguments that no longer have room in a request. Pure. Arguments stay a JSON object,
// which providers parse again.
import Providers
import TextFormats

enum ShortForms {
    static let result = "[an earlier result, removed to save space; call the tool again if it is needed]"
    /// Characters of one value that stay, and of all arguments.
    private static let keptValue = 80
    private static let keptArguments = 400

    /// The message with results and arguments in their short forms, where those are shorter.
    static func message(_ message: ChatMessage) -> ChatMessage {
        var message = message
        if message.role == .tool, result.utf8.count < message.content.utf8.count { message.content = result }
        for index in message.toolCalls.indices {
            let whole = message.toolCalls[index].arguments
            let short = arguments(message.toolCalls[index])
            if short.utf8.count < whole.utf8.count { message.toolCalls[index].arguments = short }
        }
        return message
    }

    /// The names of the arguments and their short values: the model still sees which file it wrote.
    private static func arguments(_ call: ToolCall) -> String {
        let removed = "[\(call.arguments.count) characters of arguments, removed to save space]"
        guard let members = call.parsedArguments?.object else { return "{}" }
        var short: JSONObject = [:]
        for (name, value) in members { short[name] = shortened(value) }
        let text = JSON.object(short).text()
        return text.utf8.count <= keptArguments ? text : JSON.object(["removed": .string(removed)]).text()
    }

    private static func shortened(_ value: JSON) -> JSON {
        let length = value.string?.count ?? value.text().count
        return length <= keptValue ? value : .string("[\(length) characters, removed to save space]")
    }

    /// The beginning of a result of the newest round, which the model has not read yet.
    static func beginning(_ message: ChatMessage, characters: Int) -> ChatMessage {
        var message = message
        let short = message.content.prefix(characters) + "\n[cut to save space; ask for a smaller part]"
        if message.role == .tool, short.utf8.count < message.content.utf8.count { message.content = String(short) }
        return message
    }
}
