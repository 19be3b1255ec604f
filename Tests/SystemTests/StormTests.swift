// Several processes on one spool, all of them killed at random, jobs coming in by all three doors: what an installation
// with a server and workers beside it goes through in a bad week. NANOBOT_STORM sets the number of kills.

import DurableFiles
import Foundation
import ModelTestSupport
import TestSupport
import Testing
import TextFormats

@Suite struct StormTests {
    /// A `nanobot worker`, started anew after each kill.
    private final class Worker {
        private let home: String
        private let environment: [String: String]
        private var process = Process()

        init(home: String, environment: [String: String]) throws {
            self.home = home
            self.environment = environment
            try start()
        }

        private func start() throws {
            process = Process()
            process.executableURL = URL(fileURLWithPath: NanobotBinary.path)
            process.arguments = ["worker", "--workers", "4"]
            process.environment = NanobotBinary.environment(environment.merging(["NANOBOT_HOME": home]) { $1 })
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            process.standardInput = FileHandle.nullDevice
            try process.run()
        }

        func killAndRestart() throws {
            kill()
            try start()
        }

        func kill() {
            Foundation.kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
    }

    @Test("kills of servers and workers on one spool lose no job of any door, and no finished step is repeated")
    func storm() throws {
        let kills = Int(ProcessInfo.processInfo.environment["NANOBOT_STORM"] ?? "") ?? 5
        let folder = try TemporaryDirectory()
        let environment = ["NANOBOT_MODEL": "offline"]
        var server = try NanobotProcess(
            home: folder.path, arguments: ["serve", "--port", "0", "--workers", "2"], environment: environment)
        let workers = try (0..<2).map { _ in try Worker(home: folder.path, environment: environment) }
        defer { for worker in workers { worker.kill() } }
        for number in 0..<3 { _ = try server.post("/users", ["user_id": .string("u\(number)")]) }
        var acknowledged: Set<String> = []
        var dropped: [String] = []
        let files = LinuxFileSystem()
        for kill in 0..<kills {
            let user = JSON.string("u\(kill % 3)")
            for number in 0..<3 {
                let answer = try server.post(
                    "/chat", ["user_id": user, "message": "What is on my watchlist?", "session_id": .string("s\(number)")],
                    headers: [("Prefer", "respond-async")])
                if answer.status == 202, let id = answer["job_id"]?.string { acknowledged.insert(id) }
            }
            let submitted = try NanobotBinary.run(
                ["submit", "report", "--user", "u\(kill % 3)", "--json"], home: folder.path, environment: environment)
            if submitted.status == 0, let id = try JSON.parse(Array(submitted.output.utf8))["job_id"]?.string {
                acknowledged.insert(id)
            }
            let name = "drop-\(kill).json"
            try files.replaceFile(
                folder.path + "/spool/incoming/\(name)", Array(#"{"kind":"report","user_id":"u0"}"#.utf8))
            dropped.append(name)
            switch kill % 3 {
            case 0:
                server.kill()
                server = try NanobotProcess(
                    home: folder.path, arguments: ["serve", "--port", "0", "--workers", "2"], environment: environment)
            case 1: try workers[0].killAndRestart()
            default: try workers[1].killAndRestart()
            }
        }
        for name in dropped { acknowledged.insert(try receipt(name, folder.path)) }
        #expect(acknowledged.count >= kills * 4)
        for id in acknowledged {
            let job = try server.waitForJob(id)
            #expect(job["status"] == "completed", "\(job.text)")
            #expect(try server.finalLines(id).count == 1)
            try checkJournal(id, folder.path)
        }
        #expect(server.stop() == 0)
        for worker in workers { worker.kill() }
        for name in ["queued", "running", "dead", "admitting"] {
            #expect(try files.list(folder.path + "/spool/\(name)").isEmpty, "\(name) is not empty")
        }
        let check = try NanobotBinary.run(["check"], home: folder.path)
        #expect(check.status == 0, "\(check.output)\(check.errors)")
    }

    /// Waits for the receipt of a dropped file. - Returns: the id it was given.
    private func receipt(_ name: String, _ home: String) throws -> String {
        let path = home + "/spool/receipts/\(name)"
        let watch = try DirectoryWatch()
        // Where inotify is not to be had the timeout below looks again.
        _ = try? watch.add(home + "/spool/receipts", [.movedIn])
        let end = Date().addingTimeInterval(60)
        while try !LinuxFileSystem().exists(path) {
            guard Date() < end else { throw SystemFailure(description: "no receipt for \(name)") }
            _ = try watch.wait(timeout: 0.2)
        }
        let answer = try JSON.parse(try LinuxFileSystem().readFile(path))
        guard let id = answer["id"]?.string else { throw SystemFailure(description: "rejected: \(answer)") }
        return id
    }

    /// No model answer and no tool result was recorded twice: what was done before a kill was not done again.
    private func checkJournal(_ id: String, _ home: String) throws {
        let folder = home + "/spool/status"
        var keys: [String] = []
        for day in try LinuxFileSystem().list(folder) {
            for shard in try LinuxFileSystem().list("\(folder)/\(day.name)") {
                let path = "\(folder)/\(day.name)/\(shard.name)/\(id).jsonl"
                guard try LinuxFileSystem().exists(path) else { continue }
                for line in try LinuxFileSystem().readFile(path).split(separator: 0x0A) {
                    guard let json = try? JSON.parse(Array(line)) else { continue }
                    if json["t"] == "model", let step = json["step"]?.int { keys.append("model \(step)") }
                    if json["t"] == "result", let call = json["call"]?.string { keys.append("result \(call)") }
                }
            }
        }
        #expect(Set(keys).count == keys.count, "\(id): \(keys)")
    }
}
