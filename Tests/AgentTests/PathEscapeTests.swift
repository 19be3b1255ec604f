// Every way we know to make a file tool touch something outside its workspace, as a table. A case is passed when the
// outside holds exactly what it held before and no tool's answer holds the outside's words.
import DurableFiles
import Foundation
import Glibc
import Synchronization
import Tenants
import Testing
import TextFormats

@testable import Agent

@Suite("Paths that lead outside")
struct PathEscapeTests {
    static let secret = "top-secret-words"

    /// `ROOT`: the workspace's own absolute path; `OUT`: the folder beside it that holds secret.md.
    static let paths: [String] = [
        // Upwards.
        "..", "../", "../.", "./..", "../out/secret.md", "./../out/secret.md", "../../out/secret.md",
        "a/../../out/secret.md",
        "data/../../out/secret.md", "data/../data/../../out/secret.md", "data/./../../out/secret.md",
        "data/..//../out/secret.md",
        "././../out/secret.md", ".//../out/secret.md", "data/.../../../out/secret.md", "../alice/../out/secret.md",
        "memory/../../out/secret.md", "sessions/../../out/secret.md", "../..", "../../..",
        "../../../../../../../../etc/passwd",
        "data/../../../../../../../etc/passwd", "..//", "..//out//secret.md", "../out/./secret.md", "../out/secret.md/",
        "../out/secret.md/.", "../out/secret.md/..", "x/../../out/secret.md", "reports/../..//out/secret.md",
        // Absolute.
        "/", "//", "///", "/etc/passwd", "//etc/passwd", "/etc/../etc/passwd", "/./etc/passwd", "OUT/secret.md",
        "/OUT/secret.md",
        "ROOT/AGENTS.md", "ROOT/../out/secret.md", "/proc/self/environ", "/proc/self/cwd/secret.md",
        "/proc/self/root/etc/passwd",
        "/proc/self/fd/3", "/proc/1/root/etc/passwd", "/dev/stdin", "/dev/fd/0", "/dev/zero", "/dev/null",
        "/sys/kernel",
        "file:///etc/passwd", "~/secret.md", "~root/.profile", "$HOME/secret.md", "${HOME}/secret.md",
        // Links, FIFOs, sockets, hard links that stand in the workspace.
        "link.md", "./link.md", "link.md/", "link.md/.", "outdir", "outdir/", "outdir/secret.md", "outdir/.",
        "outdir/./secret.md",
        "outdir/../secret.md", "data/../outdir/secret.md", "chain.md", "chaindir/secret.md", "loop", "loop/x",
        "rootlink/etc/passwd",
        "rootlink", "proclink/environ", "proclink/cwd/secret.md", "proclink/root/etc/passwd", "fdlink", "fdlink/3",
        "uplink/out/secret.md",
        "selflink/../out/secret.md", "selflink/AGENTS.md", "abslink", "devlink", "nulllink",
        "nested/deep/outdir/secret.md",
        "nested/deep/uplink/secret.md", "dangling", "dangling/x", "hard.md", "nested/hard.md", "fifo", "fifo/",
        "fifo/x", "nested/fifo",
        // Zero bytes, line ends, encodings, look-alikes.
        "\0", "a\0b", "../out/secret.md\0", "link.md\0.txt", "AGENTS.md\0/../../out/secret.md", "\0../out/secret.md",
        "..\\out\\secret.md", "\\..\\out", "..%2fout%2fsecret.md", "%2e%2e/out/secret.md", "..%c0%afout",
        "%2e%2e%2fout",
        "..;/out/secret.md", "..\u{2215}out\u{2215}secret.md", "..\u{FF0F}out\u{FF0F}secret.md",
        "\u{FF0E}\u{FF0E}/out/secret.md",
        "\u{2024}\u{2024}/out/secret.md", "\u{2025}/out/secret.md", ".\u{200B}./out/secret.md",
        "..\u{200B}/out/secret.md",
        "\u{FEFF}../out/secret.md", "..\n/out/secret.md", "../out\r/secret.md", " ../out/secret.md",
        "../out/secret.md ",
        ".. /out/secret.md", ".../out/secret.md", "..../out/secret.md", ".\u{0307}./out/secret.md", "\u{202E}../out",
        "C:\\out\\secret.md", "\\\\server\\share",
        // Lengths.
        String(repeating: "a", count: 256), String(repeating: "a", count: 1_025), String(repeating: "../", count: 300),
        String(repeating: "a/", count: 400) + "../../out/secret.md",
        String(repeating: "./", count: 400) + "../out/secret.md",
        String(repeating: "é", count: 200), "data/" + String(repeating: "b", count: 300),
    ]

    struct Ground {
        let house: AgentHouse
        let user: UserID
        let root: String
        let outside: String

