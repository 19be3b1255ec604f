// SKILL.md files as people write them, and files that are none: what is read, and how the owner learns of the rest.
import DurableFiles
import Foundation
import HTTPTransport
import ModelTestSupport
import Providers
import Tenants
import Testing
import TextFormats

@testable import Agent

@Suite("Skill files")
struct SkillFileTests {
    /// A file as somebody wrote it, and the description that was meant.
    struct Written: Sendable, CustomTestStringConvertible {
        var text: String
        var description: String
        var tools: [String] = []
        var isAlways = false
        var testDescription: String { String(text.prefix(80)).debugDescription }
    }

    /// A description behind `description: `, and the words that were meant.
    private static let descriptions: [(written: String, meant: String)] = [
        ("Use when: prices move", "Use when: prices move"), ("[WIP] Watch prices", "[WIP] Watch prices"),
        ("[Watch, compare]", "[Watch, compare]"), ("{a} and {b}: both", "{a} and {b}: both"), ("{a: b}", "{a: b}"),
        ("@alice asks for prices", "@alice asks for prices"), ("*bold* words", "*bold* words"), ("*", "*"),
        ("&Co prices", "&Co prices"), ("#1 for prices", "#1 for prices"), ("See issue #12: prices", "See issue #12: prices"),
        ("Prices of #chips # draft", "Prices of #chips"), ("Prices # draft", "Prices"), ("!important: prices", "!important: prices"),
        ("%d prices", "%d prices"), ("`quotes` first", "`quotes` first"), ("- prices - news", "- prices - news"),
        ("\"Watch\" prices", "\"Watch\" prices"), ("\"Watch: prices\"", "Watch: prices"), ("'it's prices'", "it's prices"),
        ("\"C:\\path\"", "C:\\path"), ("\"Watch prices", "\"Watch prices"), ("\tWatch prices", "Watch prices"),
        ("Watch prices\t", "Watch prices"), ("看价格：每天", "看价格：每天"), ("? prices", "? prices"), ("| prices", "| prices"),
        ("Watch\n  prices: all", "Watch prices: all"), (">\n  Watch\n  prices", "Watch prices"),
        ("|\n  Watch\n  prices", "Watch prices"), (">-\n\tWatch: the\n\tprices", "Watch: the prices"),
        ("Watch\nprices of all", "Watch prices of all"), ("https://example.org/a: b", "https://example.org/a: b"),
        ("yes", "yes"), ("2026", "2026"),
    ]

    /// The whole file around a usual description.
    private static let files: [Written] = [
        Written(text: "\u{FEFF}---\nname: watch\ndescription: D\n---\nBODY\n", description: "D"),
        Written(text: "\u{FEFF}\u{FEFF}\n\n---\nname: watch\ndescription: D\n---\nBODY", description: "D"),
        Written(text: "---\r\nname: watch\r\ndescription: D: E\r\n---\r\nBODY\r\n", description: "D: E"),
        Written(text: "---\rname: watch\rdescription: D\r---\rBODY\r", description: "D"),
        Written(text: "\n \n--- \t\nname: watch\ndescription: D\n---  \n\nBODY\n", description: "D"),
        Written(text: "  ---\n  name: watch\n  description: D\n  ---\nBODY\n", description: "D"),
        Written(text: "-----\nname: watch\ndescription: D\n-----\nBODY\n", description: "D"),
        Written(text: "---\nname: watch\ndescription: D\n...\nBODY\n", description: "D"),
        Written(text: "---\ndescription: D: E\n---\nBODY\n", description: "D: E"),
        Written(text: "---\nName: Watch\nDescription: D\nAlways: Yes\n---\nBODY\n", description: "D", isAlways: true),
        Written(text: "---\nname：watch\ndescription：看：价格\n---\nBODY\n", description: "看：价格"),
        Written(text: "---\nname:watch\ndescription:D\n---\nBODY\n", description: "D"),
        Written(text: "---\n\tname: watch\n\tdescription: D\n---\nBODY\n", description: "D"),
        Written(text: "---\nname: watch\n  description: D\n---\nBODY\n", description: "D"),
        Written(text: "---\n# mine\nname: watch # this\ndescription: D\nalways: true # yes\n---\nBODY\n", description: "D", isAlways: true),
        Written(
            text: "---\nname: watch\ndescription: D: E\nlicense: [MIT\nauthor: @me\n---\nBODY\n", description: "D: E"),
        Written(
            text: "---\nname: watch\ndescription: D: E\nalways: on\nrequires: quotes, grep\n---\nBODY\n", description: "D: E",
            tools: ["quotes", "grep"], isAlways: true),
        Written(text: "---\nname: watch\ndescription: D\nrequires: [quotes]\n---\nBODY\n", description: "D", tools: ["quotes"]),
        Written(text: "---\nname: watch\ndescription: D\nrequires: quotes\n---\nBODY\n", description: "D", tools: ["quotes"]),
        Written(text: "---\nname: watch\ndescription: D\nrequires:\n---\nBODY\n", description: "D"),
        Written(
            text: "---\nname: watch\ndescription: D: E\nrequires:\n\ttools:\n\t- quotes\n\t- grep\n---\nBODY\n",
            description: "D: E", tools: ["quotes", "grep"]),
        Written(
            text: "---\nname: watch\ndescription: D: E\nrequires:\n- quotes\nmetadata:\n  nanobot:\n    always: true\n---\nBODY\n",
            description: "D: E", tools: ["quotes"], isAlways: true),
        Written(text: "---\nname: watch\ndescription: D\n---\nBODY\n---\nmore\n", description: "D"),
    ]

