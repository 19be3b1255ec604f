// The built command line against the built service elsewhere: --server instead of a home.

import Foundation
import HTTPTransport
import NanobotClient
import TestSupport
import Testing
import TextFormats

@Suite struct RemoteCommandTests {
    private static let token = "an-admin-token-of-32-characters-"

    private struct Desk {
        let server: NanobotProcess
        var token = RemoteCommandTests.token

        func run(_ arguments: String...) throws -> NanobotBinary.Result {
            try NanobotBinary.run(
                arguments + ["--server", server.baseURL], home: "", environment: ["NANOBOT_TOKEN": token])
        }
    }

    @Test("a user's life by commands on a service elsewhere, with the exit codes of the commands on files")
    func life() throws {
        let folder = try TemporaryDirectory()
        let server = try NanobotProcess(home: folder.path, environment: ["NANOBOT_ADMIN_TOKEN": Self.token])
        let desk = Desk(server: server)
        #expect(try desk.run("create-user", "alice", "--stock", "AAPL", "--language", "en").status == 0)
        #expect(try desk.run("create-user", "alice").status == 1)
        #expect(try desk.run("watchlist", "add", "alice", "tsla", "aapl").output == "alice stocks: added tsla\n")
        #expect(try desk.run("preferences", "set", "alice", "report_time=99:00").status == 2)

        let chat = try desk.run("submit", "chat", "--user", "alice", "--wait", "hello")
        #expect(chat.status == 0)
        #expect(chat.output.contains("alice"))
        let report = try desk.run("submit", "report", "--user", "alice", "--wait", "--json")
        let done = try JSON.parse(report.output)
        #expect(done["status"] == "completed")
        #expect(done["content"]?.string?.contains("AAPL") == true)

        let later = try desk.run("submit", "report", "--user", "alice", "--run-at", "2036-01-01T00:00:00Z").output
        let id = later.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(try desk.run("status", id).output.contains("queued"))
        #expect(try desk.run("jobs", "--user", "alice", "--json").output.contains(id))
        #expect(try desk.run("cancel", id).output == "\(id) cancelled\n")
        #expect(try desk.run("status", id, "--follow").status == 1)
        #expect(try desk.run("submit", "chat", "--user", "nobody", "hi").status == 1)

        let schedule = try desk.run("schedule", "add", "alice", "0 9 * * 1", "--json")
        let made = try #require(try JSON.parse(schedule.output)["id"]?.string, "\(schedule.errors)")
        #expect(try desk.run("schedule", "list", "alice").output.contains(made))
        #expect(try desk.run("schedule", "pause", "alice", made).output == "paused \(made)\n")
        #expect(try desk.run("schedule", "remove", "alice", made).status == 0)

        let local = try desk.run("serve")
        #expect(local.status == 2)
        #expect(local.errors.contains("--server"))
        #expect(try Desk(server: server, token: "wrong-token-of-more-than-32-characters").run("queue").status == 1)
        #expect(try desk.run("delete-user", "alice", "--yes").status == 0)
        #expect(try desk.run("show-user", "alice").status == 1)
        #expect(server.stop() == 0)
        #expect(try desk.run("queue").status == 69)
    }

    @Test("a stream of a job that another process runs, and its rest after a kill -9 of the service, from every place")
    func stream() throws {
        let folder = try TemporaryDirectory()
        var server = try NanobotProcess(home: folder.path, arguments: ["serve", "--port", "0", "--no-workers"])
        let worker = Process()
        worker.executableURL = URL(fileURLWithPath: NanobotBinary.path)
        worker.arguments = ["worker", "--workers", "2"]
        worker.environment = NanobotBinary.environment(["NANOBOT_HOME": folder.path])
        worker.standardOutput = FileHandle.nullDevice
        worker.standardError = FileHandle.nullDevice
        try worker.run()
        defer {
            worker.terminate()
            worker.waitUntilExit()
        }
        var client = ServiceClient(url: server.baseURL)
        _ = try client.createUser("alice")
        let ticket = try client.submit(["kind": "chat", "user_id": "alice", "message": "hello"])
        var all: [JobEvent] = []
        try client.events(of: ticket.jobID) { event in
            all.append(event)
            return true
        }
        #expect(all.map(\.name).contains(.delta))
        #expect(all.last?.name == .done)
        server.kill()
        server = try NanobotProcess(home: folder.path, arguments: ["serve", "--port", "0", "--no-workers"])
        client = ServiceClient(url: server.baseURL)
        // From every place a reader may have stopped at.
        for (index, event) in all.enumerated() {
            guard let id = event.id else { continue }
            var rest: [JobEvent] = []
            try client.events(of: ticket.jobID, after: id) { event in
                rest.append(event)
                return true
            }
            #expect(rest.map(\.name) == all.dropFirst(index + 1).map(\.name))
            #expect(rest.map(\.data) == all.dropFirst(index + 1).map(\.data))
        }
        #expect(server.stop() == 0)
    }
}
