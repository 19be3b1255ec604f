// What compaction may and may not do: sizes, order, pairs, steps.
import Providers
import TestSupport
import Testing
import TextFormats

@testable import Agent

@Suite("The room of a request")
struct ContextBudgetTests {
    /// A conversation of `turns` turns with tool results of `length` characters.
    static func conversation(_ turns: Int, length: Int, arguments: Int = 0) -> [ChatMessage] {
        (0..<turns).flatMap { turn in
            let content = JSON.string(String(repeating: "w", count: arguments))
            let call = arguments == 0 ? "{}" : JSON.object(["path": "notes/\(turn).md", "content": content]).text()
            return [
                ChatMessage.user("question \(turn)"),
                .assistant("", toolCalls: [ToolCall(id: "t\(turn)", name: "write_file", arguments: call)]),
                .tool(String(repeating: "x", count: length), callID: "t\(turn)", name: "write_file"),
                .assistant("answer \(turn)"),
            ]
        }
    }

    private static func size(_ messages: [ChatMessage]) -> Int { TokenEstimate.tokens(messages) }

    @Test("compaction keeps the question, separates no call from its result, and fits", arguments: 0..<40)
    func compaction(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let history = Self.conversation(
            Int.random(in: 0...30, using: &random), length: Int.random(in: 0...4_000, using: &random),
            arguments: Int.random(in: 0...4_000, using: &random))
        let question = ChatMessage.user("the question")
        let rounds = Self.conversation(
            Int.random(in: 0...6, using: &random), length: Int.random(in: 0...8_000, using: &random),
            arguments: Int.random(in: 0...8_000, using: &random)
        ).filter { $0.role != .user && !($0.role == .assistant && $0.toolCalls.isEmpty) }
        let budget = ContextBudget(tokens: Int.random(in: 1_000...30_000, using: &random))
        let fitted = budget.fit(history: history, turn: [question] + rounds)
        #expect(fitted.fits)
        #expect(fitted.messages.contains(question))
        #expect(Pairing.isWhole(fitted.messages))
        #expect(fitted.messages[0].role == .user)
        #expect(Self.size(fitted.messages) <= budget.tokens)
        for call in fitted.messages.flatMap(\.toolCalls) { #expect(call.parsedArguments != nil) }
        #expect(budget.fit(history: history, turn: [question] + rounds) == fitted)
    }

    @Test("what fits is left alone; old results and arguments go before old turns, and the newest exchange last")
    func order() {
        let history = Self.conversation(6, length: 4_000, arguments: 4_000)
        let turn = [ChatMessage.user("now")]
        let whole = Self.size(history + turn)
        #expect(ContextBudget(tokens: whole).fit(history: history, turn: turn).messages == history + turn)
        let tight = ContextBudget(tokens: whole * 3 / 4).fit(history: history, turn: turn)
        #expect(tight.hidden == 0 && tight.messages.count == history.count + 1)
        #expect(tight.messages.suffix(5) == history.suffix(4) + turn)
        let shortened = tight.messages.indices.filter { tight.messages[$0] != (history + turn)[$0] }
        #expect(!shortened.isEmpty && shortened.allSatisfy { $0 < history.count / 2 })
        let tiny = ContextBudget(tokens: 300).fit(history: history, turn: turn)
        #expect(tiny.hidden > 0 && tiny.messages.last == turn[0])
        let words = tiny.messages.map(\.content)
        #expect(words.contains("question 5") && words.contains("answer 5"))
    }

    @Test("twelve files written in one turn: the question and the answer stay, the older arguments become short objects")
    func longArguments() throws {
        let rounds = Self.conversation(12, length: 200, arguments: 30_000).filter { $0.role != .user && !$0.toolCalls.isEmpty || $0.role == .tool }
        let question = ChatMessage.user("write twelve files")
        let budget = ContextBudget(tokens: 40_000)
        #expect(Self.size(rounds) > 100_000)
        let inTurn = budget.fit(history: [], turn: [question] + rounds)
        #expect(inTurn.fits && inTurn.messages.count == 25 && inTurn.messages[0] == question)
        #expect(inTurn.messages.suffix(2) == rounds.suffix(2))
        let arguments = try inTurn.messages.flatMap(\.toolCalls).map { try #require($0.parsedArguments) }
        #expect(arguments.map { $0["path"]?.string } == (0..<12).map { "notes/\($0).md" })
        #expect(arguments[0]["content"] == "[30000 characters, removed to save space]")
        let next = budget.fit(
            history: [question] + rounds + [.assistant("written")], turn: [.user("and now?")])
        #expect(next.fits && next.hidden == 0 && next.messages.count == 27)
        #expect(next.messages.first == question && next.messages.dropLast().last == .assistant("written"))
    }

    @Test("a growing conversation keeps its beginning for many turns, and loses it in steps")
    func steps() {
        let budget = ContextBudget(tokens: 8_000)
        var before: [ChatMessage] = []
        var changes = 0
        var turns = 0
        let all = Self.conversation(200, length: 300)
        for count in stride(from: 4, through: all.count, by: 4) {
            let fitted = budget.fit(history: Array(all[..<count]), turn: [.user("now")])
            #expect(fitted.fits && Self.size(fitted.messages) <= 8_000)
            let kept = fitted.messages.dropLast()
            if !kept.starts(with: before) { changes += 1 }
            before = Array(kept)
            turns += 1
        }
        // A block is a quarter of the room: so often may the beginning change, and not at each of the turns.
        let blocks = Self.size(all) / 2_000
        #expect(turns == 200 && blocks < 30)
        #expect(changes <= blocks, "\(changes) changes, \(blocks) blocks")
    }

    @Test("a question that is too long by itself does not fit, and nothing else is tried in vain")
    func tooLong() {
        let question = ChatMessage.user(String(repeating: "word ", count: 5_000))
        let fitted = ContextBudget(tokens: 2_000).fit(history: Self.conversation(3, length: 10), turn: [question])
        #expect(!fitted.fits)
    }
}
