// Turns of a chat that end without their whole answer: what stays in the session, and what the next turn's model sees of it.
import DurableFiles
import Foundation
import HTTPTransport
import ModelTestSupport
import Providers
import Tenants
import Testing
import TextFormats

@testable import Agent

@Suite("Stopped turns")
struct StoppedTurnTests {
    /// Streams the beginning of an answer, then ends it as the test wants.
    private struct HalfAnswer: ChatProvider {
        let name = "half"
        var pieces: [String]
        var end: @Sendable () -> ProviderError

        func complete(
            _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
        ) throws(ProviderError) -> ChatResponse {
            for piece in pieces { onDelta?(piece) }
            throw end()
        }
    }

    enum End: CaseIterable { case cancelled, timeout, failed }

    private func run(
        _ house: AgentHouse, _ user: UserID, _ words: String, _ model: any ChatProvider, _ token: CancellationToken,
        job: String = "job-1", isLast: Bool = true, language: String = "en"
    ) throws {
        var turn = try house.turn(user, words, model: model, job: job, language: language)
        turn.isLastAttempt = isLast
        _ = try house.loop.run(turn, journal: MemoryJournal(), events: MemoryEvents(), cancellation: token)
    }

    private func half(_ pieces: [String], _ end: End, _ token: CancellationToken) -> HalfAnswer {
        HalfAnswer(pieces: pieces) {
            switch end {
            case .cancelled: token.cancel(reason: TurnStop.cancelled.rawValue)
            case .timeout: token.cancel(reason: TurnStop.timeout.rawValue)
            case .failed: return ProviderError(code: .connection, detail: "connection reset", isRetryable: true)
            }
            return ProviderError(code: .cancelled, detail: "stopped")
        }
    }

    @Test(
        "A turn that ends in mid-answer keeps its question, what was streamed and a note; the next turn meets no open question",
        arguments: End.allCases, [["The answer ", "is for"], [], ["  "]])
    func midAnswer(end: End, pieces: [String]) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let token = CancellationToken()
        #expect(throws: AgentError.self) { try run(house, alice, "what is six times seven?", half(pieces, end, token), token) }

        let page = try house.store(alice).page(.standard, limit: 9)
        let kept = try page.entries(page.places.indices)
        #expect(kept.map(\.message.role) == [.user, .assistant])
        #expect(kept.allSatisfy { $0.isInterrupted && $0.stopped == (end == .failed ? "connection" : "\(end)") })
        let said = kept[1].message.content
        #expect(said.hasPrefix("The answer is for\n\n(") == (pieces.count == 2))
        #expect(said.hasSuffix(")") && said.contains("topped") == (end == .cancelled))

