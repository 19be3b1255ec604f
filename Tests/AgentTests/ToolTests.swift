// The tools as a model sees them: arguments in, JSON out, and nothing outside the workspace touched.
import DurableFiles
import Foundation
import Providers
import Tenants
import Testing
import TextFormats

@testable import Agent

@Suite("Tools")
struct ToolTests {
    /// What the tool answered: its error's code, or nil.
    static func code(_ answer: JSON) -> String? { answer["error"]?["code"]?.string }

    static let escapes = [
        "../bob/secret.md", "/etc/passwd", "a/../../bob/secret.md", "link.md", "linked/secret.md", "..", "a\0b",
    ]

    @Test("No file tool reads or writes outside the workspace", arguments: escapes)
    func escape(path: String) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let bob = try house.addUser("bob")
        let secret = try house.workspaces.open(bob).path + "/secret.md"
        try Data("top secret".utf8).write(to: URL(fileURLWithPath: secret))
        let own = try house.workspaces.open(alice).path
        let manager = FileManager.default
        try manager.createSymbolicLink(atPath: own + "/link.md", withDestinationPath: secret)
        try manager.createSymbolicLink(atPath: own + "/linked", withDestinationPath: own + "/../bob")
        let text = JSON.string(path).text()
        let calls = [
            ("read_file", "{\"path\":\(text)}"), ("write_file", "{\"path\":\(text),\"content\":\"x\"}"),
            ("edit_file", "{\"path\":\(text),\"old_text\":\"top\",\"new_text\":\"x\"}"),
            ("list_dir", "{\"path\":\(text)}"), ("find_files", "{\"pattern\":\"*\",\"path\":\(text)}"),
            ("grep", "{\"pattern\":\"top\",\"path\":\(text)}"),
        ]
        for (tool, arguments) in calls {
            let answer = try house.call(tool, arguments, as: alice)
            #expect(Self.code(answer) != nil, "\(tool) \(path): \(answer.text())")
            #expect(!answer.text().contains("secret\""))
        }
        #expect(try String(contentsOfFile: secret, encoding: .utf8) == "top secret")
        #expect(try manager.contentsOfDirectory(atPath: house.root).sorted() == ["workspaces"])
    }

    @Test(
        "What nanobot keeps is not written by file tools",
        arguments: [
            "config.json", "./config.json", "schedules.json", "usage.jsonl", "sessions/default.jsonl", "Sessions/x",
            ".hidden", "data/.config.lock", "memory/.lock", "CONFIG.JSON",
        ])
    func protected(path: String) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let before = try house.configs.get(alice)
        let text = JSON.string(path).text()
        #expect(
            Self.code(try house.call("write_file", "{\"path\":\(text),\"content\":\"{}\"}", as: alice))
                == "protected_file")
        let edit = "{\"path\":\(text),\"old_text\":\"a\",\"new_text\":\"b\"}"
        #expect(Self.code(try house.call("edit_file", edit, as: alice)) == "protected_file")
        #expect(try house.configs.get(alice) == before)
    }

    static let badArguments: [(tool: String, arguments: String, field: String)] = [
        ("read_file", "{}", "path"), ("read_file", "{\"path\":5}", "path"),
        ("read_file", "{\"path\":\"a\",\"lines\":3}", "lines"), ("list_dir", "{\"path\":[]}", "path"),
        ("watchlist", "{\"action\":\"ad\"}", "action"), ("watchlist", "{\"action\":\"add\"}", "items"),
        ("quotes", "{\"symbols\":\"AAPL\"}", "symbols"), ("quotes", "{\"symbols\":[]}", "symbols"),
        ("memory", "{\"action\":\"remember\"}", "text"), ("schedule", "{\"action\":\"add\"}", "expression"),
        ("preferences", "{\"changes\":{\"report_tme\":\"09:00\"}}", "report_tme"),
        ("preferences", "{\"changes\":{\"report_time\":\"25:00\"}}", "report_time"),
        ("profile", "{\"x\":1}", "x"), ("feeds", "{\"limit\":0}", "limit"),
    ]

    @Test("A wrong argument is named", arguments: badArguments.indices)
    func argument(index: Int) throws {
        let row = Self.badArguments[index]
        let house = try AgentHouse()
        let answer = try house.call(row.tool, row.arguments, as: try house.addUser("alice"))
        #expect(Self.code(answer)?.hasPrefix("invalid") == true, "\(answer.text())")
        #expect(answer["error"]?["detail"]?.string?.contains(row.field) == true, "\(answer.text())")
    }

    @Test("A full workspace takes no more from the file tools, and what stands there stays")
    func diskQuota() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let used = try house.workspaces.open(alice).diskUsage().bytes
        func write(_ count: Int) throws -> JSON {
            let text = JSON.string(String(repeating: "x", count: count)).text()
            return try house.call(
                "write_file", "{\"path\":\"data/a.md\",\"content\":\(text)}", as: alice, diskBytes: used + 2_000)
        }
        #expect(try write(2_000)["written"] == true)
        #expect(Self.code(try write(1)) == "disk_quota")
        let edit = "{\"path\":\"data/a.md\",\"old_text\":\"x\",\"new_text\":\"y\",\"replace_all\":true}"
        #expect(Self.code(try house.call("edit_file", edit, as: alice, diskBytes: used + 2_000)) == "disk_quota")
        #expect(try house.workspaces.open(alice).readText("data/a.md")?.count == 2_000)
    }

    @Test("Files are written, read by pages, edited, listed, found and searched")
    func files() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let lines = (1...3_000).map { "line \($0) 内容" }.joined(separator: "\n")
        let content = JSON.string(lines).text()
        let written = try house.call("write_file", "{\"path\":\"data/a.md\",\"content\":\(content)}", as: alice)
        #expect(written["written"] == true)
        var offset = 1
        var read: [String] = []
        while true {
            let page = try house.call("read_file", "{\"path\":\"data/a.md\",\"offset\":\(offset)}", as: alice)
            read.append(try #require(page["content"]?.string))
            guard let next = page["next_offset"]?.int else { break }
            offset = next
        }
        #expect(read.joined(separator: "\n") == lines)
        #expect(read.count > 1)
        let edit = "{\"path\":\"data/a.md\",\"old_text\":\"line 7 内容\\n\",\"new_text\":\"LINE SEVEN\\n\"}"
        #expect(try house.call("edit_file", edit, as: alice)["replacements"] == 1)
        let unclear = "{\"path\":\"data/a.md\",\"old_text\":\"line 8\",\"new_text\":\"x\"}"
        #expect(Self.code(try house.call("edit_file", unclear, as: alice)) == "text_not_unique")
        #expect(Self.code(try house.call("edit_file", edit, as: alice)) == "text_not_found")
        let found = try house.call("grep", "{\"pattern\":\"line seven\"}", as: alice)
        #expect(found["matches"]?[0]?["path"] == "data/a.md" && found["matches"]?[0]?["line"] == 7)
        let byName = try house.call("find_files", "{\"pattern\":\"*.md\",\"path\":\"data\"}", as: alice)
        #expect(byName["files"] == ["data/a.md"])
        let names = try house.call("list_dir", "{}", as: alice)["entries"]?.array?.compactMap { $0["name"]?.string }
        #expect(names?.contains("AGENTS.md") == true && names?.contains { $0.hasPrefix(".") } == false)
    }

    @Test("A long result is bounded, and its whole text is in a file the model can read")
    func spilled() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        for number in 0..<90 {
            try workspace.directory.write("data/\(String(repeating: "\"", count: 90))\(number).md", [])
        }
        var limits = TurnLimits()
        limits.toolResultCharacters = 2_000
        let answer = try house.call("list_dir", "{\"path\":\"data\"}", as: alice, limits: limits)
        #expect(answer.text().count <= 2_000)
        #expect(answer["truncated"] == true)
        let path = try #require(answer["file"]?.string)
        #expect(path == ".spill/job-1-0-0.txt")
        let whole = try JSON.parse(workspace.directory.read(path))
        #expect(whole["entries"]?.array?.count == 90)
        #expect(Self.code(try house.call("read_file", "{\"path\":\"\(path)\"}", as: alice)) == nil)
    }

    @Test("The oldest spilled files go")
    func spilledFilesAreBounded() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let folder = try house.workspaces.open(alice).directory
        for number in 0..<80 { try folder.write(".spill/job-0-0-\(1000 + number).txt", []) }
        var limits = TurnLimits()
        limits.toolResultCharacters = 100
        _ = try house.call("list_dir", "{}", as: alice, limits: limits)
        let kept = try folder.list(".spill").map(\.name)
        #expect(kept.count == ResultBound.keptFiles && kept.contains("job-1-0-0.txt"))
        #expect(!kept.contains("job-0-0-1000.txt"))
    }

    @Test("Watchlist, memory, preferences, profile, schedule and quotes do what they say")
    func services() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice", stocks: ["AAPL"])
        let add = "{\"action\":\"add\",\"items\":[\"tsla\",\"AAPL\"]}"
        #expect(try house.call("watchlist", add, as: alice)["changed"] == ["TSLA"])
        #expect(try house.call("watchlist", add, as: alice)["changed"] == [])
        let remove = "{\"action\":\"remove\",\"items\":[\"aapl\"]}"
        #expect(try house.call("watchlist", remove, as: alice)["watchlist"]?["stocks"] == ["TSLA"])
        let shown = try house.call("preferences", "{\"changes\":{\"report_time\":\"08:30\"}}", as: alice)
        #expect(shown["preferences"]?["report_time"] == "08:30")
        #expect(try house.call("profile", "{}", as: alice)["preferences"]?["report_time"] == "08:30")
        let schedule = "{\"action\":\"add\",\"expression\":\"09:00\",\"message\":\"look\"}"
        let first = try house.call("schedule", schedule, as: alice)
        #expect(try house.call("schedule", schedule, as: alice)["id"] == first["id"])
        #expect(first["session"] == "default")
        #expect(try house.call("schedule", "{\"action\":\"list\"}", as: alice)["schedules"]?.array?.count == 1)
        let missing = try house.call("schedule", "{\"action\":\"remove\",\"id\":\"no\"}", as: alice)
        #expect(Self.code(missing) == "not_found")
        let table = "symbol,price,time\nTSLA,250.5,2026-11-23T21:00:00Z\n"
        try house.workspaces.open(alice).directory.write("data/quotes.csv", Array(table.utf8))
        let quotes = try house.call("quotes", "{\"symbols\":[\"TSLA\",\"NVDA\"]}", as: alice)
        #expect(quotes["quotes"]?[0]?["price"]?.double == 250.5 && quotes["missing"] == ["NVDA"])
        #expect(try house.call("feeds", "{}", as: alice)["note"] != nil)
    }

    @Test(
        "Patterns match the paths they should",
        arguments: [
            ("*.md", "a/b.md", true), ("*.md", "a.mdx", false), ("a/*.md", "a/b/c.md", false),
            ("a/**/c.md", "a/c.md", true), ("a/**/c.md", "a/x/y/c.md", true), ("**", "a/b", true),
            ("**/b", "b", true), ("?.txt", "é.txt", true), ("[a-c]?.csv", "b1.csv", true),
            ("[!a-c]?.csv", "b1.csv", false), ("[x", "[x", true),
            ("*a*a*a*a*a*a*b", String(repeating: "a", count: 200), false),
            ("a*", "", false), ("*", "", false), ("report*", "report", true),
        ])
    func globs(pattern: String, path: String, matches: Bool) {
        #expect(GlobPattern(pattern).matches(path) == matches)
    }
}
