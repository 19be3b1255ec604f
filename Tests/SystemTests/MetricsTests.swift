// GET /metrics of the built binary after a tour with work that succeeds and work that fails, as Prometheus reads the answer.

import DurableFiles
import Foundation
import ModelTestSupport
import TestSupport
import Testing
import TextFormats

@Suite struct MetricsTests {
    private static func settings(_ url: String) -> String {
        """
        {"model": "house/m", "workers": 4, "memory": {"enabled": false},
         "providers": {"house": {"type": "openai", "base_url": "\(url)/v1"}},
         "prices": {"house/m": {"input": 100, "cached_input": 10, "output": 200}}}
        """
    }

    private static let answer = ScriptedAnswer.json(
        """
        {"choices":[{"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],\
        "usage":{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200,"prompt_tokens_details":{"cached_tokens":400}}}
        """)

    /// A server on which each kind of event has happened.
    private func tour(_ folder: TemporaryDirectory, _ body: (NanobotProcess) throws -> Void) throws {
        let model = try LoopbackHTTPServer { request in
            String(decoding: request.body, as: UTF8.self).contains("refuse me")
                ? .json(#"{"error":{"message":"no"}}"#, status: 400) : Self.answer
        }
        defer { model.stop() }
        let files = LinuxFileSystem()
        try files.replaceFile(folder.path + "/config.json", Array(Self.settings(model.url).utf8))
        let server = try NanobotProcess(home: folder.path)
        #expect(try server.post("/users", ["user_id": "ann"]).status == 201)
        #expect(try server.post("/chat", ["user_id": "ann", "message": "hello"]).status == 200)
        #expect(try server.post("/chat", ["user_id": "ann", "message": "refuse me", "session_id": "refused"]).status == 502)
        let named = try server.post("/chat", ["user_id": "ann", "message": "hello", "model": "house/\"of\\cards"])
        #expect(named.status == 200, "\(named.text)")
        let offline = try server.post("/chat", ["user_id": "ann", "message": "hello", "model": "offline"])
        #expect(offline.status == 200, "\(offline.text)")
        #expect(try server.get("/users/nobody").status == 404)
        let watch = try DirectoryWatch()
        // Where inotify is not to be had the timeouts look again.
        _ = try? watch.add(folder.path + "/spool/receipts", [.movedIn])
        try files.createFile(folder.path + "/spool/incoming/bad.json", Array("{".utf8))
        try waitForFile("bad.json", in: folder.path + "/spool/receipts", watch)
        try body(server)
        #expect(server.stop() == 0)
    }

    private func waitForFile(_ name: String, in folder: String, _ watch: DirectoryWatch) throws {
        for _ in 0..<200 {
            if try LinuxFileSystem().exists("\(folder)/\(name)") { return }
            _ = try watch.wait(timeout: 10)
        }
        throw SystemFailure(description: "\(name) did not appear")
    }

    @Test("the metrics of a service that has worked are clean for promtool, and each event is counted")
    func complete() throws {
        let folder = try TemporaryDirectory()
        try tour(folder) { server in
            let answer = try server.get("/metrics")
            #expect(answer.status == 200)
            for line in Self.expected {
                #expect(answer.text.contains(line + "\n"), "\(line) is missing in \(answer.text)")
            }
            for start in Self.counted {
                let row = answer.text.split(separator: "\n").first { $0.hasPrefix(start) }
                let value = row?.split(separator: " ").last.flatMap { Double($0) } ?? 0
                #expect(value > 0, "\(start): \(row ?? "no row")")
            }
            for secret in ["ann", "nobody", "cards", folder.path, "refuse"] { #expect(!answer.text.contains(secret)) }
            let checked = try check(answer.text, with: ["check", "metrics"], in: folder)
            #expect(checked.status == 0 && checked.output.isEmpty, "\(checked.output)")
        }
    }

    @Test("every family has one HELP and one TYPE line, before its rows")
    func heads() throws {
        let folder = try TemporaryDirectory()
        let server = try NanobotProcess(home: folder.path)
        let lines = try server.get("/metrics").text.split(separator: "\n")
        var known: Set<Substring> = []
        for line in lines {
            let words = line.split(separator: " ", maxSplits: 3)
            if line.hasPrefix("# HELP") { #expect(known.insert(words[2]).inserted, "\(line) comes twice") }
            guard !line.hasPrefix("#") else { continue }
            let name = line.prefix { $0 != "{" && $0 != " " }
            let family = ["_bucket", "_sum", "_count"].first { name.hasSuffix($0) }.map { name.dropLast($0.count) }
            #expect(known.contains(name) || family.map(known.contains) == true, "\(line) has no HELP")
        }
        #expect(lines.count { $0.hasPrefix("# HELP") } == lines.count { $0.hasPrefix("# TYPE") })
        #expect(server.stop() == 0)
    }

    @Test("the alert rules name metrics that the service has")
    func alerts() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let rules = String(
            decoding: try LinuxFileSystem().readFile(root + "/deploy/prometheus/alerts.yml"), as: UTF8.self)
        let names = Set(rules.matches(of: /nanobot_[a-z_]+/).map { String($0.0) })
        #expect(names.count > 10)
        let folder = try TemporaryDirectory()
        let server = try NanobotProcess(home: folder.path)
        let metrics = try server.get("/metrics").text
        for name in names { #expect(metrics.contains("# TYPE \(name) "), "\(name)") }
        #expect(server.stop() == 0)
    }

    /// 600 uncached, 400 cached, 200 of the answer: 0.06 + 0.004 + 0.04.
    private static let expected = [
        #"nanobot_build_info{version="0.1.0"} 1"#, "nanobot_queue_readable 1", "nanobot_queue_dead 1",
        #"nanobot_queue_jobs{state="dead",lane="interactive"} 1"#, "nanobot_workers 4", "nanobot_accounts_held 0",
        #"nanobot_queue_oldest_waiting_seconds{lane="interactive"} 0"#,
        #"nanobot_jobs_finished_total{lane="interactive",outcome="completed"} 3"#,
        #"nanobot_jobs_finished_total{lane="interactive",outcome="failed"} 1"#,
        #"nanobot_job_errors_total{code="bad_request",outcome="failed"} 1"#,
        #"nanobot_model_calls_total{provider="house",model="m",outcome="ok"} 1"#,
        #"nanobot_model_calls_total{provider="house",model="m",outcome="bad_request"} 1"#,
        #"nanobot_model_calls_total{provider="house",model="other",outcome="ok"} 1"#,
        #"nanobot_model_calls_total{provider="offline",model="offline",outcome="ok"} 1"#,
        #"nanobot_model_tokens_total{provider="house",model="m",kind="prompt"} 600"#,
        #"nanobot_model_tokens_total{provider="house",model="m",kind="cached_prompt"} 400"#,
        #"nanobot_model_tokens_total{provider="house",model="m",kind="completion"} 200"#,
        #"nanobot_model_cost_usd_total{provider="house",model="m"} 0.104"#,
        #"nanobot_scheduler_misfires_total{result="late"} 0"#, #"nanobot_http_problems_total{code="user_not_found"} 1"#,
        #"nanobot_http_requests_total{method="GET",route="/users/{user_id}",status="404"} 1"#,
        #"nanobot_job_wait_seconds_count{lane="interactive"} 4"#,
    ]

    private static let counted = [
        #"nanobot_drops_rejected_total{code="invalid_json"}"#, #"nanobot_disk_free_bytes{place="spool"}"#,
        #"nanobot_disk_used_bytes{place="home"}"#, "process_start_time_seconds",
        #"nanobot_job_duration_seconds_sum{lane="interactive"}"#,
        #"nanobot_http_request_duration_seconds_count{method="POST",route="/chat"}"#,
    ]

    /// - Returns: promtool's verdict on the text. Missing promtool is a failure: `deploy/setup.sh --test` installs it.
    private func check(_ text: String, with arguments: [String], in folder: TemporaryDirectory) throws
        -> (status: Int32, output: String)
    {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let paths = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        let program = (paths + [root + "/.build/tools"]).map { $0 + "/promtool" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
        guard let program else { throw SystemFailure(description: "no promtool: run deploy/setup.sh --test") }
        let file = folder.path + "/metrics.txt"
        try LinuxFileSystem().replaceFile(file, Array(text.utf8))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }
}
