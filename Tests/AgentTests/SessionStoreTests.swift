// Conversations on disk: appending, damage, replay.
import DurableFiles
import Foundation
import Providers
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Agent

@Suite("Sessions")
struct SessionStoreTests {
    let house: AgentHouse
    let directory: SealedDirectory
    let store: SessionStore

    init() throws {
        house = try AgentHouse()
        let alice = try house.addUser("alice")
        directory = try house.workspaces.open(alice).directory
        store = try house.store(alice)
    }

    static func turn(_ job: String, _ words: String, interrupted: Bool = false) -> [SessionEntry] {
        [ChatMessage.user(words), .assistant("re: \(words)")].enumerated().map { index, message in
            SessionEntry(
                id: "\(job):\(interrupted ? "i" : "")\(index)", jobID: job, message: message, time: AgentHouse.noon,
                isInterrupted: interrupted)
        }
    }

    func bytes(_ session: SessionID = .standard) throws -> [UInt8] {
        try directory.read("sessions/\(session.fileName)")
    }

    @Test("Appending the same turn again changes no byte")
    func idempotent() throws {
        try store.append(.standard, Self.turn("j1", "hello\nworld"))
        let before = try bytes()
        try store.append(.standard, Self.turn("j1", "hello\nworld"))
        #expect(try bytes() == before)
        let lines = String(decoding: before, as: UTF8.self).split(separator: "\n")
        let meta = try JSON.parse(String(lines[0]))
        #expect(meta["t"] == "meta" && meta["session_id"] == "default" && meta["title"] == "hello")
        #expect(try JSON.parse(String(lines[1]))["id"] == "j1:0")
        #expect(lines.count == 3)
    }

    @Test("A line torn anywhere is cut at the next append, and the turn is written again", arguments: [1, 20, 150])
    func torn(cut: Int) throws {
        try store.append(.standard, Self.turn("j1", "one"))
        try store.append(.standard, Self.turn("j2", "two"))
        let whole = try bytes()
        try directory.truncate("sessions/default.jsonl", to: whole.count - cut)
        #expect(try store.messages(.standard, limit: 9).count < 4)
        try store.append(.standard, Self.turn("j2", "two"))
        #expect(try bytes() == whole)
    }

    @Test("Lines that cannot be read stay where they are and are counted")
    func badLines() throws {
        try store.append(.standard, Self.turn("j1", "one"))
        let damage = Array("{\"id\":\"j9:0\",\"role\":\"\n\u{0}\u{1}\n{\"id\":1}\n".utf8) + [0xFF, 0x0A]
        try directory.append("sessions/default.jsonl", damage)
        let damaged = try bytes()
        try store.append(.standard, Self.turn("j2", "two"))
        #expect(try bytes().starts(with: damaged))
        #expect(try store.messages(.standard, limit: 9).map(\.id) == ["j1:0", "j1:1", "j2:0", "j2:1"])
        #expect(try store.summary(.standard).badLines == 4)
        #expect(try store.replay(.standard, excluding: "").messages.count == 4)
    }

    @Test("A long conversation is read in pieces: each message once, in order, whatever lies across two pieces")
    func longConversation() throws {
        let texts = (0..<12).map { String(repeating: "word \($0) ", count: 9_000) }
        for (number, text) in texts.enumerated() { try store.append(.standard, Self.turn("j\(number)", text)) }
        let page = try store.page(.standard, limit: 5, after: "j1:1")
        #expect(page.ids == ["j2:0", "j2:1", "j3:0", "j3:1", "j4:0"])
        #expect(try page.entries(0..<5).map(\.message.content).first == texts[2])
        #expect(page.sizes.allSatisfy { $0 > 60_000 })
        let all = try store.page(.standard, limit: 99)
        #expect(try all.entries(22..<24) == Self.turn("j11", texts[11]))
        // The page is of the file as it was, whatever becomes of its name.
        try store.delete(.standard)
        #expect(try all.entries(0..<2) == Self.turn("j0", texts[0]))
        #expect(throws: AgentError.self) { try store.page(.standard, limit: 1) }
    }

    @Test("A line longer than any of ours is counted and costs no memory of its size")
    func endlessLine() throws {
        try store.append(.standard, Self.turn("j1", "one"))
        try directory.append("sessions/default.jsonl", [UInt8](repeating: UInt8(ascii: "["), count: 17 << 20) + [0x0A])
        try store.append(.standard, Self.turn("j2", "two"))
        #expect(try store.summary(.standard).badLines == 1)
        #expect(try store.messages(.standard, limit: 9).count == 4)
    }

    @Test("Sessions with similar names never share a file")
    func injective() throws {
        let long = String(repeating: "长", count: 128)
        let names = ["a:b", "a_b", "a b", "A_B", "a/b", "..", "a%3ab", "é", "e\u{301}", long]
        for name in names { try store.append(SessionID(name), Self.turn("j", "in \(name)")) }
        for name in names {
            #expect(try store.messages(SessionID(name), limit: 9).first?.message.content == "in \(name)")
        }
        let listed = try store.list()
        #expect(listed.count == names.count)
        #expect(Set(listed.map { Array($0.id.utf8) }) == Set(names.map { Array($0.utf8) }))
    }

    @Test("A title can be set and taken away, a session deleted; both say when there is none")
    func titleAndDelete() throws {
        #expect(throws: AgentError.self) { try store.setTitle(.standard, "x", at: AgentHouse.noon) }
        #expect(try store.delete(.standard) == false)
        try store.append(.standard, Self.turn("j1", "one"))
        #expect(try store.setTitle(.standard, "My title", at: AgentHouse.noon).title == "My title")
        #expect(try store.setTitle(.standard, "", at: AgentHouse.noon).title == nil)
        #expect(try store.list().map(\.messageCount) == [2])
        #expect(try store.delete(.standard))
        #expect(try store.list().isEmpty)
    }

