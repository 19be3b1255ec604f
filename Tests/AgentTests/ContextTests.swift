// The prompt's order and bytes, and what compaction may and may not do.
import DurableFiles
import Foundation
import Providers
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Agent

@Suite("Context")
struct ContextTests {
    static func prompt(
        _ house: AgentHouse, _ user: UserID, summary: String? = nil, tools: Set<String>? = nil, message: String = ""
    ) throws -> ContextBuilder.Prompt {
        try ContextBuilder(workspace: house.workspaces.open(user)).systemPrompt(
            persona: house.configs.get(user).persona, sessionSummary: summary,
            tools: tools ?? house.registry.names(for: .chat), message: message)
    }

    static func skill(_ name: String, always: Bool = false) -> [UInt8] {
        Array("---\nname: \(name)\ndescription: How to \(name).\nalways: \(always)\n---\n\nBODY-\(name)\n".utf8)
    }

    @Test("The sections stand in the order of the design, the same bytes every time")
    func order() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let folder = try house.workspaces.open(alice).directory
        for (path, text) in [
            ("AGENTS.md", "AGENTS-TEXT"), ("SOUL.md", "SOUL-TEXT"), ("USER.md", "USER-TEXT"),
            ("HEARTBEAT.md", "HEARTBEAT-TEXT"), ("memory/MEMORY.md", "MEMORY-TEXT"),
            ("memory/history.jsonl", "{\"timestamp\":\"2026-11-20 10:00\",\"content\":\"HISTORY-TEXT\"}\nbroken\n"),
        ] {
            try folder.write(path, Array(text.utf8))
        }
        try folder.write("skills/charts/SKILL.md", Self.skill("charts"))
        try folder.write("skills/rules/SKILL.md", Self.skill("rules", always: true))
        try folder.write("skills/wrong/SKILL.md", Self.skill("other"))
        let prompt = try Self.prompt(house, alice, summary: "SUMMARY-TEXT")
        let marks = [
            "You are nanobot", "AGENTS-TEXT", "SOUL-TEXT", "USER-TEXT", "# Tools", "MEMORY-TEXT", "BODY-rules",
            "- charts: How to charts. (skills/charts/SKILL.md)", "HISTORY-TEXT", "SUMMARY-TEXT",
        ]
        let places = marks.map { prompt.text.range(of: $0)?.lowerBound }
        #expect(!places.contains(nil))
        #expect(places.compactMap { $0 } == places.compactMap { $0 }.sorted())
        for absent in ["BODY-charts", "HEARTBEAT-TEXT", "alice", "2026-11-24"] {
            #expect(!prompt.text.contains(absent))
        }
        #expect(prompt.problems.map { $0.prefix(12) } == ["skill wrong:"])
        #expect(try Self.prompt(house, alice, summary: "SUMMARY-TEXT") == prompt)
    }

    @Test("Files are bounded, and links to other places are left out")
    func bounds() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        try workspace.directory.write("USER.md", Array(String(repeating: "龘", count: 50_000).utf8))
        try FileManager.default.removeItem(atPath: workspace.path + "/SOUL.md")
        try FileManager.default.createSymbolicLink(
            atPath: workspace.path + "/SOUL.md", withDestinationPath: "/etc/passwd")
        let prompt = try Self.prompt(house, alice)
        #expect(prompt.text.filter { $0 == "龘" }.count == ContextBuilder.maxFileCharacters)
        #expect(prompt.text.contains("read_file USER.md shows all"))
        #expect(!prompt.text.contains("root:"))
        #expect(prompt.problems.contains { $0.hasPrefix("SOUL.md") })
    }

    /// A conversation of `turns` turns with tool results of `length` characters.
    static func conversation(_ turns: Int, length: Int) -> [ChatMessage] {
        (0..<turns).flatMap { turn in
            [
                ChatMessage.user("question \(turn)"),
                .assistant("", toolCalls: [ToolCall(id: "t\(turn)", name: "quotes", arguments: "{}")]),
                .tool(String(repeating: "x", count: length), callID: "t\(turn)", name: "quotes"),
                .assistant("answer \(turn)"),
            ]
        }
    }

    @Test("Compaction keeps prompt and question, separates no call from its result, and fits", arguments: 0..<30)
    func compaction(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let history = Self.conversation(
            Int.random(in: 0...30, using: &random), length: Int.random(in: 0...4_000, using: &random))
        let question = ChatMessage.user("the question")
        let rounds = Self.conversation(
            Int.random(in: 0...6, using: &random), length: Int.random(in: 0...8_000, using: &random)
        ).filter { $0.role != .user }
        let budget = ContextBudget(tokens: Int.random(in: 3_000...30_000, using: &random))
        let system = ChatMessage.system("prompt")
        let fitted = budget.fit(system: system, history: history, turn: [question] + rounds)
        #expect(fitted.first == system)
        #expect(fitted.contains(question))
        #expect(Pairing.isWhole(fitted))
        #expect(fitted[1].role == .user)
        #expect(fitted.reduce(0) { $0 + TokenEstimate.tokens($1) } <= budget.tokens)
        #expect(fitted.suffix(rounds.count).map(\.role) == rounds.map(\.role))
        #expect(budget.fit(system: system, history: history, turn: [question] + rounds) == fitted)
    }

    @Test("What fits is left alone; old results go before old turns")
    func compactionOrder() {
        let history = Self.conversation(4, length: 4_000)
        let turn = [ChatMessage.user("now")]
        let system = ChatMessage.system("prompt")
        let wide = ContextBudget(tokens: 5_000).fit(system: system, history: history, turn: turn)
        #expect(wide == [system] + history + turn)
        let tight = ContextBudget(tokens: 3_000).fit(system: system, history: history, turn: turn)
        #expect(tight.count == 2 + history.count)
        #expect(tight.filter { $0.content == ContextBudget.marker }.count == 2)
        let tiny = ContextBudget(tokens: 100).fit(system: system, history: history, turn: turn)
        #expect(tiny.count < tight.count && tiny.last == turn[0])
    }

    @Test(
        "A file that is no skill says why",
        arguments: [
            ("a b", "---\nname: a b\ndescription: d\n---\n", "folder"), ("a", "no front matter", "front matter"),
            ("a", "---\nname: b\ndescription: d\n---\n", "name"), ("a", "---\nname: a\n---\n", "description"),
            ("a", "---\nname: [\n---\n", "name"), ("a", "---\nname: a\nother: [\n---\n", "YAML"),
            ("a", "\n\n", "empty"),
        ])
    func skillFaults(folder: String, text: String, word: String) {
        let fault = #expect(throws: Skill.Fault.self) { try Skill(text: text, folder: folder) }
        #expect(fault?.detail.contains(word) == true)
    }
}
