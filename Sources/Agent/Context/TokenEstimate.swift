// A guess at how many tokens a text has, without any model's tokenizer: on the high side for Chinese, close for
// English. Pure.
import Providers
import TextFormats

enum TokenEstimate {
    /// What a message costs besides its text: role, separators, ids.
    private static let perMessage = 6
    private static let perCall = 12

    static func tokens(_ text: String) -> Int {
        var ascii = 0
        var other = 0
        for byte in text.utf8 {
            if byte < 0x80 {
                ascii += 1
            } else if byte >= 0xC0 {
                // The first byte of a scalar: one token each is what Chinese costs at most.
                other += 1
            }
        }
        return (ascii + 3) / 4 + other
    }

    static func tokens(_ message: ChatMessage) -> Int {
        message.toolCalls.reduce(perMessage + tokens(message.content)) { sum, call in
            sum + perCall + tokens(call.name) + tokens(call.arguments)
        }
    }

    static func tokens(_ tools: [ToolDefinition]) -> Int {
        tools.reduce(0) { $0 + perCall + tokens($1.name) + tokens($1.description) + tokens($1.parameters.text()) }
    }
}
