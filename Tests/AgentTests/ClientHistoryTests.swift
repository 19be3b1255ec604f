// Histories that clients bring along: compared with sessions, stored once, gone on from, kept out of the memory.
import DurableFiles
import Foundation
import Providers
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Agent

@Suite("Histories of clients")
struct ClientHistoryTests {
    let house: AgentHouse
    let store: SessionStore
    let session: SessionID

    init() throws {
        house = try AgentHouse()
        store = try house.store(try house.addUser("alice"))
        session = try SessionID("talk")
    }

    private static func history(_ texts: [String]) throws -> ClientHistory {
        let messages = texts.enumerated().map { $0.offset % 2 == 0 ? ChatMessage.user($0.element) : .assistant($0.element) }
        return try #require(ClientHistory(messages))
    }

    private func fill() throws {
        try store.append(session, SessionStoreTests.turn("j1", "one"))
        try store.append(session, SessionStoreTests.turn("j2", "two"))
    }

    @Test(
        "A history is the whole conversation, its beginning, or another one",
        arguments: [
            (["one", "re: one", "two", "re: two"], .whole(through: "j2")), (["one", "re: one"], .beginning), (["one"], .beginning),
            (["one", "re: one", "two"], .beginning), (["one ", "re: one\r\n", "two", "re: two\n"], .whole(through: "j2")),
            (["one", "re:one", "two", "re: two"], .other),
            (["one", "re: ONE", "two", "re: two"], .other), (["two", "re: two"], .other),
            (["one", "re: one", "two", "re: two", "three", "re: three"], .other), (["re: one", "one"], .other),
        ] as [([String], HistoryMatch)])
    func matches(texts: [String], match: HistoryMatch) throws {
        try fill()
        #expect(try store.match(try Self.history(texts), with: session) == match)
    }

    @Test("Of a named session the end is enough, and what is not the end is not")
    func ends() throws {
        try fill()
        #expect(try store.match(try Self.history(["two", "re: two"]), with: session, endIsEnough: true) == .whole(through: "j2"))
        #expect(try store.match(try Self.history(["one", "re: one"]), with: session, endIsEnough: true) == .beginning)
        #expect(try store.match(try Self.history(["one"]), with: try SessionID("none")) == nil)
    }

    @Test("An answer that was given piece by piece is the same answer, with the words before its tools or without them")
    func streamedAnswers() throws {
        let messages: [ChatMessage] = [
            .user("price?"), .assistant("Let me look.", toolCalls: [ToolCall(id: "c", name: "quotes", arguments: "{}")]),
            .tool("42", callID: "c", name: "quotes"), .assistant("It is 42."),
        ]
        let entries = messages.enumerated().map {
            SessionEntry(id: "j1:\($0.offset)", jobID: "j1", message: $0.element, time: AgentHouse.noon)
        }
        try store.append(session, entries)
        for answer in ["It is 42.", "Let me look.\n\nIt is 42."] {
            #expect(try store.match(try Self.history(["price?", answer]), with: session) == .whole(through: "j1"))
        }
        #expect(try store.match(try Self.history(["price?", "Let me look."]), with: session) == .other)
    }