        let model = ScriptedProvider([.text("hello")])
        try run(house, alice, "hi", model, CancellationToken(), job: "job-2")
        let messages = model.requests[0].messages
        #expect(messages.map(\.role) == [.system, .user, .assistant, .user])
        #expect(messages[2].content == said)
    }

    @Test("A note is in the language of the user's words", arguments: [("六乘七是多少？", "停止"), ("six times seven?", "Stopped")])
    func language(words: String, note: String) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let token = CancellationToken()
        #expect(throws: AgentError.self) { try run(house, alice, words, half([], .cancelled, token), token) }
        #expect(try house.store(alice).messages(.standard, limit: 9).last?.message.content.contains(note) == true)
    }

    @Test("A failure that is tried again leaves no note, and the turn that succeeds stands alone", arguments: [End.timeout, .failed])
    func triedAgain(end: End) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let token = CancellationToken()
        #expect(throws: AgentError.self) { try run(house, alice, "one", half(["The"], end, token), token, isLast: false) }
        #expect(try house.store(alice).messages(.standard, limit: 9).map(\.id) == ["job-1:i0"])
        try run(house, alice, "one", ScriptedProvider([.text("uno")]), CancellationToken())
        #expect(try house.store(alice).messages(.standard, limit: 9).map(\.message.content) == ["one", "uno"])
    }

    @Test("Words said between two calls of tools are kept before what was streamed")
    func afterTools() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let token = CancellationToken()
        let calls = ScriptedProvider([
            .calls([ToolCall(id: "c1", name: "profile", arguments: "{}")], text: "Let me look."),
        ])
        struct Both: ChatProvider {
            let name = "both"
            let first: ScriptedProvider
            let second: HalfAnswer
            func complete(
                _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
            ) throws(ProviderError) -> ChatResponse {
                let next: any ChatProvider = first.stepsLeft > 0 ? first : second
                return try next.complete(request, cancellation: cancellation, onDelta: onDelta)
            }
        }
        let model = Both(first: calls, second: half(["You are"], .cancelled, token))
        #expect(throws: AgentError.self) { try run(house, alice, "who am I?", model, token) }
        let kept = try house.store(alice).messages(.standard, limit: 9)
        #expect(kept.map(\.message.role) == [.user, .assistant, .tool, .assistant])
        #expect(kept[1].message.content == "Let me look.")
        #expect(kept[3].message.content.hasPrefix("You are\n\n("))
    }

    @Test("A job that ends without its turn leaves the user's words and one note, however often it is told", arguments: [
        "cancelled", "authentication", "expired",
    ])
    func withoutTurn(code: String) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        let turn = StoppedTurn(job: "job-1", question: "first words", language: "en", time: AgentHouse.noon)
        if code != "expired" { try turn.open(in: .standard, of: workspace) }
        for _ in 0..<2 { try turn.close(.standard, of: workspace, because: code) }
        let page = try house.store(alice).page(.standard, limit: 9)
        #expect(page.ids.count == 2 && page.ids[0] == "job-1:q")
        #expect(try page.entries(0..<2).map(\.stopped) == [code, code])
        #expect(try house.store(alice).list().map(\.title) == ["first words"])
    }

    @Test("A job with its whole turn, or with last words, is left as it is")
    func closedAlready() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        try run(house, alice, "one", ScriptedProvider([.text("uno")]), CancellationToken())
        let token = CancellationToken()
        #expect(throws: AgentError.self) {
            try run(house, alice, "two", half(["du"], .cancelled, token), token, job: "job-2")
        }
        let before = try house.store(alice).messages(.standard, limit: 9)
        for (job, words) in [("job-1", "one"), ("job-2", "two")] {
            try StoppedTurn(job: job, question: words, language: "en", time: AgentHouse.noon)
                .close(.standard, of: workspace, because: "cancelled")
        }
        #expect(try house.store(alice).messages(.standard, limit: 9) == before)
    }

    @Test("A question whose process was killed stays in its place and is no open question for the model")
    func killed() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        try StoppedTurn(job: "job-1", question: "first", language: "en", time: AgentHouse.noon)
            .open(in: .standard, of: try house.workspaces.open(alice))
        let model = ScriptedProvider([.text("dos")])
        try run(house, alice, "second", model, CancellationToken(), job: "job-2")
        let messages = model.requests[0].messages
        #expect(messages.map(\.role) == [.system, .user, .assistant, .user])
        #expect(messages[1].content == "first" && messages[2].content.contains("no answer"))
        let kept = try house.store(alice).messages(.standard, limit: 9)
        #expect(kept.map(\.message.content) == ["first", "second", "dos"])
        #expect(kept.map(\.isInterrupted) == [true, false, false])
    }

    @Test("A question keeps its id and its place when its turn has come, and is interrupted no more", arguments: [0, 400])
    func early(others: Int) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        let store = try house.store(alice)
        for number in 0..<others { try store.append(.standard, SessionStoreTests.turn("o\(number)", "\(number)")) }
        let turn = StoppedTurn(job: "job-1", question: "one", language: "en", time: AgentHouse.noon)
        for _ in 0..<2 { try turn.open(in: .standard, of: workspace) }
        for _ in 0..<2 { try run(house, alice, "one", ScriptedProvider([.text("uno")]), CancellationToken()) }
        let page = try store.page(.standard, limit: 9, after: others == 0 ? nil : "o\(others - 1):1")
        #expect(page.ids == ["job-1:q", "job-1:1"])
        #expect(try page.entries(0..<2).allSatisfy { !$0.isInterrupted })
        #expect(try store.replay(.standard, excluding: "").messages.suffix(2).map { $0.content.prefix(3) } == ["one", "uno"])
        let lines = try workspace.directory.read("sessions/default.jsonl").split(separator: UInt8(ascii: "\n"))
        #expect(lines.count == 3 + 2 * others, "the question is written once")
    }

    @Test("A turn that an operator retries after others is shown where its answer came, once")
    func retriedLater() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        let first = StoppedTurn(job: "job-1", question: "one", language: "en", time: AgentHouse.noon)
        try first.open(in: .standard, of: workspace)
        let token = CancellationToken()
        #expect(throws: AgentError.self) { try run(house, alice, "one", half(["u"], .failed, token), token) }
        try run(house, alice, "two", ScriptedProvider([.text("dos")]), CancellationToken(), job: "job-2")
        try run(house, alice, "one", ScriptedProvider([.text("uno")]), CancellationToken())
        #expect(
            try house.store(alice).messages(.standard, limit: 9).map(\.message.content) == ["two", "dos", "one", "uno"])
    }

    @Test("Last words that a later attempt went beyond are not shown")
    func overtaken() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let turn = StoppedTurn(job: "j", question: "one", language: "en", time: AgentHouse.noon)
        func entry(_ id: String, _ message: ChatMessage) -> SessionEntry {
            SessionEntry(id: id, jobID: "j", message: message, time: AgentHouse.noon, isInterrupted: true)
        }
        let old = turn.lastWords(after: "Hal", because: "network")
        let call = ChatMessage.assistant("", toolCalls: [ToolCall(id: "c", name: "profile", arguments: "{}")])
        let end = turn.lastWords(after: "Half", because: "cancelled")
        try house.store(alice).append(
            .standard,
            [entry("j:i0", .user("one")), old, entry("j:i1", call), entry("j:i2", .tool("{}", callID: "c", name: "profile")), end])
        let page = try house.store(alice).page(.standard, limit: 9)
        #expect(page.ids == ["j:i0", "j:i1", "j:i2", end.id])
        #expect(try page.entries(0..<4).allSatisfy { $0.stopped == "cancelled" })
    }
}
