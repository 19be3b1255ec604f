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

    @Test("the older part is due in whole turns, and once; until the history has it, requests carry it")
    func backlog() throws {
        #expect(try store.backlog(session) == nil)
        try say(0..<39)
        #expect(try store.backlog(session) == nil)
        try say(39..<40)
        let due = try #require(try store.backlog(session))
        #expect(due.entries.map(\.id) == (0..<29).flatMap { ["j\($0):0", "j\($0):1"] } + ["j29:0", "j29:1"])
        #expect(!due.isClosed)
        try say(40..<43)
        #expect(try store.replay(session, excluding: "").messages.count == 86, "no word has left the prompt yet")
        let made = try #require(try store.backlog(session, through: "j29:1"))
        #expect(made.entries == due.entries)
        try store.markConsolidated(session, through: "j29:1", summary: "So far.", at: Date())
        #expect(try store.backlog(session) == nil && store.backlog(session, through: "j29:1") == nil)
        let replay = try store.replay(session, excluding: "")
        #expect(replay.summary == "So far." && replay.messages.count == 26)
        #expect(replay.messages.first?.content == "question 30")
        try say(43..<70)
        #expect(try store.backlog(session)?.entries.first?.id == "j30:0")
        #expect(try store.backlog(session)?.summary == "So far.")
        #expect(try store.backlog(session, through: "j31:1")?.entries.count == 4)
        #expect(try store.backlog(session, through: "j99:1") == nil)
    }

    @Test("long messages are due by their tokens, in a narrow window sooner, and the newest exchange stays")
    func backlogByTokens() throws {
        for turn in 0..<6 {
            let text = String(repeating: "a long answer of many words. ", count: 100)
            try store.append(
                session,
                [
                    SessionEntry(id: "j\(turn):0", jobID: "j\(turn)", message: .user("question \(turn)"), time: Date()),
                    SessionEntry(id: "j\(turn):1", jobID: "j\(turn)", message: .assistant(text), time: Date()),
                ])
        }
        #expect(try store.backlog(session) == nil)
        #expect(try store.backlog(session, BacklogRule(room: 27_000)) == nil)
        let narrow = try #require(try store.backlog(session, BacklogRule(room: 3_000)))
        #expect(narrow.entries.first?.id == "j0:0" && narrow.last?.id == "j4:1")
        try store.markConsolidated(session, through: "j4:1", summary: "x", at: Date())
        #expect(try store.backlog(session, BacklogRule(room: 3_000)) == nil)
    }

    @Test("a replay begins at the same message for many turns, also where nothing is ever summarised")
    func unread() throws {
        var lines: [[UInt8]] = [SessionFile.metaLine(session: "default", createdAt: Date(), title: nil).bytes()]
        for turn in 0..<1_400 {
            for (index, message) in [ChatMessage.user("q\(turn)"), .assistant("a\(turn)")].enumerated() {
                let entry = SessionEntry(id: "j\(turn):\(index)", jobID: "j\(turn)", message: message, time: Date())
                lines.append(entry.json.bytes())
            }
        }
        func replay(_ count: Int) -> SessionFile { SessionFile(replaying: Array(lines[..<count].joined(separator: [0x0A])) + [0x0A]) }
        #expect(replay(2_001).unreadLines <= 500)
        let starts = stride(from: 2_101, to: 2_801, by: 2).map { replay($0).unreadLines }
        #expect(Set(starts).count <= 3 && starts == starts.sorted() && (starts.last ?? 0) > 0)
    }

    @Test("the history leaves out what the conversation's own summary says, and keeps it for other conversations")
    func digest() throws {
        let log = HistoryLog(workspace: workspace)
        func add(_ id: String, _ session: SessionID, _ content: String) throws {
            try log.append(HistoryEntry(id: id, session: session, from: Date(), to: Date(), content: content, isRaw: false))
        }
        let other = try SessionID("other")
        try add("a", session, "First part.\n\nSecond paragraph.")
        try add("b", session, "Newest part.")
        try add("c", other, "Of another talk.")
        let digest = HistoryDigest(directory: workspace.directory)
        let summary = Consolidation.joined(Consolidation.joined(nil, "First part.\n\nSecond paragraph."), "Newest part.")
        let own = try digest.text(besides: summary, of: session)
        #expect(!own.contains("part.") && !own.contains("paragraph") && own.contains("Of another talk."))
        #expect(try digest.text(besides: summary, of: other).contains("First part."))
        let long = String(repeating: "y", count: 3_990)
        let cut = Consolidation.joined("First part.\n\nSecond paragraph.", long)
        #expect(cut == long)
        #expect(try digest.text(besides: cut, of: session).contains("First part."), "what the summary lost is in the history")
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
        "an answer in the asked form is taken apart into a summary and facts",
        arguments: [
            ("SUMMARY\nBought.\n\nFACTS\n- likes tea\n- none\n* is 40", "Bought.", ["likes tea", "is 40"]),
            ("## Summary:\nA\nB\n**FACTS**\n- none", "A\nB", []), ("SUMMARY: Bought.\nFACTS: none", "Bought.", []),
            ("```\nSUMMARY\n买了。\nFACTS\n- 喜欢茶\n```", "买了。", ["喜欢茶"]),
            ("Here it is:\n\n**SUMMARY:** Bought.\n**FACTS:**\n- is 40\nThat is all.", "Bought.", ["is 40"]),
            ("SUMMARY\ns\nFACTS\n- none\n- " + String(repeating: "x", count: 301), "s", []),
        ])
    func parts(answer: String, summary: String, facts: [String]) {
        #expect(Consolidation.parts(of: answer) == Consolidation.Parts(summary: summary, facts: facts))
    }

    @Test(
        "an answer in another form is none: it must not take the place of what was said",
        arguments: [
            "", "  \n", "Just words.", "Sorry, the model returned nothing.", "I'm sorry, but I cannot help with that.",
            "<html><body>502 Bad Gateway</body></html>", "FACTS\n- x", "SUMMARY\nThe user bought", "SUMMARY\nBought.\nFACTS\n",
            "SUMMARY\n\nFACTS\n- x", "SUMMARY\nI cannot summarise this.\nFACTS\n- none", "SUMMARY\n抱歉，无法处理。\nFACTS\n- none",
            "FACTS\n- x\nSUMMARY\ns", "SUMMARY\na\nSUMMARY\nb\nFACTS\n- none", "SUMMARY\na\nFACTS\n- b\nFACTS\n- c",
            "{\"summary\": \"s\", \"facts\": []}", "SUMMARY\nb\nFACTS\nwe talked",
        ])
    func notInForm(answer: String) {
        #expect(Consolidation.parts(of: answer) == nil)
    }

    @Test("the raw form keeps the user's words rather than the assistant's, the newest first")
    func raw() {
        func entry(_ message: ChatMessage) -> SessionEntry {
            SessionEntry(id: message.content, jobID: "j", message: message, time: Date())
        }
        let words = "My sister Ana moves to Porto on 3 May. " + String(repeating: "u", count: 400)
        let talk = (0..<40).flatMap { [entry(.user("\($0) \(words)")), entry(.assistant(String(repeating: "a", count: 900)))] }
        let raw = Consolidation(talk, summary: nil).raw
        #expect(raw.count <= HistoryLog.maxCharacters && raw.hasPrefix("…"))
        #expect(raw.contains("user: 39 \(words)\n") && !raw.contains(String(repeating: "a", count: 201)))
    }

    private static let facts: [String] = (1...60).map { number in
        let day = String(format: "%02d", (number - 1) % 28 + 1)
        return "- 2026-01-\(day): fact number \(number) about topic\(number)"
    }

    private static func lines(_ range: Range<Int>) -> String { facts[range].joined(separator: "\n") }

    private static let tidyAnswers: [(String, Bool)] = {
        var all: [(String, Bool)] = []
        all.append(("# Memory\n\n" + lines(20..<60), true))
        all.append(("Here is the new memory:\n```\n" + lines(25..<60) + "\n```", true))
        all.append((lines(0..<40), false))
        all.append((lines(57..<60), false))
        all.append(("- user: has many interests", false))
        all.append(("I'm sorry, I cannot do that.", false))
        all.append(("", false))
        all.append(("The user told 60 facts about 60 topics, which I have read with care.", false))
        all.append(("<html><body><ul>\n" + lines(20..<60) + "\n</ul></body></html>", false))
        all.append((lines(0..<60) + "\n- more", false))
        return all
    }()

    @Test(
        "a shorter memory is taken only if it is a list with most of the facts, the newest above all", arguments: tidyAnswers)
    func tidied(answer: String, isTaken: Bool) {
        let memory = "# Memory\n\n" + Self.facts.joined(separator: "\n") + "\n"
        let text = MemoryStore.tidied(memory, by: answer, limit: memory.count * 3 / 4)
        #expect((text != nil) == isTaken)
        if let text { #expect(text.hasSuffix(Self.facts[59]) && !text.contains("Here is")) }
    }

    @Test("of a memory that is too long the newest facts stay, and the lines between", arguments: [400, 1_000, 2_500])
    func excerpt(limit: Int) {
        let memory = "# Memory\n\nWritten by hand.\n\n" + Self.facts.joined(separator: "\n") + "\n"
        let text = MemoryExcerpt.newest(memory, limit: limit)
        #expect(text.count <= limit && text.hasPrefix("# Memory\n\nWritten by hand.\n"))
        #expect(text.contains(Self.facts[59]) && !text.contains(Self.facts[0]) && text.contains("read_file memory/MEMORY.md"))
        #expect(MemoryExcerpt.newest(memory, limit: memory.count) == memory)
        let prose = String(repeating: "A line of prose.\n", count: 300) + "The end."
        #expect(MemoryExcerpt.newest(prose, limit: limit).hasSuffix("The end."))
    }

    @Test("the prompt of a turn and of a consolidation have the newest facts of a memory over its bound")
    func newestInPrompts() throws {
        let many = (1...1_500).map { "- 2026-01-01: fact number \($0)" }.joined(separator: "\n") + "\n"
        try workspace.writeText(Workspace.memory, many)
        let prompt = try ContextBuilder(workspace: workspace).systemPrompt(persona: Persona(), sessionSummary: nil, tools: [])
        #expect(prompt.text.contains("fact number 1500\n") && !prompt.text.contains("fact number 1\n"))
        let asked = Consolidation([], summary: nil).prompt(memory: many, language: "en")
        #expect(asked.contains("fact number 1500\n") && !asked.contains("fact number 1\n"))
    }

    @Test("a full memory makes room for what a conversation brings: the oldest entries go to the file beside it")
    func makesRoom() throws {
        let memory = MemoryStore(workspace: workspace)
        let long = String(repeating: "y", count: 1_900)
        try workspace.writeText(Workspace.memory, "# Memory\n" + (0..<34).map { "- 2026-01-01: old \($0) \(long)\n" }.joined())
        #expect(throws: AgentError.self) { try memory.remember("new \(long)", on: Date()) }
        #expect(try memory.remember("new \(long)", on: Date(), makesRoom: true))
        let (kept, gone) = (try memory.show(), try #require(try workspace.readText(MemoryStore.before, maxBytes: 1 << 20)))
        #expect(kept.hasPrefix("# Memory\n") && kept.contains("new y") && !kept.contains("old 0 "))
        #expect(kept.utf8.count <= MemoryStore.maxBytes)
        for number in 0..<34 { #expect(kept.contains("old \(number) ") != gone.contains("old \(number) ")) }
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
