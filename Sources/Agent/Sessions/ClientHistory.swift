// The conversation that a client sends along with its question, as the interfaces of other services do: each request carries all
// messages before it. Only a conversation that nanobot does not have in the same words is stored: once, as one line of the
// session's file, {"t":"given","digest","messages"}. A turn on it is shown these messages; memory never takes them. Pure; any thread.
import Foundation
import Providers
import Tenants
import TextFormats

public struct ClientHistory: Sendable, Hashable {
    /// Oldest first: `user`, `assistant` and `tool`; never empty.
    public let messages: [ChatMessage]
    /// SHA-256 of the messages, in hexadecimal digits.
    public let digest: String

    /// - Returns: nil for no messages.
    public init?(_ messages: [ChatMessage]) {
        guard !messages.isEmpty else { return nil }
        self.messages = messages
        digest = Fingerprint.sha256Hex(JSON.array(messages.map(\.json)).bytes())
    }

    // MARK: - In the session's file

    private static let lineStart = Array("{\"t\":\"given\"".utf8)

    /// Whether a line of a session's file holds a client's history.
    static func isLine(_ line: ArraySlice<UInt8>) -> Bool { line.starts(with: lineStart) }

    /// Whether it holds the history of this digest.
    static func isLine(_ line: ArraySlice<UInt8>, of digest: String) -> Bool {
        line.starts(with: lineStart + Array(",\"digest\":\"\(digest)\",".utf8))
    }

    var line: JSON {
        ["t": "given", "digest": .string(digest), "messages": .array(messages.map(\.json))]
    }

    /// nil: the line is no history, or not the one it says it is.
    init?(line: ArraySlice<UInt8>) {
        // A line that cannot be read is reported by the turn that needs it.
        guard let json = try? JSON.parse(Array(line), limits: SessionFile.lineLimits), let all = json["messages"]?.array
        else { return nil }
        let messages = all.compactMap(ChatMessage.init(json:))
        guard messages.count == all.count, let history = ClientHistory(messages), history.digest == json["digest"]?.string
        else { return nil }
        self = history
    }

    // MARK: - Names of sessions

    private static let namePrefix = "v1-"
    private static let keyDigits = 16
    private static let ownDigits = 20

    /// A session for a conversation that has none: its name tells the words it began with, so that it is found by them.
    /// - Parameter own: tells conversations apart that begin with the same words.
    public static func sessionName(_ history: [ChatMessage], question: String, own: String) -> String {
        let key = firstKeys(history + [.user(question)]).last ?? ""
        return namePrefix + key + "-" + Fingerprint.sha256Hex(Array(own.utf8)).prefix(ownDigits)
    }

    /// Whether it is such a name.
    static func isSessionName(_ name: String) -> Bool {
        let digits = name.utf8.dropFirst(namePrefix.utf8.count)
        return name.hasPrefix(namePrefix) && digits.count == keyDigits + 1 + ownDigits
            && digits[digits.index(digits.startIndex, offsetBy: keyDigits)] == UInt8(ascii: "-")
    }

    /// Whether a session of this name may hold a conversation with these messages.
    static func isSessionName(_ name: String, keys: Set<String>) -> Bool {
        isSessionName(name) && keys.contains(String(name.dropFirst(namePrefix.utf8.count).prefix(keyDigits)))
    }

    /// The keys of all sessions that may hold the messages: one for each question the session can have begun with.
    var sessionKeys: Set<String> { Set(Self.firstKeys(messages)) }

    /// For each message of the user, in order: the key of all messages up to it.
    private static func firstKeys(_ messages: [ChatMessage]) -> [String] {
        var keys: [String] = []
        var chain = ""
        for message in messages {
            chain = Fingerprint.sha256Hex(Array((chain + VisibleMessage(message).words).utf8))
            if message.role == .user { keys.append(String(chain.prefix(keyDigits))) }
        }
        return keys
    }
}

