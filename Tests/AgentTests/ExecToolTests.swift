// What a command in the box leaves in the workspace. Skipped where no box can be made.

import Foundation
import HTTPTransport
import ModelTestSupport
import Providers
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Agent
@testable import DurableFiles
@testable import Subprocesses

private func sandbox() -> Bubblewrap {
    var box = Bubblewrap()
    if geteuid() == 0 { box.user = nobody }
    return box
}

@Suite(.enabled(if: sandbox().check() == nil, "bubblewrap cannot make a box here"))
struct ExecToolTests {
    private struct Place {
        let house: AgentHouse
        let user: UserID
        let workspace: Workspace
        var options = ExecOptions()

        init() throws {
            (house, user, workspace) = try asNobody {
                let house = try AgentHouse()
                let user = try house.addUser("alice")
                return (house, user, try house.workspaces.open(user))
            }
        }

        func run(_ command: String, seconds: Int = 20, cancellation: CancellationToken = CancellationToken()) throws -> JSON {
            let tool = ExecTool(options: options, box: sandbox())
            return try asNobody {
                let context = ToolContext(
                    turn: try house.turn(user, "test", model: ScriptedProvider([])), services: house.services,
                    callID: "job-1:0:0", cancellation: cancellation)
                let arguments: JSON = ["command": .string(command), "timeout_s": JSON(seconds)]
                return try JSON.parse(Array(tool.run(arguments, context).utf8))
            }
        }

        func write(_ path: String, _ text: String) throws { try asNobody { try workspace.writeText(path, text) } }
        func text(_ path: String) throws -> String? { try asNobody { try workspace.readText(path) } }
        func usage() throws -> Workspace.DiskUsage { try asNobody { try workspace.diskUsage() } }
        var names: [String] { get throws { try asNobody { try workspace.directory.list("data").map(\.name) } } }
    }

