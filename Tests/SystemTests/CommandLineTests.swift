// The command line as a person meets it: misspelled commands, times on the user's clock, archives, another user's home.

import DurableFiles
import Foundation
import Glibc
import TestSupport
import Testing
import TextFormats

@Suite(.timeLimit(.minutes(5)))
struct CommandLineTests {
    private let folder: TemporaryDirectory
    private var home: String { folder.path + "/home" }

    init() throws { folder = try TemporaryDirectory() }

    private func run(_ arguments: String..., environment: [String: String] = [:]) throws -> NanobotBinary.Result {
        try NanobotBinary.run(arguments, home: home, environment: environment)
    }

    @Test(
        "a command there is not is wrong usage, wherever it stands, and the nearest one is named",
        arguments: [
            (["help", "nosuch"], "nosuch", nil), (["help", "submti"], "submti", "submit"), (["submti"], "submti", "submit"),
            (["submti", "--user", "alice"], "submti", "submit"), (["submti", "--help"], "submti", "submit"),
            (["--home", "/nowhere", "submti"], "submti", "submit"), (["schedule", "lsit"], "lsit", "list"),
            (["help", "schedule", "lsit"], "lsit", "list"), (["schedule", "lsit", "--help"], "lsit", "list"),
            (["token", "craete", "alice"], "craete", "create"), (["submit", "chta", "--user", "a", "hi"], "chta", "chat"),
            (["hlep"], "hlep", "help"), (["persona", "alice"], "alice", "show alice"),
        ] as [([String], String, String?)])
    func unknownCommand(arguments: [String], word: String, near: String?) throws {
        let result = try NanobotBinary.run(arguments, home: home)
        #expect(result.status == 2 && result.output.isEmpty)
        #expect(result.errors.contains("there is no command \"\(word)\""))
        #expect(result.errors.contains("did you mean") == (near != nil))
        if let near { #expect(result.errors.contains("did you mean \"\(near)\"?")) }
        let json = try NanobotBinary.run(["--json"] + arguments, home: home)
        #expect(json.status == 2)
        #expect(try JSON.parse(json.errors)["error"]?["code"] == "usage")
    }

    @Test("help of what there is is an answer", arguments: [[], ["help"], ["help", "schedule"], ["help", "schedule", "list"], ["help", "help"], ["--help"], ["token", "--help"]])
    func help(arguments: [String]) throws {
        let result = try NanobotBinary.run(arguments, home: home)
        #expect(result.status == 0 && result.output.contains("OVERVIEW") && result.errors.isEmpty)
    }

    @Test("an option there is not is wrong usage, and the nearest one is named")
    func unknownOption() throws {
        let result = try run("jobs", "--lmit", "3")
        #expect(result.status == 2 && result.errors.contains("--limit"))
    }

    @Test("a persona is changed part by part, on the files and over HTTP")
    func persona() throws {
        #expect(try run("create-user", "alice").status == 0)
        #expect(try run("persona", "set", "alice", "risk_preference=cautious", "focus-areas=chips, energy").status == 0)
        let server = try NanobotProcess(home: home)
        defer { server.stop() }
        let remote = try run("persona", "set", "alice", "risk_preference=", "avoid_topics=crypto", "--server", server.baseURL, "--json")
        #expect(remote.status == 0, "\(remote.errors)")
        let shown = try JSON.parse(try run("persona", "show", "alice", "--json").output)
        #expect(shown["risk_preference"] == .null && shown["focus_areas"] == ["chips", "energy"] && shown["avoid_topics"] == ["crypto"])
        #expect(try JSON.parse(try run("persona", "show", "alice", "--server", server.baseURL, "--json").output) == shown)
        for wrong in ["risk", "risk=1", "=x"] { #expect(try run("persona", "set", "alice", wrong).status == 2) }
        #expect(try run("persona", "show", "ghost").status == 1)
    }

    @Test("an exported user is the same archive on the files and over HTTP, its file is its maker's alone and replaces none")
    func export() throws {
        #expect(try run("create-user", "alice", "--stock", "AAPL").status == 0)
        let server = try NanobotProcess(home: home)
        defer { server.stop() }
        let files = LinuxFileSystem()
        let local = "\(folder.path)/local.tar"
        let remote = "\(folder.path)/remote.tar"
        let made = try run("export-user", "alice", "-o", local, "--json")
        #expect(made.status == 0, "\(made.errors)")
        #expect(try run("export-user", "alice", "--output", remote, "--server", server.baseURL).status == 0)
        let archive = try files.readFile(local, maxBytes: 1 << 24)
        #expect(try JSON.parse(made.output)["size_bytes"] == JSON(archive.count))
        #expect(try files.status(local).mode & 0o777 == 0o600)
        let names = try TarNames.read(archive)
        #expect(names.contains("alice/workspace/config.json") && names.first == "alice/manifest.json" && names.last == "alice/tokens.json")
        #expect(try TarNames.read(files.readFile(remote, maxBytes: 1 << 24)) == names)
        let again = try run("export-user", "alice", "-o", local)
        #expect(again.status == 1 && again.errors.contains("there already"))
        #expect(try files.readFile(local, maxBytes: 1 << 24) == archive)
        for options in [[], ["--server", server.baseURL]] {
            let path = "\(folder.path)/ghost.tar"
            #expect(try NanobotBinary.run(["export-user", "ghost", "-o", path] + options, home: home).status == 1)
            #expect(try !files.exists(path))
        }
    }

    @Test("list-users shows plan and suspension, on the files and over HTTP")
    func accounts() throws {
        for user in ["alice", "bo"] { #expect(try run("create-user", user).status == 0) }
        #expect(try run("suspend-user", "bo", "--reason", "unpaid bill").status == 0)
        let server = try NanobotProcess(home: home)
        defer { server.stop() }
        for options in [[], ["--server", server.baseURL]] {
            let text = try NanobotBinary.run(["list-users"] + options, home: home)
            let lines = text.output.split(separator: "\n")
            #expect(lines[0].contains("PLAN") && lines[0].contains("ACCOUNT"), "\(text.errors)")
            #expect(lines[1].contains("active") && lines[2].contains("suspended: unpaid bill"))
            let rows = try JSON.parse(try NanobotBinary.run(["list-users", "--json"] + options, home: home).output)
            #expect(rows[1]?["suspended"] == true && rows[1]?["reason"] == "unpaid bill" && rows[0]?["plan"] == .null)
        }
    }

    @Test("times stand on the user's clock with the zone's name, of nobody on this machine's; programs get UTC")
    func zones() throws {
        #expect(try run("create-user", "alice", "--timezone", "Asia/Kolkata").status == 0)
        let id = try run("submit", "report", "--user", "alice", "--run-at", "2036-01-01T00:00:00Z").output.trimmingCharacters(in: .newlines)
        #expect(try run("status", id).output.contains("2036-01-01 05:30:00 +05:30 Asia/Kolkata"))
        #expect(try JSON.parse(try run("status", id, "--json").output)["run_at"] == "2036-01-01T00:00:00.000Z")
        #expect(try run("jobs").output.contains("+05:30 Asia/Kolkata"))
        #expect(try run("schedule", "list", "alice").output.contains(" 09:00:00 +05:30 Asia/Kolkata"))
        #expect(try run("token", "create", "--admin").status == 0)
        #expect(try run("token", "create", "alice").status == 0)
        let tokens = try run("token", "list", environment: ["TZ": "America/Caracas"]).output.split(separator: "\n")
        #expect(tokens[1].contains("-04:00 America/Caracas") && tokens[2].contains("+05:30 Asia/Kolkata"))
        #expect(try run("token", "list").output.contains(" UTC"))
        let text = try run("usage", "alice").output
        #expect(text.contains("the day ends at") && text.contains("+05:30 Asia/Kolkata"))
    }

    @Test("who waits for a job of a paused queue is told at once, and that it goes on")
    func paused() throws {
        #expect(try run("create-user", "alice").status == 0)
        let id = try run("submit", "chat", "--user", "alice", "hello").output.trimmingCharacters(in: .newlines)
        #expect(try run("pause").status == 0)
        #expect(try run("status", id).errors.contains("the queue is paused"))
        let follower = try BackgroundCommand(["status", id, "--follow"], home: home)
        #expect(try follower.readErrors(until: "the queue is paused: nothing is started until"))
        let server = try NanobotProcess(home: home)
        defer { server.stop() }
        let remote = try BackgroundCommand(["status", id, "--follow", "--server", server.baseURL], home: home)
        #expect(try remote.readErrors(until: "the queue is paused: nothing is started until"))
        #expect(try run("status", id, "--server", server.baseURL).errors.contains("the queue is paused"))
        #expect(try run("resume").status == 0)
        #expect(follower.wait() == 0 && remote.wait() == 0)
    }

    @Test("doctor asks the service of its own home on the port it has, and takes no other home's for it")
    func doctor() throws {
        func service(_ home: String) throws -> (verdict: String?, detail: String) {
            let found = try JSON.parse(try NanobotBinary.run(["doctor", "--json"], home: home).output)
            let one = try #require(found.array?.first { $0["name"] == "service" })
            return (one["verdict"]?.string, one["detail"]?.string ?? "")
        }
        let other = folder.path + "/other"
        for home in [home, other] { #expect(try NanobotBinary.run(["create-user", "alice"], home: home).status == 0) }
        let server = try NanobotProcess(home: home)
        let port = try #require(server.baseURL.split(separator: ":").last)
        #expect(try service(home) == ("ok", "process \(server.processIdentifier) answers at \(server.baseURL)"))
        try LinuxFileSystem().createFile("\(other)/config.json", Array(#"{"server":{"port":\#(port)}}"#.utf8))
        let foreign = try service(other)
        #expect(foreign.verdict == "warning" && foreign.detail.contains("another home's"))
        server.kill()
        #expect(try service(home).verdict == "warning")
        let again = try NanobotProcess(home: home)
        #expect(try service(home).detail.contains(again.baseURL))
        again.stop()
        #expect(try service(home).detail.contains("no service of this home is running"))
        #expect(try LinuxFileSystem().list("\(home)/serving").map(\.name) == [".lock"])
    }

    @Test("a home of somebody else, and files in one's own that are root's, are told with the owner's name", .enabled(if: geteuid() == 0))
    func owners() throws {
        let files = LinuxFileSystem()
        func asDaemon(_ arguments: String...) throws -> NanobotBinary.Result {
            try NanobotBinary.run(
                ["--reuid=1", "--regid=1", "--clear-groups", NanobotBinary.path] + arguments, home: home, program: "/usr/bin/setpriv")
        }
        try files.setMode(folder.path, 0o755)
        #expect(try run("create-user", "alice").status == 0)
        let foreign = try asDaemon("list-users")
        #expect(foreign.status != 0 && foreign.errors.contains("belongs to root: run as root"), "\(foreign.errors)")
        try files.setMode(folder.path, 0o777)
        let own = folder.path + "/daemon"
        let made = try NanobotBinary.run(
            ["--reuid=1", "--regid=1", "--clear-groups", NanobotBinary.path, "create-user", "bo"], home: own, program: "/usr/bin/setpriv")
        #expect(made.status == 0, "\(made.errors)")
        // Root acts as the home's owner and writes where root may.
        let kept = folder.path + "/root"
        try files.makeDirectory(kept, mode: 0o700)
        #expect(try NanobotBinary.run(["export-user", "bo", "-o", "\(kept)/bo.tar"], home: own).status == 0)
        #expect(try NanobotBinary.run(["export-user", "ghost", "-o", "\(kept)/ghost.tar"], home: own).status == 1)
        #expect(try files.list(kept).map(\.name) == ["bo.tar"])
        #expect(chown("\(own)/workspaces/bo", 0, 0) == 0)
        try files.setMode("\(own)/workspaces/bo", 0o700)
        let mixed = try NanobotBinary.run(
            ["--reuid=1", "--regid=1", "--clear-groups", NanobotBinary.path, "show-user", "bo"], home: own, program: "/usr/bin/setpriv")
        #expect(mixed.status != 0 && mixed.errors.contains("belongs to root, not to daemon"), "\(mixed.errors)")
    }
}

/// The names in a tar archive, in order.
private enum TarNames {
    static func read(_ bytes: [UInt8]) throws -> [String] {
        var names: [String] = []
        var offset = 0
        while offset + 512 <= bytes.count, bytes[offset] != 0 {
            let header = bytes[offset..<offset + 512]
            names.append(String(decoding: header.prefix(100).prefix { $0 != 0 }, as: UTF8.self))
            let digits = header.dropFirst(124).prefix(11)
            let size = try #require(Int(String(decoding: digits, as: UTF8.self), radix: 8))
            offset += 512 + (size + 511) / 512 * 512
        }
        return names
    }
}

/// A command that goes on while the test does.
private final class BackgroundCommand {
    private let process = Process()
    private let errors = Pipe()

    init(_ arguments: [String], home: String) throws {
        process.executableURL = URL(fileURLWithPath: NanobotBinary.path)
        process.arguments = arguments
        process.environment = NanobotBinary.environment(["NANOBOT_HOME": home])
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    deinit { if process.isRunning { process.terminate() } }

    /// Blocks until the text came; false: the command ended without.
    func readErrors(until text: String) throws -> Bool {
        var all = ""
        while !all.contains(text) {
            let data = errors.fileHandleForReading.availableData
            guard !data.isEmpty else { return false }
            all += String(decoding: data, as: UTF8.self)
        }
        return true
    }

    func wait() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }
}
