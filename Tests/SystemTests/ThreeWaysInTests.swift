import DurableFiles
import Foundation
import HTTPTransport
import TestSupport
import Testing
import TextFormats

@Suite struct ThreeWaysInTests {
    private func start(_ folder: TemporaryDirectory) throws -> NanobotProcess {
        let server = try NanobotProcess(home: folder.path)
        let made = try server.post(
            "/users",
            [
                "user_id": "demo",
                "initial_data": [
                    "watchlist": ["stocks": ["AAPL", "TSLA"], "keywords": ["chips"]],
                    "preferences": ["language": "en", "report_frequency": "off"],
                ],
            ])
        #expect(made.status == 201)
        return server
    }

    @Test("a report asked for over HTTP is polled to its text, which names what was asked")
    func overHTTP() throws {
        let folder = try TemporaryDirectory()
        let server = try start(folder)
        try LinuxFileSystem().createFile(
            folder.path + "/workspaces/demo/data/quotes.csv",
            Array("symbol,price,change_percent,time\nAAPL,201.5,1.25,2026-11-20T21:00:00Z\n".utf8))
        let accepted = try server.post(
            "/reports",
            [
                "user_id": "demo", "report_type": "custom", "custom_prompt": "look at margins",
                "focus_areas": ["supply chain"],
            ])
        #expect(accepted.status == 202)
        let id = try #require(accepted["report_id"]?.string)
        #expect(accepted.response.header("Location") == "/reports/\(id)")
        let report = try server.get("/reports/\(id)?wait=30")
        #expect(report["status"] == "completed")
        let content = try #require(report["content"]?.string)
        for words in ["look at margins", "supply chain", "AAPL", "201.5", "TSLA"] {
            #expect(content.contains(words), "the report lacks \(words)")
        }
        #expect(content.lowercased().contains("no language model"))
        let files = LinuxFileSystem()
        #expect(try files.exists(folder.path + "/workspaces/demo/reports/\(id).md"))
        #expect(try files.exists(folder.path + "/workspaces/demo/reports/\(id).json"))
        #expect(try server.finalLines(id).count == 1)
        let page = try server.get("/reports/\(id)", headers: [("Accept", "text/html")])
        #expect(page.text.contains("<html"))
        #expect(server.stop() == 0)
    }

    @Test("a file dropped by hand gets its receipt and its report")
    func dropped() throws {
        let folder = try TemporaryDirectory()
        let server = try start(folder)
        let spool = folder.path + "/spool"
        let watch = try DirectoryWatch()
        // Where inotify is not to be had the timeouts below look again.
        _ = try? watch.add(spool + "/receipts", [.movedIn])
        let files = LinuxFileSystem()
        try files.createFile(
            spool + "/incoming/mine.json", Array(#"{"kind":"report","user_id":"demo","focus_areas":["dividends"]}"#.utf8))
        let receipt = try awaitReceipt("mine.json", watch, spool)
        let id = try #require(receipt["id"]?.string)
        #expect(receipt["status_file"]?.string?.hasPrefix("status/") == true)
        let report = try server.get("/reports/\(id)?wait=30")
        #expect(report["status"] == "completed")
        #expect(report["content"]?.string?.contains("dividends") == true)
        #expect(try files.list(spool + "/incoming").isEmpty)
    }

    private func awaitReceipt(_ name: String, _ watch: DirectoryWatch, _ spool: String) throws -> JSON {
        let files = LinuxFileSystem()
        for _ in 0..<200 {
            if try files.exists("\(spool)/receipts/\(name)") {
                return try JSON.parse(try files.readFile("\(spool)/receipts/\(name)"))
            }
            _ = try watch.wait(timeout: 10)
        }
        throw SystemFailure(description: "no receipt for \(name)")
    }

    @Test("a schedule a moment ahead fires once, and is there after a restart")
    func scheduled() throws {
        let folder = try TemporaryDirectory()
        var server = try start(folder)
        let cron = try server.post(
            "/users/demo/schedules",
            ["kind": "cron", "expression": "0 9 * * mon", "timezone": "Europe/Berlin", "job": ["kind": "report"]])
        #expect(cron.status == 201)
        let time = RFC3339.string(Date().addingTimeInterval(2))
        let made = try server.post(
            "/users/demo/schedules",
            ["kind": "at", "expression": .string(time), "job": ["kind": "report", "custom_prompt": "on time"]])
        #expect(made.status == 201)
        let schedule = try #require(made["id"]?.string)
        let id = try awaitFire(server, schedule)
        #expect(try server.waitForJob(id)["status"] == "completed")
        #expect(try server.get("/reports/\(id)")["content"]?.string?.contains("on time") == true)
        server.stop()
        server = try NanobotProcess(home: folder.path)
        let listed = try server.get("/schedule?user_id=demo")
        let ids = (listed["schedules"]?.array ?? []).compactMap { $0["id"]?.string }
        #expect(ids.contains(cron["id"]?.string ?? "-"))
        let history = try server.get("/users/demo/schedules/\(schedule)/history")
        #expect((history.body.array ?? history["history"]?.array ?? []).count == 1)
    }

    /// The fire makes a job of the user: wait for it by the status folder's changes.
    private func awaitFire(_ server: NanobotProcess, _ schedule: String) throws -> String {
        let watch = try DirectoryWatch()
        // As above.
        _ = try? watch.add(server.home + "/workspaces/demo", [.movedIn, .closedWrite])
        for _ in 0..<30 {
            let jobs = try server.get("/jobs?user_id=demo")
            if let id = jobs.body.array?.first?["job_id"]?.string { return id }
            _ = try watch.wait(timeout: 1)
        }
        throw SystemFailure(description: "the schedule \(schedule) did not fire")
    }

    @Test("preferences move the schedule at once")
    func preferencesMoveTheSchedule() throws {
        let folder = try TemporaryDirectory()
        let server = try start(folder)
        #expect(try server.get("/schedule?user_id=demo")["daily_report"]?["enabled"] == false)
        let changed = try server.call(
            "PUT", "/users/demo/preferences",
            ["report_frequency": "both", "report_time": "07:30", "timezone": "Asia/Shanghai", "report_weekday": "friday"])
        #expect(changed.status == 200)
        let schedule = try server.get("/schedule?user_id=demo")
        #expect(schedule["daily_report"]?["enabled"] == true)
        #expect(schedule["daily_report"]?["schedule"] == "07:30")
        #expect(schedule["daily_report"]?["timezone"] == "Asia/Shanghai")
        #expect(schedule["weekly_report"]?["schedule"] == "Friday 07:30")
        let next = try #require(schedule["next_scheduled_jobs"]?[0]?["run_at"]?.string)
        #expect(next.contains("T23:30:00"))
    }
}