        init() throws {
            house = try AgentHouse()
            user = try house.addUser("alice")
            root = try house.workspaces.open(user).path
            outside = root.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/out"
            let manager = FileManager.default
            try manager.createDirectory(atPath: outside, withIntermediateDirectories: true)
            try Data(PathEscapeTests.secret.utf8).write(to: URL(fileURLWithPath: outside + "/secret.md"))
            try manager.createDirectory(atPath: root + "/nested/deep", withIntermediateDirectories: true)
            for (name, target) in [
                ("link.md", "../out/secret.md"), ("outdir", "../out"), ("chain.md", "link.md"), ("chaindir", "outdir"),
                ("loop", "loop"), ("rootlink", "/"), ("proclink", "/proc/self"), ("fdlink", "/proc/self/fd"),
                ("uplink", ".."),
                ("selflink", "."), ("abslink", outside + "/secret.md"), ("devlink", "/dev/zero"),
                ("nulllink", "/dev/null"),
                ("nested/deep/outdir", outside), ("nested/deep/uplink", "../../../out"), ("dangling", "../out/new.md"),
            ] {
                guard symlink(target, "\(root)/\(name)") == 0 else { throw POSIXError(.EIO) }
            }
            for name in ["hard.md", "nested/hard.md"] {
                guard Glibc.link(outside + "/secret.md", "\(root)/\(name)") == 0 else { throw POSIXError(.EIO) }
            }
            for name in ["fifo", "nested/fifo"] {
                guard mkfifo("\(root)/\(name)", 0o600) == 0 else { throw POSIXError(.EIO) }
            }
        }

        var isUntouched: Bool {
            let names = try? FileManager.default.contentsOfDirectory(atPath: outside)
            let text = try? String(contentsOfFile: outside + "/secret.md", encoding: .utf8)
            return names == ["secret.md"] && text == PathEscapeTests.secret
        }
    }

    @Test("No path of the corpus reads or changes anything outside, through any file tool")
    func corpus() throws {
        #expect(Set(Self.paths).count == Self.paths.count && Self.paths.count >= 130)
        let ground = try Ground()
        for path in Self.paths {
            let real = path.replacing("ROOT", with: ground.root).replacing("OUT", with: ground.outside)
            let text = JSON.string(real).text()
            for (tool, arguments) in [
                ("read_file", "{\"path\":\(text)}"), ("list_dir", "{\"path\":\(text)}"),
                ("find_files", "{\"pattern\":\"*\",\"path\":\(text)}"),
                ("grep", "{\"pattern\":\"top-secret\",\"path\":\(text)}"),
                ("edit_file", "{\"path\":\(text),\"old_text\":\"top\",\"new_text\":\"x\"}"),
                ("write_file", "{\"path\":\(text),\"content\":\"overwritten\"}"),
            ] {
                let answer = try ground.house.call(tool, arguments, as: ground.user).text()
                #expect(!answer.contains(Self.secret) && !answer.contains("root:"), "\(tool) \(path): \(answer)")
                #expect(ground.isUntouched, "\(tool) \(path) changed the outside")
                if ["..", "/", "link", "outdir", "chain", "uplink"].contains(where: real.hasPrefix),
                    tool != "write_file",
                    !real.hasPrefix("..\u{2215}"), !real.hasPrefix("..\u{FF0F}")
                {
                    #expect(answer.hasPrefix("{\"error\""), "\(tool) \(path): \(answer)")
                }
            }
        }
    }

    @Test("Searching the whole workspace follows no link and reads no hard link")
    func search() throws {
        let ground = try Ground()
        let found = try ground.house.call("grep", "{\"pattern\":\"top-secret\"}", as: ground.user)
        #expect(found["matches"]?.array?.isEmpty == true, "\(found.text())")
    }

    @Test("Writing over a hard link leaves the other name as it was")
    func hardLinkWrite() throws {
        let ground = try Ground()
        let answer = try ground.house.call("write_file", "{\"path\":\"hard.md\",\"content\":\"own\"}", as: ground.user)
        #expect(answer["written"] == true && ground.isUntouched)
        let read = try ground.house.call("read_file", "{\"path\":\"hard.md\"}", as: ground.user)
        #expect(read["content"] == "own")
    }

    @Test("A folder that turns into a link while tools use it never leads outside")
    func swapped() throws {
        let ground = try Ground()
        let inner = "\(ground.root)/swap", aside = "\(ground.root)/aside"
        try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
        try Data("inner".utf8).write(to: URL(fileURLWithPath: inner + "/secret.md"))
        guard symlink(ground.outside, aside) == 0 else { throw POSIXError(.EIO) }
        let stop = Mutex(false)
        let ended = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            while !stop.withLock({ $0 }) {
                for (from, to) in [(inner, inner + "-2"), (aside, inner), (inner, aside), (inner + "-2", inner)] {
                    _ = rename(from, to)
                }
            }
            ended.signal()
        }
        var (reads, refusals, round) = (0, 0, 0)
        // Goes on until the race has been met from both sides; the bound only ends a test that cannot pass.
        while round < 1_000 || ((reads == 0 || refusals == 0) && round < 300_000) {
            round += 1
            let read = try ground.house.call("read_file", "{\"path\":\"swap/secret.md\"}", as: ground.user).text()
            #expect(!read.contains(Self.secret))
            if read.contains("inner") { reads += 1 }
            if read.contains("path_not_allowed") { refusals += 1 }
            if round % 10 == 0 {
                _ = try ground.house.call("write_file", "{\"path\":\"swap/new.md\",\"content\":\"x\"}", as: ground.user)
                _ = try ground.house.call("list_dir", "{\"path\":\"swap\"}", as: ground.user)
            }
        }
        stop.withLock { $0 = true }
        ended.wait()
        #expect(ground.isUntouched)
        #expect(reads > 0 && refusals > 0, "\(reads) reads, \(refusals) refusals")
    }
}