    @Test("files are made, changed in place, replaced, moved and removed; what is not touched stays the file it was")
    func changes() throws {
        let place = try Place()
        for name in ["kept", "edited", "replaced", "gone", "moved"] { try place.write("data/\(name)", "\(name)\n") }
        try place.write("data/old/inner/file", "deep\n")
        try place.write("data/away/file", "away\n")
        let before = try asNobody { try place.workspace.directory.status("data/kept").inode }
        let moved = try asNobody { try place.workspace.directory.status("data/moved").inode }
        let answer = try place.run(
            """
            echo more >> edited; sed -i s/replaced/new/ replaced; rm gone; mv moved other; mv old renamed; rm -r away
            mkdir -p a/b; echo x > a/b/c; mkdir empty; cat /workspace/SOUL.md > soul; touch kept; chmod +x replaced
            """)
        #expect(answer == ["output": "", "exit_code": 0])
        #expect(
            try place.names == ["a", "edited", "empty", "kept", "other", "renamed", "replaced", "soul"])
        #expect(try place.text("data/edited") == "edited\nmore\n")
        #expect(try place.text("data/replaced") == "new\n")
        #expect(try place.text("data/other") == "moved\n")
        #expect(try place.text("data/renamed/inner/file") == "deep\n")
        #expect(try place.text("data/a/b/c") == "x\n")
        #expect(try place.text("data/soul") == place.text("SOUL.md"))
        let after = try asNobody { try place.workspace.directory.status("data/kept").inode }
        #expect(after == before)
        // Renamed, not copied: no room is needed for it, and a crash loses nothing.
        #expect(try asNobody { try place.workspace.directory.status("data/other").inode } == moved)
        #expect(try asNobody { try place.workspace.directory.status("data/replaced").mode } & 0o100 != 0)
    }

    @Test("no file of the kernel tells a command where its workspace is")
    func hostPaths() throws {
        let place = try Place()
        try place.write("data/d/file", "x")
        let answer = try place.run(
            "cat /proc/*/mountinfo /proc/*/mounts /proc/*/environ /proc/*/maps; tr '\\0' ' ' < /proc/1/cmdline; ls -l /proc/*/fd /proc/*/cwd /proc/*/root; true"
        ).text()
        #expect(answer.contains("/workspace/data"))
        #expect(!answer.contains(place.house.root.split(separator: "/").last!) && !answer.contains("workspaces"))
    }

    @Test("a write through a mapping, which changes no time, is stored")
    func mapping() throws {
        let place = try Place()
        try place.write("data/mapped", "0123456789")
        let answer = try place.run(
            """
            command -v python3 > /dev/null || { printf x9876543210 > mapped; exit; }
            python3 -c "
            import mmap
            f = open('mapped', 'r+b'); m = mmap.mmap(f.fileno(), 0); assert m[0] == 48; m[0:1] = b'x'
            "
            """)
        #expect(answer["exit_code"] == 0, "\(answer.text())")
        #expect(try place.text("data/mapped")?.first == "x")
    }

    @Test("what somebody else changed meanwhile, and the command did not, stays changed")
    func meanwhile() throws {
        let place = try Place()
        for name in ["theirs", "both", "removed", "kept/a"] { try place.write("data/\(name)", "old") }
        let workspace = place.workspace
        let snapshot = try Self.snapshot(of: place) { box in
            try workspace.writeText("data/theirs", "new")
            try workspace.writeText("data/both", "new")
            try workspace.writeText("data/kept/b", "new")
            try workspace.directory.remove("data/removed")
            try box.write("both", Array("command".utf8))
            _ = try box.removeTree("kept")
            _ = try box.removeTree("theirs")
        }
        #expect(snapshot == nil)
        #expect(try place.text("data/theirs") == "new", "changed since it was copied: not removed")
        #expect(try place.text("data/both") == "command")
        #expect(try place.text("data/removed") == nil)
        #expect(try place.names == ["both", "kept", "theirs"])
        #expect(try asNobody { try workspace.directory.list("data/kept").map(\.name) } == ["b"])
    }

    /// Copies data/ into a folder, runs `body` on the copy, stores what is in it then.
    private static func snapshot(
        of place: Place, files: (any FileSystem)? = nil, bounds: BoxResults.Bounds = .init(files: 100, bytes: 1 << 30),
        _ body: (SealedDirectory) throws -> Void
    ) throws -> String? {
        let folder = try asNobody { try TemporaryDirectory() }
        return try asNobody {
            let box = try SealedDirectory(path: folder.path)
            try box.makeDirectory("rest")
            try box.makeDirectory("data")
            let rest = try SealedDirectory(path: folder.path + "/rest")
            let data = try SealedDirectory(path: folder.path + "/data")
            let snapshot = try BoxSnapshot(of: place.workspace, showing: [], rest: rest, data: data, now: Date()) { false }
            try body(data)
            return try BoxResults(workspace: place.workspace, box: data, snapshot: snapshot, bounds: bounds).store()
        }
    }

    @Test("forty commands that write all they can, with open files that have no name, keep the workspace within its bound")
    func bound() throws {
        var place = try Place()
        place.options.workspaceMB = 24
        place.options.bounds.fileMB = 8
        let limit = 24 << 20
        for round in 0..<40 {
            let answer = try place.run(
                """
                for i in 1 2 3 4; do head -c 5000000 /dev/urandom > f\(round)-$i || exit 1; done
                exec 3> u; rm u; head -c 8000000 /dev/zero >&3; exec 4> v; rm v; head -c 8000000 /dev/zero >&4
                """)
            #expect(try place.usage().allocated <= limit, "round \(round): \(answer.text())")
        }
        #expect(try place.usage().allocated > limit / 2)
        // Nothing more fits, and what makes room works.
        let answer = try place.run("rm f0-*; head -c 1000 /dev/zero > small")
        #expect(answer["exit_code"] == 0 && answer["not_stored"] == nil, "\(answer.text())")
        #expect(try place.names.contains("small"))
    }

    @Test("a workspace over its bound can only shrink")
    func over() throws {
        var place = try Place()
        try place.write("data/large", String(repeating: "x", count: 3 << 20))
        try place.write("data/second", String(repeating: "y", count: 1 << 20))
        place.options.workspaceMB = 1
        let before = try place.usage()
        let grown = try place.run("head -c 100000 /dev/zero > new")
        #expect(grown["not_stored"]?.string?.contains("may hold 1 MiB") == true, "\(grown.text())")
        #expect(try place.usage().bytes == before.bytes)
        let shrunk = try place.run("head -c 1000000 large > smaller && rm large")
        #expect(shrunk["not_stored"] == nil, "\(shrunk.text())")
        #expect(try place.names == ["second", "smaller"])
        #expect(try place.usage().bytes < before.bytes)
    }

    @Test("more files than there may be, and sparse ones larger than there may be, are not stored")
    func tooMany() throws {
        var place = try Place()
        place.options.files = 50
        place.options.workspaceMB = 40
        let before = try place.usage()
        #expect(try place.run("for i in $(seq 60); do echo > f$i; done")["not_stored"] != nil)
        #expect(try place.run("for i in $(seq 20); do truncate -s 30M f$i; done")["not_stored"] != nil)
        #expect(try place.usage().bytes == before.bytes)
        #expect(try place.run("for i in $(seq 20); do echo > f$i; done")["not_stored"] == nil)
        #expect(try place.names.count == 20)
    }

    @Test("folders deeper than any path are stored, shown to the next command, and removed by it")
    func deep() throws {
        let place = try Place()
        let made = try place.run("i=0; while [ $i -lt 3000 ]; do mkdir d && cd -P d 2>/dev/null || break; i=$((i+1)); done; echo x > leaf; echo $i")
        #expect(made["not_stored"] == nil, "\(made.text())")
        #expect(try place.usage().isComplete)
        #expect(try place.usage().entries > 1_000)
        let removed = try place.run("rm -r d; ls")
        #expect(removed == ["output": "", "exit_code": 0], "\(removed.text())")
        #expect(try place.names.isEmpty)
    }

    @Test("links and special files are named and not stored; a name that is no text becomes one; what was locked is stored")
    func odd() throws {
        let place = try Place()
        let answer = try place.run(
            "ln -s /etc/passwd link; mkfifo pipe; echo a > locked; chmod 000 locked; mkdir shut; echo b > shut/b; chmod 000 shut; echo c > $(printf 'bad\\377')")
        #expect(answer["not_stored"]?.string?.contains("link") == true, "\(answer.text())")
        #expect(try place.text("data/locked") == "a\n")
        #expect(try place.text("data/shut/b") == "b\n")
        #expect(try place.names.filter { $0.hasPrefix(".unreadable-") }.count == 1)
        #expect(try !place.names.contains("link") && !place.names.contains("pipe"))
    }

    @Test("results of a command whose time is over are stored; those of a cancelled turn are not")
    func stopped() throws {
        let place = try Place()
        let late = try place.run("echo x > late; while :; do :; done", seconds: 1)
        #expect(late["error"]?.string?.contains("1 seconds") == true)
        #expect(try place.text("data/late") == "x\n")
        let token = CancellationToken()
        token.cancel(reason: "test")
        let cancelled = try place.run("echo x > never; while :; do :; done", cancellation: token)
        #expect(cancelled["not_stored"] != nil)
        #expect(try place.names == ["late"])
    }

    @Test("a crash at any call while results are stored leaves each file old or new, and none lost")
    func crash() throws {
        for call in 1... {
            let files = FaultyFileSystem()
            let place = try Place()
            try place.write("data/edited", "old")
            try place.write("data/moved", "moved")
            try place.write("data/gone", "gone")
            try place.write("data/d/inner", "inner")
            let faulty = try asNobody {
                try WorkspaceManager(root: place.house.root + "/workspaces", files: files, now: { AgentHouse.noon }).open(place.user)
            }
            let folder = try asNobody { try TemporaryDirectory(inMemory: true) }
            var isDone = false
            try asNobody {
                let box = try SealedDirectory(path: folder.path)
                let snapshot = try BoxSnapshot(of: faulty, showing: [], rest: box, data: box, now: Date()) { false }
                try box.write("edited", Array("new".utf8))
                try box.rename("moved", "other")
                try box.rename("d", "e")
                try box.remove("gone")
                try box.write("made", Array("made".utf8))
                let results = BoxResults(
                    workspace: faulty, box: box, snapshot: snapshot, bounds: .init(files: 100, bytes: 1 << 30))
                files.set(.stop(call: call))
                do {
                    let problem = try results.store()
                    isDone = files.calls < call
                    if isDone { #expect(problem == nil) }
                } catch let error as FileError {
                    // The process stopped there.
                    #expect(files.calls >= call, "call \(call): \(error)")
                    isDone = files.calls < call
                }
            }
            files.crash()
            files.set(.none)
            let edited = try place.text("data/edited")
            #expect(edited == "old" || edited == "new", "call \(call)")
            #expect(try [place.text("data/moved"), place.text("data/other")].contains("moved"), "call \(call)")
            #expect(try [place.text("data/d/inner"), place.text("data/e/inner")].contains("inner"), "call \(call)")
            let made = try place.text("data/made")
            #expect(made == nil || made == "made", "call \(call)")
            if isDone { break }
        }
    }

    @Test("boxes share their memory in the order of asking; who does not get it in time is told")
    func memory() throws {
        let memory = BoxMemory(total: 100)
        let inner = try memory.with(60, isStopped: { false }) {
            try memory.with(60, isStopped: { true }) { 1 } ?? 2
        }
        #expect(inner == 2)
        #expect(memory.with(100, isStopped: { true }, { 3 }) == 3, "all of it was given back")
        var place = try Place()
        place.options.totalMB = 1
        #expect(throws: ToolFailure.self) { try place.run("true") }
    }
}
