// A turn of six model calls and five tool calls on the built binary, stopped at every one of its model calls, by
// kill -9 and by SIGTERM: nothing that was answered is asked again, and the conversation reads as if nothing had been.

import DurableFiles
import Foundation
import ModelTestSupport
import Synchronization
import TestSupport
import Testing
import TextFormats

@Suite struct DurableTurnTests {
    enum Stop: String, Sendable, CaseIterable {
        case kill, drain
    }

    static let modelCalls = 6

    @Test(
        "stopped at any model call of a six-step turn, each call is made once and only the one in flight twice",
        arguments: 0..<modelCalls, Stop.allCases)
    func resumes(stopAt: Int, how: Stop) throws {
        let whole = try DurableTurnTests.turn(stopAt: nil, how: how)
        #expect(whole.received == Array(repeating: 1, count: DurableTurnTests.modelCalls))
        #expect(whole.session.count == 2 * DurableTurnTests.modelCalls)
        let stopped = try DurableTurnTests.turn(stopAt: stopAt, how: how)
        var expected = whole.received
        expected[stopAt] += 1
        #expect(stopped.received == expected)
        #expect(stopped.session == whole.session)
        #expect(stopped.finalLines == 1)
    }

    struct Outcome {
        /// Requests for each model call of the turn.
        var received: [Int]
        /// The entries of the session's file, without what differs between any two jobs: its id and the times.
        var session: [JSON]
        var finalLines: Int
    }

    /// One turn from a new home to its end. - Parameter stopAt: the model call at whose first request the server ends.
    private static func turn(stopAt: Int?, how: Stop) throws -> Outcome {
        let folder = try TemporaryDirectory()
        let received = Mutex(Array(repeating: 0, count: modelCalls))
        let model = try LoopbackHTTPServer { request in
            // The step is what the request itself says: how many results the model has been told.
            let messages = (try? JSON.parse(request.text))?["messages"]?.array ?? []
            let step = messages.count { $0["role"] == "tool" }
            guard step < modelCalls else { return ScriptedAnswer(status: 599, headers: [], pieces: []) }
            let isFirst = received.withLock { counts -> Bool in
                counts[step] += 1
                return counts[step] == 1
            }
            if step == stopAt, isFirst { return ScriptedAnswer(status: 200, headers: [], pieces: [.stall]) }
            return .json(answer(step).text())
        }
        defer { model.stop() }
        let environment = [
            "NANOBOT_MODEL": "openai/m", "OPENAI_BASE_URL": model.url + "/v1", "OPENAI_API_KEY": "sk-test",
        ]
        var server = try NanobotProcess(home: folder.path, environment: environment)
        _ = try server.post("/users", ["user_id": "eve"])
        let accepted = try server.post(
            "/chat", ["user_id": "eve", "message": "six steps"], headers: [("Prefer", "respond-async")])
        let id = try #require(accepted["job_id"]?.string)
        if let stopAt {
            try #require(model.waitForRequests(stopAt + 1))
            switch how {
            case .kill: server.kill()
            case .drain: #expect(server.stop() == 0)
            }
            server = try NanobotProcess(home: folder.path, environment: environment)
        }
        let job = try server.waitForJob(id)
        #expect(job["status"] == "completed", "\(job.text)")
        #expect(job["response"] == "done")
        let lines = try server.finalLines(id).count
        #expect(server.stop() == 0)
        return Outcome(
            received: received.withLock { $0 }, session: try session(folder.path), finalLines: lines)
    }

    /// Notes are written and read back in turn; the last answer ends the turn.
    private static func answer(_ step: Int) -> JSON {
        var message: JSONObject = ["role": "assistant", "content": "done"]
        let isLast = step == modelCalls - 1
        if !isLast {
            let path = "note-\(step / 2).txt"
            let arguments: JSON =
                step.isMultiple(of: 2)
                ? ["path": .string(path), "content": .string("step \(step)")] : ["path": .string(path)]
            let name = step.isMultiple(of: 2) ? "write_file" : "read_file"
            message["content"] = .null
            message["tool_calls"] = [
                [
                    "id": .string("call_\(step)"), "type": "function",
                    "function": ["name": .string(name), "arguments": .string(arguments.text())],
                ]
            ]
        }
        return [
            "id": "x", "object": "chat.completion", "model": "m",
            "choices": [
                [
                    "index": 0, "finish_reason": .string(isLast ? "stop" : "tool_calls"), "message": .object(message),
                ]
            ],
            "usage": ["prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12],
        ]
    }

    private static func session(_ home: String) throws -> [JSON] {
        let path = home + "/workspaces/eve/sessions/default.jsonl"
        let text = String(decoding: try LinuxFileSystem().readFile(path), as: UTF8.self)
        return try text.split(separator: "\n").compactMap { line in
            guard var entry = try JSON.parse(String(line)).object, let id = entry["id"]?.string,
                let job = entry["job_id"]?.string, entry["role"] != nil
            else { return nil }
            entry["id"] = .string(String(id.dropFirst(job.count)))
            entry["job_id"] = nil
            entry["timestamp"] = nil
            return .object(entry)
        }
    }
}
