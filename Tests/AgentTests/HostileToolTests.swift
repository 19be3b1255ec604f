// Searches, patterns and skills that were written to be expensive: steps are counted, so no clock is asked.
import DurableFiles
import Foundation
import HTTPTransport
import ModelTestSupport
import Providers
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Agent

@Suite("Hostile searches and skills")
struct HostileToolTests {
    @Test("No file and no wanted text make grep take more than 64 steps a byte")
    func grep() {
        let faults = HostileTextCheck.faults("grep") { text, steps in
            let wanted = [
                String(text.prefix(511)) + "b", String(repeating: "a", count: 511) + "b", "zz", "\u{301}",
                String(text.prefix(4)),
            ]
            for wanted in wanted {
                let own = StepCounter()
                var search = TextSearch(wanted, ignoresCase: true, own)
                search.scan(Array(text.utf8), path: "a")
                // Each search is one of its own.
                if own.steps > steps.steps { steps.add(own.steps - steps.steps) }
            }
        }
        #expect(faults == [])
    }

    @Test(
        "grep finds lines as it did",
        arguments: [
            ("b", true, "a\nB\nab", [2, 3]), ("b", false, "a\nB\nab", [3]), ("Ä", true, "ä\nA\n", [1]),
            ("ǆ", true, "Ǆ\n", [1]), ("中", true, "x\r\n中文\r\n", [2]), ("a", true, "aa a\na", [1, 2]),
            ("a\nb", true, "a\nb", [1]),
            ("İ", true, "x\nİstanbul", [2]), ("x", true, "İ\nİ\nx", [3]), ("", false, "", []),
            ("ss", true, "ß\nSS", [2]),
        ])
    func found(wanted: String, ignoresCase: Bool, text: String, lines: [Int]) {
        guard !wanted.isEmpty else { return }
        var search = TextSearch(wanted, ignoresCase: ignoresCase, StepCounter())
        search.scan(Array(text.utf8), path: "a")
        #expect(search.matches.map { $0["line"]?.int ?? 0 } == lines)
    }

    @Test(
        "No pattern takes more than 64 steps for a letter of a path",
        arguments: [
            String(repeating: "*a", count: 128), String(repeating: "**/", count: 85),
            String(repeating: "?", count: 256),
            String(repeating: "**/*a/", count: 42) + "b", String(repeating: "[!b]*", count: 51),
            "[" + String(repeating: "a-z", count: 84) + "]*", String(repeating: "[", count: 256), "**", "*",
            String(repeating: "中*", count: 128),
        ])
    func globs(pattern: String) {
        let glob = GlobPattern(pattern)
        for path in [
            String(repeating: "a", count: 4_000), String(repeating: "a/", count: 2_000),
            String(repeating: "ab/c", count: 1_000),
            String(repeating: "中", count: 1_300), String(repeating: "aaaa/", count: 800) + "b",
        ] {
            let steps = StepCounter()
            _ = glob.matches(path, steps)
            #expect(steps.steps <= 64 * path.utf8.count)
        }
    }

    @Test(
        "Patterns of many parts match the paths they should",
        arguments: [
            ("**/a/**/b.md", "x/a/y/z/b.md", true), ("**/a/**/b.md", "a/b.md", true), ("**/a/**/b.md", "x/b.md", false),
            ("a/**", "a/b/c", true), ("a/**", "b/c", false), ("**/**/c", "c", true), ("**/**", "a/b", true),
            ("**/*.md", "a/b/c.md", true), ("**/*.md", "c.md", true), ("a*/b", "ab/b", true), ("a*/b", "a/c/b", false),
            ("a/?/c", "a/b/c", true), ("a/[!b]/c", "a/b/c", false), ("a**b", "aXb", true), ("*/b", "a/b", true),
            ("*/b", "b", false),
            (String(repeating: "a", count: 200) + "*c", String(repeating: "a", count: 200) + "bc", true),
            (String(repeating: "?", count: 130) + "/x", String(repeating: "a", count: 130) + "/x", true),
            ("[a-]x", "-x", true), ("[]]x", "]x", true), ("**/x", "ax", false), ("**/x/y", "a/x/y", true),
        ])
    func parts(pattern: String, path: String, matches: Bool) {
        #expect(GlobPattern(pattern).matches(path) == matches)
    }

