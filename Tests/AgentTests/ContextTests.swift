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
