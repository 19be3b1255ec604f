// A request as the offline rules see it: the user's own words, the context block below them, the report request if
// there is one, and what the tools called in this turn have answered. Pure, any thread.
import Foundation
import TextFormats

/// The language an answer is written in.
enum OfflineLanguage: Sendable {
    case english, chinese

    /// Han, kana, hangul or their punctuation.
    static func isEastAsian(_ character: Character) -> Bool {
        guard let value = character.unicodeScalars.first?.value else { return false }
        return (0x3040...0x30FF).contains(value) || (0x3400...0x4DBF).contains(value)
            || (0x4E00...0x9FFF).contains(value) || (0xAC00...0xD7A3).contains(value)
            || (0x20000...0x323AF).contains(value) || value == 0x3007
    }

    /// The language `words` are written in; where they could be either ("AAPL?"), the user's own.
    init(of words: String, preferred: String?) {
        if words.contains(where: Self.isEastAsian) {
            self = .chinese
        } else if words.contains(where: \.isLowercase) {
            self = .english
        } else {
            self = (preferred ?? "").lowercased().hasPrefix("zh") ? .chinese : .english
        }
    }

    /// A language tag; all but Chinese is written in English.
    init(tag: String) { self = tag.lowercased().hasPrefix("zh") ? .chinese : .english }

    func callAsFunction(_ english: String, _ chinese: String) -> String { self == .chinese ? chinese : english }
}

/// What became of a tool call.
enum ToolOutcome: Sendable, Equatable {
    case value(JSON)
    /// The answer was no JSON: a file's content, for example.
    case text(String)
    case failed(code: String, detail: String)
}

struct OfflineTurn: Sendable {
    /// Longest text the rules look at, in characters; a chat message has at most 10,000.
    static let maxWords = 20_000
    private static let reportFence = "```report-request\n"

    let words: String
    let context: OfflineContext
    /// The fields of the report-request block.
    let reportRequest: JSON?
    let tools: Set<String>
    /// Differs between turns, so that call ids of one session never meet.
    let seed: String
    /// By call id; nil where a call has no answer.
    private let outcomes: [String: ToolOutcome?]

    init(_ request: ChatRequest) {
        let messages = request.messages
        let last = messages.lastIndex { $0.role == .user }
        let content = last.map { messages[$0].content } ?? ""
        let (own, context) = OfflineContext.split(content)
        self.context = context
        words = own.prefix(Self.maxWords).trimmed()
        reportRequest = Self.reportRequest(in: own)
        tools = request.toolChoice == .none ? [] : Set(request.tools.map(\.name))
        seed = Self.digest("\(last ?? 0)\n\(content)")
        outcomes = Self.outcomes(messages.dropFirst((last ?? -1) + 1))
    }

    /// The first block counts: the message that asks for a report has it before anything a user wrote.
    private static func reportRequest(in text: String) -> JSON? {
        guard let start = text.firstRange(ofBytes: reportFence),
            let end = text.firstRange(ofBytes: "\n```", from: start.upperBound)
        else { return nil }
        // A block that is no JSON object asks for nothing; the message is then read as chat.
        guard let json = try? JSON.parse(String(text[start.upperBound..<end.lowerBound])), json.object != nil else {
            return nil
        }
        return json
    }

    private static func outcomes(_ messages: ArraySlice<ChatMessage>) -> [String: ToolOutcome?] {
        var result: [String: ToolOutcome?] = [:]
        for message in messages {
            for call in message.toolCalls { result.updateValue(nil, forKey: call.id) }
            if message.role == .tool, let id = message.toolCallID {
                result.updateValue(outcome(message.content), forKey: id)
            }
        }
        return result
    }

    private static func outcome(_ content: String) -> ToolOutcome {
        // No JSON is a result too: the text itself.
        guard let json = try? JSON.parse(content), json.object != nil || json.array != nil else {
            return .text(content)
        }
        // A result beyond the bound comes in part: half a list must not pass for the whole.
        if json["truncated"]?.bool == true, json["beginning"] != nil {
            return .failed(code: "truncated", detail: "the result was too long to be used here")
        }
        guard let error = json["error"], !error.isNull else { return .value(json) }
        let detail = error["detail"]?.string ?? error.string ?? error.text()
        return .failed(code: error["code"]?.string ?? "error", detail: detail)
    }

    /// FNV-1a, 32 bits, in hex: names a turn, protects nothing.
    private static func digest(_ text: String) -> String {
        let hash = text.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return String(hash, radix: 16)
    }

    // MARK: - Calls

    func callID(_ label: String) -> String { "off_\(seed)_\(label)" }

    /// nil: not called in this turn. A call without an answer counts as failed, so it is never called again.
    func outcome(_ label: String) -> ToolOutcome? {
        guard let entry = outcomes[callID(label)] else { return nil }
        return entry ?? .failed(code: "no_result", detail: "the tool gave no result")
    }
}

/// What to do next.
enum OfflineStep: Sendable, Equatable {
    case calls([ToolCall])
    case answer(String)
}

/// One wish of a turn and its part of the tool calls. Labels are unique within the wish.
struct OfflineScope: Sendable {
    let turn: OfflineTurn
    let index: Int
    let language: OfflineLanguage

    func offers(_ tool: String) -> Bool { turn.tools.contains(tool) }

    func outcome(_ label: String) -> ToolOutcome? { turn.outcome("\(index)_\(label)") }

    func call(_ tool: String, _ label: String, _ arguments: JSONObject) -> ToolCall {
        ToolCall(id: turn.callID("\(index)_\(label)"), name: tool, arguments: JSON.object(arguments).text())
    }

    /// The usual wish: one call, then an answer made of its outcome.
    func single(_ tool: String, _ arguments: JSONObject, then answer: (ToolOutcome) -> String) -> OfflineStep {
        if let outcome = outcome(tool) { return .answer(answer(outcome)) }
        guard offers(tool) else { return .answer(OfflinePhrases.toolMissing(tool, language)) }
        return .calls([call(tool, tool, arguments)])
    }
}