    static let written: [Written] =
        descriptions.map {
            Written(text: "---\nname: watch\ndescription: \($0.written)\n---\nBODY\n", description: $0.meant)
        } + files

    @Test("Front matter that people write is read as it was meant, and nothing is said of it", arguments: written)
    func reads(file: Written) throws {
        let skill = try Skill(text: file.text, folder: "watch")
        #expect(skill.description == file.description)
        #expect(skill.requiredTools == file.tools && skill.isAlways == file.isAlways)
        #expect(skill.body.hasPrefix("BODY") && skill.problems == [])
    }

    @Test(
        "Where something was not understood the skill is read, and the owner is told",
        arguments: [
            ("---\nname: watch\ndescription: D\n", "", "---"),
            ("---\nname: watch\ndescription: D\n\n# Watch\nBODY\n", "# Watch", "line 4"),
            ("---\nname: watch\ndescription: D: E\n\n# Watch\nBODY\n---\nmore\n", "# Watch", "---"),
            ("name: watch\ndescription: D\n---\nBODY\n", "BODY", "before the front matter"),
            ("---\nname: watch\ndescription: D: E\n!!! what\n---\nBODY\n", "BODY", "not understood"),
            ("---\nname: watch\ndescription: D: E\ndescription: F\n---\nBODY\n", "BODY", "twice"),
            ("---\nname: watch\ndescription: D\nalways: perhaps\n---\nBODY\n", "BODY", "always"),
        ])
    func notes(text: String, body: String, problem: String) throws {
        let skill = try Skill(text: text, folder: "watch")
        #expect(skill.description.hasPrefix("D") && skill.body.hasPrefix(body))
        #expect(skill.problems.count == 1 && skill.problems[0].contains(problem), "\(skill.problems)")
    }

    // MARK: - Folders

    /// What lies in skills/, and a part of what its owner is told.
    private static let broken: [(path: String, bytes: [UInt8], name: String, fault: String)] = [
        ("skills/launch/SKILL.md", Array("no front matter".utf8), "launch", "front matter"),
        ("skills/launch/SKILL.md", Array("---\nname: other\ndescription: d\n---\n".utf8), "launch", "folder's name, launch"),
        ("skills/launch/SKILL.md", [0xff, 0xfe, 0x2d, 0x00], "launch", "UTF-16"),
        ("skills/launch/SKILL.md", [0x2d, 0x2d, 0x2d, 0xff], "launch", "not UTF-8"),
        ("skills/launch/SKILL.md", Array(repeating: 0x61, count: SkillShelf.maxFileBytes + 1), "launch", "65536 bytes"),
        ("skills/launch/skill.md", Array("---\n".utf8), "launch", "rename skill.md"),
        ("skills/launch/notes.txt", Array("x".utf8), "launch", "no SKILL.md"),
        ("skills/launch.md", Array("---\n".utf8), "launch.md", "skills/launch/SKILL.md"),
        ("skills/Launch Plan/SKILL.md", SkillTests.skill("Launch Plan"), "Launch Plan", "a-z"),
        ("skills/über/SKILL.md", SkillTests.skill("über"), "über", "a-z"),
        ("skills/a\nb\u{202E}/SKILL.md", SkillTests.skill("a"), "a b", "a-z"),
        ("skills/reminders/SKILL.md", Array("broken".utf8), "reminders", "front matter"),
    ]