    @Test("Messages come in pages")
    func pages() throws {
        for number in 0..<5 { try store.append(.standard, Self.turn("j\(number)", "\(number)")) }
        #expect(try store.messages(.standard, limit: 3).map(\.id) == ["j0:0", "j0:1", "j1:0"])
        #expect(try store.messages(.standard, limit: 2, after: "j1:0").map(\.id) == ["j1:1", "j2:0"])
        let newest = try store.page(.standard, limit: 3, isNewestFirst: true)
        #expect(newest.ids == ["j4:1", "j4:0", "j3:1"])
        #expect(try newest.entries(1..<3).map(\.id) == ["j4:0", "j3:1"])
        let older = try store.page(.standard, limit: 9, after: "j1:0", isNewestFirst: true)
        #expect(older.ids == ["j0:1", "j0:0"])
        #expect(throws: AgentError.self) { try store.page(.standard, limit: 3, after: "j9:0", isNewestFirst: true) }
        #expect(try store.lastMessages(.standard, limit: 1).map(\.id) == ["j4:1"])
    }

    @Test("An interrupted turn is shown until the job's whole turn is there, and never to the job itself")
    func interrupted() throws {
        try store.append(.standard, Self.turn("j1", "one", interrupted: true))
        #expect(try store.messages(.standard, limit: 9).map(\.id) == ["j1:i0", "j1:i1"])
        #expect(try store.replay(.standard, excluding: "j1").messages.isEmpty)
        try store.append(.standard, Self.turn("j1", "one"))
        #expect(try store.messages(.standard, limit: 9).map(\.id) == ["j1:0", "j1:1"])
    }

    @Test("A question written early stands before what answers it meanwhile, once, however its turn ends", arguments: [false, true])
    func earlyQuestion(interrupted: Bool) throws {
        let question = SessionEntry(
            id: "j1:q", jobID: "j1", message: .user("look it up"), time: AgentHouse.noon, isInterrupted: true)
        let answer = SessionEntry(id: "j2:answer", jobID: "j2", message: .assistant("found"), time: AgentHouse.noon)
        for _ in 0..<2 {
            try store.append(.standard, [question])
            try store.append(.standard, [answer])
        }
        #expect(try store.messages(.standard, limit: 9).map(\.message.content) == ["look it up", "found"])
        try store.append(.standard, Self.turn("j1", "look it up", interrupted: interrupted))
        let told = ["look it up", "found", "re: look it up"]
        #expect(try store.messages(.standard, limit: 9).map(\.message.content) == told)
        #expect(try store.replay(.standard, excluding: "j9").messages.map(\.content) == told)
        #expect(try store.replay(.standard, excluding: "j1").messages.isEmpty, "the turn itself begins without them")
        try store.append(.standard, Self.turn("j1", "look it up"))
        #expect(try store.messages(.standard, limit: 9).map(\.message.content) == told)
    }

    @Test("A file of an older version has an early question a second time, with its turn: it is shown once, in its place", arguments: [
        false, true,
    ])
    func doubledQuestion(isRetry: Bool) throws {
        let question = SessionEntry(
            id: "j1:q", jobID: "j1", message: .user("look it up"), time: AgentHouse.noon, isInterrupted: true)
        let answer = SessionEntry(id: "j2:answer", jobID: "j2", message: .assistant("found"), time: AgentHouse.noon)
        let between = isRetry ? Self.turn("j3", "other") : [answer]
        try store.append(.standard, [question] + between + Self.turn("j1", "look it up"))
        let told = isRetry ? ["other", "re: other", "look it up", "re: look it up"] : ["look it up", "found", "re: look it up"]
        #expect(try store.messages(.standard, limit: 9).map(\.message.content) == told)
        #expect(try store.messages(.standard, limit: 9).allSatisfy { !$0.isInterrupted })
    }

    @Test("A replay begins with a user's message and every call has one result", arguments: 0..<40)
    func replayWindow(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var messages: [ChatMessage] = []
        for _ in 0..<Int.random(in: 0...120, using: &random) {
            switch Int.random(in: 0..<6, using: &random) {
            case 0: messages.append(.user("u"))
            case 1: messages.append(.assistant("a"))
            case 2...3:
                let calls = (0..<Int.random(in: 1...3, using: &random)).map {
                    ToolCall(id: "c\($0)", name: "quotes", arguments: "{}")
                }
                messages.append(.assistant("", toolCalls: calls))
            default: messages.append(.tool("r", callID: "c\(Int.random(in: 0..<4, using: &random))", name: "quotes"))
            }
        }
        let entries = messages.enumerated().map { index, message in
            SessionEntry(id: "j:\(index)", jobID: "j", message: message, time: AgentHouse.noon)
        }
        let window = ReplayWindow.messages(entries)
        #expect(window.isEmpty || window[0].role == .user)
        #expect(window.isEmpty == !messages.contains { $0.role == .user })
        #expect(Pairing.isWhole(window))
    }
}

/// Whether every call has exactly one result right behind it, and every result a call.
enum Pairing {
    static func isWhole(_ messages: [ChatMessage]) -> Bool {
        var open: [String] = []
        for message in messages {
            if message.role == .tool {
                guard let id = message.toolCallID, let index = open.firstIndex(of: id) else { return false }
                open.remove(at: index)
            } else {
                guard open.isEmpty else { return false }
                open = message.toolCalls.map(\.id)
            }
        }
        return open.isEmpty
    }
}
