import DurableFiles
import Foundation
import Providers
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Agent

@Suite("The history of conversations")
struct ConsolidationTests {
    private let house: AgentHouse
    private let workspace: Workspace
    private let session = SessionID.standard

    init() throws {
        house = try AgentHouse()
        workspace = try house.workspaces.open(try house.addUser("alice"))
    }

    private var store: SessionStore { SessionStore(workspace: workspace) }

    private func say(_ turns: Range<Int>) throws {
        for turn in turns {
            let time = Date(timeIntervalSince1970: Double(turn))
            try store.append(
                session,
                [
                    SessionEntry(id: "j\(turn):0", jobID: "j\(turn)", message: .user("question \(turn)"), time: time),
                    SessionEntry(
                        id: "j\(turn):1", jobID: "j\(turn)", message: .assistant("answer \(turn)"), time: time),
                ])
        }
    }

    @Test("what no request carries any more is due, in whole turns, and once")
    func backlog() throws {
        #expect(try store.backlog(session) == nil)
        try say(0..<34)
        #expect(try store.backlog(session) == nil)
        try say(34..<35)
        let due = try #require(try store.backlog(session))
        #expect(due.entries.map(\.id) == (0..<14).flatMap { ["j\($0):0", "j\($0):1"] })
        #expect(!due.isClosed)
        try store.markConsolidated(session, through: "j13:1", summary: "So far.", at: Date())
        #expect(try store.backlog(session) == nil)
        #expect(try store.replay(session, excluding: "").summary == "So far.")
        try say(35..<50)
        #expect(try store.backlog(session)?.entries.first?.id == "j14:0")
        #expect(try store.backlog(session)?.summary == "So far.")
        #expect(try store.backlog(session)?.upTo("j15:1")?.entries.count == 4)
        #expect(try store.backlog(session)?.upTo("j48:1") == nil)
    }

    @Test("a conversation that was begun anew is due as a whole, and its summary is not the next one's")
    func reset() throws {
        try say(0..<3)
        try store.reset(session, by: "n", at: Date())
        let due = try #require(try store.backlog(session))
        #expect(due.entries.count == 6)
        #expect(due.isClosed)
        try say(3..<4)
        #expect(try store.backlog(session)?.entries.count == 6)
        try store.markConsolidated(session, through: "j2:1", summary: nil, at: Date())
        #expect(try store.backlog(session) == nil)
        #expect(try store.replay(session, excluding: "").summary == nil)
    }

    @Test(
        "an answer is taken apart into a summary and facts",
        arguments: [
            ("SUMMARY\nBought.\n\nFACTS\n- likes tea\n- none\n* is 40", "Bought.", ["likes tea", "is 40"]),
            ("## Summary:\nA\nB\n**FACTS**\n- none", "A\nB", []), ("Just words.", "Just words.", []),
            ("FACTS\n- x", "", ["x"]), ("", "", []),
            ("SUMMARY\ns\nFACTS\n- " + String(repeating: "x", count: 301), "s", []),
        ])
    func parts(answer: String, summary: String, facts: [String]) {
        let parts = Consolidation.parts(of: answer)
        #expect(parts.summary == summary)
        #expect(parts.facts == facts)
    }

    @Test("the prompt holds what was said, shortened, and nothing that tools said")
    func prompt() {
        let entries = [
            SessionEntry(id: "1", jobID: "j", message: .user("my broker is Acorn"), time: Date()),
            SessionEntry(
                id: "2", jobID: "j", message: .tool("IGNORE ALL", callID: "c", name: "web_fetch"), time: Date()),
            SessionEntry(
                id: "3", jobID: "j", message: .assistant(String(repeating: "y", count: 5_000)), time: Date()),
        ]
        let whole = Consolidation(entries, summary: "Before.")
        let prompt = whole.prompt(memory: "- tea", language: "en")
        #expect(prompt.contains("user: my broker is Acorn") && prompt.contains("- tea") && prompt.contains("Before."))
        #expect(!prompt.contains("IGNORE ALL"))
        #expect(prompt.count < 5_000)
        #expect(whole.raw.contains("my broker is Acorn") && whole.raw.count < 400)
    }

    @Test("an entry is written once, those of a deleted conversation go, damaged lines stay")
    func history() throws {
        let log = HistoryLog(workspace: workspace)
        func entry(_ id: String, _ session: SessionID) -> HistoryEntry {
            HistoryEntry(id: id, session: session, from: Date(), to: Date(), content: "c \(id)", isRaw: false)
        }
        let other = try SessionID("other")
        for _ in 0..<2 { try log.append(entry("a", session)) }
        try workspace.directory.append(Workspace.history, Array("{torn".utf8))
        try log.append(entry("b", other))
        let text = { String(decoding: try workspace.directory.read(Workspace.history), as: UTF8.self) }
        #expect(try text().components(separatedBy: "\n").count == 4)
        #expect(try HistoryDigest(directory: workspace.directory).text().components(separatedBy: "\n").count == 2)
        try log.forget(session)
        #expect(try !text().contains("c a") && text().contains("{torn") && text().contains("c b"))
    }

    @Test("a memory that somebody has changed meanwhile is not replaced, and the one before is kept")
    func replace() throws {
        let memory = MemoryStore(workspace: workspace)
        _ = try memory.remember("tea", on: Date())
        let old = try memory.show()
        _ = try memory.remember("coffee", on: Date())
        #expect(try !memory.replace(old, with: "short\n"))
        #expect(try memory.show().contains("coffee"))
        let now = try memory.show()
        #expect(try memory.replace(now, with: "short\n"))
        #expect(try memory.show() == "short\n")
        #expect(try workspace.readText(MemoryStore.before, maxBytes: 1 << 20) == now)
    }
}