    @Test("A file that is no skill is named, with its fault, in the list for its owner and in the prompt", arguments: broken.indices)
    func told(row: Int) throws {
        let (path, bytes, name, fault) = Self.broken[row]
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        try workspace.directory.write(path, bytes)
        let all = try SkillStatus.all(of: workspace) { $0 }
        let status = try #require(all.first { $0.name == name })
        #expect(!status.isAvailable && status.obstacle?.contains(fault) == true && status.problems.count == 1)
        #expect(status.description == nil && !status.isBuiltIn)
        #expect(all.count { $0.isBuiltIn } == BuiltInSkills.all.count - (name == "reminders" ? 1 : 0))
        let prompt = try ContextTests.prompt(house, alice)
        let lines = prompt.text.split(separator: "\n").filter { $0.hasPrefix("- \(name) (") }
        #expect(lines.count == 1 && lines[0].contains(fault))
        #expect(prompt.text.contains("say once") && !prompt.text.contains("\u{202E}"))
        #expect(prompt.problems.count == 1)
    }

    @Test("Links are not followed, and the owner is told")
    func links() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        try workspace.directory.write("skills/one/SKILL.md", SkillTests.skill("one"))
        try FileManager.default.createSymbolicLink(
            atPath: workspace.path + "/skills/two", withDestinationPath: workspace.path + "/skills/one")
        try FileManager.default.createDirectory(atPath: workspace.path + "/skills/three", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: workspace.path + "/skills/three/SKILL.md", withDestinationPath: workspace.path + "/skills/one/SKILL.md")
        let all = try SkillStatus.all(of: workspace) { $0 }
        #expect(all.first { $0.name == "one" }?.isAvailable == true)
        for name in ["two", "three"] { #expect(all.first { $0.name == name }?.obstacle?.contains("link") == true) }
    }

    @Test("Without a fault the prompt says nothing of faults; asking for a broken skill by name says what is wrong with it")
    func asked() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        #expect(try !ContextTests.prompt(house, alice).text.contains("Faults in the user's skills"))
        try house.workspaces.open(alice).directory.write("skills/launch/SKILL.md", Array("broken".utf8))
        let prompt = try ContextTests.prompt(house, alice, message: "please $launch now")
        #expect(prompt.askedFor.contains("The skill launch cannot be used: skills/launch/SKILL.md: it must begin"))
    }

    @Test("A usable skill with a fault is listed with both")
    func usable() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        try workspace.directory.write("skills/launch/SKILL.md", Array("---\nname: launch\ndescription: D\n\nBODY\n".utf8))
        let status = try #require(try SkillStatus.all(of: workspace) { $0 }.first { $0.name == "launch" })
        #expect(status.isAvailable && status.description == "D" && status.problems.count == 1)
        let prompt = try ContextTests.prompt(house, alice).text
        #expect(prompt.contains("- launch: D (skills/launch/SKILL.md)"))
        #expect(prompt.contains("- launch (skills/launch/SKILL.md): usable, but the line of ---"))
    }

    @Test("Many broken folders are bounded: a hundred are read, ten are named in the prompt")
    func many() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        for number in 100..<250 {
            try FileManager.default.createDirectory(
                atPath: workspace.path + "/skills/s\(number)", withIntermediateDirectories: true)
        }
        let broken = try SkillStatus.all(of: workspace) { $0 }.filter { !$0.isAvailable }
        #expect(broken.count == SkillShelf.maxSkills + 1)
        #expect(broken.contains { $0.obstacle?.contains("49 more") == true })
        let prompt = try ContextTests.prompt(house, alice).text
        #expect(prompt.contains("- and \(broken.count - SkillSections.maxFaults) more"))
    }

    @Test("A turn's request carries the fault once, in the context the assistant reads")
    func inTurn() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        try house.workspaces.open(alice).directory.write("skills/launch/SKILL.md", Array("broken".utf8))
        let model = ScriptedProvider([.text("hello")])
        let turn = try house.turn(alice, "hi", model: model)
        _ = try house.loop.run(turn, journal: MemoryJournal(), events: MemoryEvents(), cancellation: CancellationToken())
        let request = try #require(model.requests.first)
        let said = request.messages.map(\.content).joined(separator: "\n").components(separatedBy: "skills/launch/SKILL.md")
        #expect(said.count == 2)
    }
}