    @Test(
        "grep, find_files and list_dir end when their call is cancelled",
        arguments: [
            ("grep", "{\"pattern\":\"zz\"}"), ("find_files", "{\"pattern\":\"*\"}"), ("list_dir", "{}"),
        ])
    func cancellation(tool: String, arguments: String) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let directory = try house.workspaces.open(alice).directory
        for number in 0..<3 { try directory.write("data/\(number).txt", Array("word word\n".utf8)) }
        let token = CancellationToken()
        token.cancel(reason: "the user cancelled")
        let turn = try house.turn(alice, "test", model: ScriptedProvider([]))
        let call = PlannedCall(
            step: 0, index: 0, call: ToolCall(id: "c", name: tool, arguments: arguments), refusal: nil)
        let context = ToolContext(turn: turn, services: house.services, callID: "job-1:0:0", cancellation: token)
        let answer = try JSON.parse(house.registry.run(call, context))
        #expect(ToolTests.code(answer) == "cancelled")
        #expect(try directory.read("data/0.txt", maxBytes: 100) == Array("word word\n".utf8))
    }

    @Test("A search ends within one file when it is cancelled")
    func cancellationWithinFile() {
        let text = Array(HostileText.prose.text(size: 1 << 20).utf8)
        let steps = StepCounter(stoppingIf: { true })
        var search = TextSearch("chips", ignoresCase: true, steps)
        search.scan(text, path: "a")
        #expect(search.matches.count <= 1)
    }

    @Test("Edits replace what components(separatedBy:) found, also of texts that repeat themselves")
    func edits() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let directory = try house.workspaces.open(alice).directory
        let text = String(repeating: "a", count: 200_000) + "b"
        try directory.write("data/a.txt", Array(text.utf8))
        let old = String(repeating: "a", count: 50_000) + "b"
        let answer = try house.call(
            "edit_file", "{\"path\":\"data/a.txt\",\"old_text\":\"\(old)\",\"new_text\":\"c\"}", as: alice)
        #expect(answer["replacements"] == 1)
        let changed = try directory.read("data/a.txt", maxBytes: 1 << 20)
        #expect(changed == Array((String(repeating: "a", count: 150_000) + "c").utf8))
    }

    // MARK: - Skills

    static let bomb =
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        + (1..<30).map {
            "a\($0): &a\($0) [" + [String](repeating: "*a\($0 - 1)", count: 10).joined(separator: ",") + "]\n"
        }
        .joined() + "? *a29\n: 1\n"

    @Test(
        "Front matter that grows or nests without bound is refused before it is parsed",
        arguments: [
            bomb, "a: &x [b]\n? *x\n: 1\n", "[&x a]: 1\n", String(repeating: "[", count: 4_000),
            String(repeating: "{", count: 4_000),
            String(repeating: "- ", count: 4_000), String(repeating: "? ", count: 4_000),
            String(repeating: "{a: ", count: 2_000),
            (0..<120).map { String(repeating: " ", count: $0) + "a:\n" }.joined(), "\"a\":&x [b]\n",
            "a: !!seq &x [b]\n",
        ])
    func frontMatter(yaml: String) {
        let error = #expect(throws: Skill.Fault.self) {
            try Skill(text: "---\nname: x\ndescription: y\n\(yaml)\n---\nbody\n", folder: "x")
        }
        #expect(error?.detail.contains("front matter") == true)
    }

    @Test(
        "Usual front matter passes",
        arguments: [
            "description: Fish & chips, AT&T and R&D, the *best* of [both]\n",
            "description: >\n  Two lines & more,\n  **bold** ones\n",
            "description: 'Q&A'\nrequires: {tools: [quotes, grep]}\n",
            "description: y\nmetadata:\n  nanobot:\n    always: true\n",
        ])
    func usualFrontMatter(yaml: String) throws {
        #expect(try Skill(text: "---\nname: x\n\(yaml)---\nbody\n", folder: "x").body == "body")
    }

    @Test("No front matter makes the YAML parser hang or leave its stack")
    func yaml() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            let thread = Thread {
                let faults = HostileTextCheck.faults("YAML", size: 2_000, largest: 8_000) { text, steps in
                    // Most of it is no skill: what counts is that it is found out. Yams counts no steps.
                    _ = try? Skill(text: "---\nname: x\ndescription: y\n\(text)\n---\n", folder: "x")
                    _ = try? Skill(text: "---\nname: x\ndescription: \"\(text)\n---\n", folder: "x")
                }
                #expect(faults == [])
                done.resume()
            }
            // As a worker's.
            thread.stackSize = 1 << 20
            thread.start()
        }
    }

    @Test("A fence's text is cut and cleaned in bounded work")
    func fences() {
        let content = UntrustedContent(callID: "job:0:0")
        for text in HostileText.all {
            let answer = content.fitted(text.text(size: 32_768), key: "text", limit: 4_000) { ["shown": JSON($0)] }
            #expect(answer.count <= 4_000 && answer.contains("<<<end untrusted \(content.marker)>>>"), "\(text)")
        }
    }
}
