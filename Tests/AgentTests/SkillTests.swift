// Skills: the built-in ones, the workspace's over them, what they require, and asking for one by name.
import DurableFiles
import Foundation
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Agent

@Suite("Skills")
struct SkillTests {
    static func skill(_ name: String, _ more: String = "", body: String = "OWN-BODY") -> [UInt8] {
        Array("---\nname: \(name)\ndescription: How to \(name).\n\(more)---\n\n\(body)\n".utf8)
    }

    @Test("Every built-in skill is valid, bounded, usable in a chat, and can be read by the path it is listed with")
    func builtIns() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        #expect(BuiltInSkills.all.map(\.name) == BuiltInSkills.sources.map(\.name))
        let prompt = try ContextTests.prompt(house, alice)
        for skill in BuiltInSkills.all {
            #expect(skill.obstacle(tools: house.registry.names(for: .chat)) == nil)
            #expect(skill.body.count <= SkillSections.maxBodyCharacters)
            #expect(prompt.text.contains("- \(skill.name): \(skill.description) (\(skill.path))"))
            let read = try house.call("read_file", "{\"path\":\"\(skill.path)\"}", as: alice)
            #expect(read["content"]?.string?.contains(skill.body) == true)
        }
    }

    @Test("A workspace's skill stands in place of the built-in one of that name, even when it is broken")
    func over() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let folder = try house.workspaces.open(alice).directory
        try folder.write("skills/reminders/SKILL.md", Self.skill("reminders"))
        try folder.write("skills/report-writing/SKILL.md", Array("no front matter".utf8))
        let shelf = try SkillShelf(directory: folder)
        #expect(shelf.skills.map(\.name) == ["reminders", "watchlist-research"])
        #expect(shelf.skills[0].body == "OWN-BODY")
        #expect(shelf.problems.map { $0.prefix(15) } == ["report-writing:"])
        let read = try house.call("read_file", "{\"path\":\"skills/reminders/SKILL.md\"}", as: alice)
        #expect(read["content"]?.string?.contains("OWN-BODY") == true)
    }

    @Test("A skill whose requirements are not met is listed with the reason, and its body stays out", arguments: [
        ("requires: {tools: [quotes, rocket]}\n", "rocket"), ("requires: {env: [HOME]}\n", "env"),
        ("requires: {tools: rocket}\n", "rocket"),
    ])
    func requirements(matter: String, reason: String) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let folder = try house.workspaces.open(alice).directory
        try folder.write("skills/launch/SKILL.md", Self.skill("launch", "always: true\n" + matter))
        let prompt = try ContextTests.prompt(house, alice, message: "please $launch now")
        let line = prompt.text.split(separator: "\n").first { $0.hasPrefix("- launch:") } ?? ""
        #expect(line.contains("unavailable") && line.contains(reason))
        #expect(!prompt.text.contains("OWN-BODY") && !prompt.askedFor.contains("OWN-BODY"))
        #expect(prompt.askedFor.contains("The skill launch cannot be used"))
        let ready = try ContextTests.prompt(house, alice, tools: ["quotes", "rocket"], message: "$launch")
        #expect(ready.askedFor.contains("OWN-BODY") == !matter.contains("env"))
    }

    @Test(
        "Requirements of a wrong shape are faults",
        arguments: [
            "requires: {tools: {a: b}}\n", "requires: [{a: b}]\n", "requires: {tools: [quotes\n",
            "requires: \(String(repeating: "x", count: 65))\n",
        ])
    func wrongRequirements(matter: String) {
        let text = String(decoding: Self.skill("a", matter), as: UTF8.self)
        let fault = #expect(throws: Skill.Fault.self) { try Skill(text: text, folder: "a") }
        #expect(fault?.detail.contains("requires") == true)
    }

    @Test("$name asks for a skill on the shelf; prices and symbols ask for none", arguments: [
        ("use $reminders please", ["reminders"]), ("用$reminders，谢谢", ["reminders"]), ("$reminders.", ["reminders"]),
        ("$reminders $report-writing $reminders", ["reminders", "report-writing"]),
        ("$report-writing- ok", ["report-writing"]),
        ("$AAPL at $150, $unknown, $ and $$", []), ("reminders", []), ("$Reminders", []),
    ])
    func asking(message: String, names: [String]) throws {
        let house = try AgentHouse()
        let shelf = try SkillShelf(directory: try house.workspaces.open(house.addUser("alice")).directory)
        #expect(shelf.askedFor(in: message).map(\.name) == names)
    }

    @Test("A skill asked for goes with the user's message of that turn, not into the prompt or the session")
    func asked() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let body = try #require(BuiltInSkills.all.first { $0.name == "reminders" }).body
        let plain = try ContextTests.prompt(house, alice)
        let prompt = try ContextTests.prompt(house, alice, message: "$reminders: tomorrow")
        #expect(prompt.text == plain.text)
        #expect(plain.askedFor.isEmpty && prompt.askedFor.contains(body))
    }
}