/// One message of a conversation as a client has it. White space at the ends is not compared, since clients cut it off, and a line may
/// end with CR LF.
struct VisibleMessage: Sendable {
    private var role: ChatRole
    /// The same message in its forms: an answer that was given whole is the last text alone; one that was given piece by piece
    /// also has what was said before the tools were called.
    private var forms: Set<String>

    init(_ message: ChatMessage) {
        self.init(message.role, [message.content], calls: message.toolCalls)
    }

    /// - Parameter texts: never empty.
    init(_ role: ChatRole, _ texts: [String], calls: [ToolCall] = []) {
        self.role = role
        let called = calls.map { " \($0.name) \($0.arguments)" }.joined()
        forms = Set(texts.map { $0.replacing("\r\n", with: "\n").trimmingCharacters(in: .whitespacesAndNewlines) + called })
    }

    /// For a message in one form.
    fileprivate var words: String { "\n\(role.rawValue)\n\(forms.first ?? "")" }

    func isSame(as other: VisibleMessage) -> Bool { role == other.role && !forms.isDisjoint(with: other.forms) }
}

/// How a client's history and a session are related.
public enum HistoryMatch: Sendable, Hashable {
    /// The history is the whole conversation, or its end. `through`: the job that brought the last answer.
    case whole(through: String)
    /// The conversation goes on behind the history.
    case beginning
    case other
}

/// The conversation of a session, as its clients have it.
struct VisibleConversation: Sendable {
    private(set) var messages: [VisibleMessage] = []
    /// As messages for a model, with each turn's last text as its answer.
    private(set) var plain: [ChatMessage] = []
    /// The job that brought the last answer.
    private(set) var lastJob: String?
    /// A question without its answer, or words that no client asked for: the conversation behind it is no client's.
    private(set) var isOpen = false

    /// - Parameters:
    ///   - base: the history that the conversation was begun with.
    ///   - entries: what was exchanged here since.
    ///   - job: the conversation ends with this job's answer; nil: with the last one.
    init(base: ClientHistory?, _ entries: ArraySlice<SessionEntry>, through job: String? = nil) {
        for message in base?.messages ?? [] {
            messages.append(VisibleMessage(message))
            plain.append(message)
        }
        var rest = entries
        while let first = rest.first, !isOpen {
            let turn = rest.prefix { $0.jobID == first.jobID }
            rest = rest.dropFirst(turn.count)
            add(turn)
            if first.jobID == job { break }
        }
    }

    private mutating func add(_ turn: ArraySlice<SessionEntry>) {
        guard let question = turn.first, question.isQuestion, let last = turn.last, last.message.role == .assistant,
            last.message.toolCalls.isEmpty, !last.isInterrupted
        else {
            isOpen = true
            return
        }
        let texts = turn.filter { $0.message.role == .assistant }.map(\.message.content)
        messages.append(VisibleMessage(question.message))
        // Streams put an empty line between the texts; a continued answer has none.
        messages.append(VisibleMessage(.assistant, [last.message.content, texts.joined(separator: "\n\n"), texts.joined()]))
        plain += [question.message, .assistant(last.message.content)]
        lastJob = last.jobID
    }

    /// - Parameter endIsEnough: whether the end of the conversation counts as the whole of it.
    func match(_ history: ClientHistory, endIsEnough: Bool) -> HistoryMatch {
        let wanted = history.messages.map(VisibleMessage.init)
        func isSame(_ part: ArraySlice<VisibleMessage>) -> Bool { zip(part, wanted).allSatisfy { $0.isSame(as: $1) } }
        if !isOpen, let lastJob, wanted.count <= messages.count, wanted.count == messages.count || endIsEnough,
            isSame(messages.suffix(wanted.count))
        {
            return .whole(through: lastJob)
        }
        guard wanted.count < messages.count || isOpen, wanted.count <= messages.count else { return .other }
        return isSame(messages.prefix(wanted.count)) ? .beginning : .other
    }
}