    @Test("A question without its answer, and a turn that was cut short, are never gone on from by their words")
    func openTurns() throws {
        try fill()
        try store.append(session, SessionStoreTests.turn("j3", "three", interrupted: true))
        #expect(try store.match(try Self.history(["one", "re: one", "two", "re: two"]), with: session) == .beginning)
        #expect(
            try store.match(try Self.history(["one", "re: one", "two", "re: two", "three", "re: three"]), with: session) == .other)
        #expect(try !store.isLast("j2", in: session))
    }

    @Test("A history is stored once, changes nothing until its turn begins, and then is what the turn goes on from")
    func basing() throws {
        try fill()
        let given = try Self.history(["elsewhere", "said there"])
        try store.keep(given, in: session, question: "and here?", at: AgentHouse.noon)
        let size = try bytes()
        try store.keep(given, in: session, question: "and here?", at: AgentHouse.noon)
        #expect(try bytes() == size)
        #expect(try store.replay(session, excluding: "j3").messages.map(\.content) == ["one", "re: one", "two", "re: two"])
        try store.base(session, on: given.digest, by: "j3", at: AgentHouse.noon)
        let based = try bytes()
        // A resumed turn does it again.
        try store.base(session, on: given.digest, by: "j3", at: AgentHouse.noon)
        #expect(try bytes() == based)
        #expect(try store.replay(session, excluding: "j3").messages.map(\.content) == ["elsewhere", "said there"])
        try store.append(session, SessionStoreTests.turn("j3", "and here?"))
        let grown = ["elsewhere", "said there", "and here?", "re: and here?"]
        #expect(try store.replay(session, excluding: "j4").messages.map(\.content) == grown)
        #expect(try store.match(try Self.history(grown), with: session) == .whole(through: "j3"))
        // People still see all that was exchanged here, and nothing else.
        let shown = try store.messages(session, limit: 20).map(\.message.content)
        #expect(shown == ["one", "re: one", "two", "re: two", "and here?", "re: and here?"])
        #expect(try store.summary(session).messageCount == 6)
    }

    @Test("A history whose line is missing or damaged is an error of the turn, not a turn without it", arguments: [false, true])
    func missing(isDamaged: Bool) throws {
        let given = try Self.history(["elsewhere", "said there"])
        let error = #expect(throws: AgentError.self) {
            guard isDamaged else { return try store.base(session, on: given.digest, by: "j1", at: AgentHouse.noon) }
            try store.keep(given, in: session, question: "q", at: AgentHouse.noon)
            try store.base(session, on: given.digest, by: "j1", at: AgentHouse.noon)
            let text = String(decoding: try bytes(), as: UTF8.self).replacing("said there", with: "said HERE!")
            try store.directory.write(store.path(session), Array(text.utf8))
            _ = try store.replay(session, excluding: "j1")
        }
        #expect(error?.code == "history_missing" && error?.isRetryable == false)
    }

    @Test("A turn that follows an answer is not shown what came behind it, and needs its session")
    func following() throws {
        try fill()
        #expect(try store.replay(session, excluding: "j3", through: "j1").messages.map(\.content) == ["one", "re: one"])
        #expect(throws: AgentError.self) { _ = try store.replay(try SessionID("gone"), excluding: "j3", through: "j1") }
    }

    @Test("The memory takes what was exchanged here, and never what a client brought along")
    func memory() throws {
        let given = try Self.history((0..<60).map { "brought \($0)" })
        try store.keep(given, in: session, question: "q", at: AgentHouse.noon)
        try store.base(session, on: given.digest, by: "j0", at: AgentHouse.noon)
        for number in 0..<39 { try store.append(session, SessionStoreTests.turn("j\(number)", "said \(number)")) }
        #expect(try store.backlog(session) == nil)
        for number in 39..<50 { try store.append(session, SessionStoreTests.turn("j\(number)", "said \(number)")) }
        let backlog = try #require(try store.backlog(session))
        #expect(backlog.entries.first?.message.content == "said 0")
        #expect(!backlog.entries.contains { $0.message.content.contains("brought") })
        try store.markConsolidated(session, through: try #require(backlog.last).id, summary: "so far", at: AgentHouse.noon)
        let replay = try store.replay(session, excluding: "next")
        #expect(replay.summary == "so far")
        #expect(replay.messages.prefix(60).map(\.content) == given.messages.map(\.content))
    }

    @Test("Turns in front of a change of history are summed up by themselves: no later turn is told of them")
    func summaries() throws {
        for number in 0..<30 { try store.append(session, SessionStoreTests.turn("a\(number)", "before \(number)")) }
        let given = try Self.history(["elsewhere", "said there"])
        try store.keep(given, in: session, question: "q", at: AgentHouse.noon)
        try store.base(session, on: given.digest, by: "b0", at: AgentHouse.noon)
        // A change of history alone is no reason to ask a model.
        #expect(try store.backlog(session) == nil)
        for number in 0..<20 { try store.append(session, SessionStoreTests.turn("b\(number)", "after \(number)")) }
        let backlog = try #require(try store.backlog(session))
        #expect(backlog.isClosed)
        #expect(backlog.entries.map(\.jobID).allSatisfy { $0.hasPrefix("a") } && backlog.entries.count == 60)
    }

    @Test("Sessions without a name are found by the words they began with; the oldest go, and busy ones stay")
    func names() throws {
        var made: [SessionID] = []
        for number in 0..<6 {
            let name = ClientHistory.sessionName([], question: number < 3 ? "hello" : "other", own: "\(number)")
            let session = try SessionID(name)
            try store.append(session, SessionStoreTests.turn("j\(number)", number < 3 ? "hello" : "other"))
            made.append(session)
        }
        try store.append(try SessionID("v1-0123456789abcdef01234567"), SessionStoreTests.turn("k", "hello"))
        let history = try Self.history(["hello", "re: hello"])
        #expect(Set(try store.candidates(for: history, limit: 50)) == Set(made.prefix(3)))
        #expect(try store.candidates(for: history, limit: 2).count == 2)
        let busy = made[0]
        let removed = try store.removeClientSessions(keeping: 0, changedBefore: .distantPast) { $0 == busy }
        #expect(removed == 5)
        // Names of an older form are nobody's to remove.
        #expect(Set(try store.list().map(\.id)) == [busy.rawValue, "v1-0123456789abcdef01234567"])
    }

    private func bytes() throws -> [UInt8] { try store.directory.read(store.path(session)) }
}
