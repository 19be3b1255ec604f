// The built binary killed in the middle of a tool's work: what may have happened outside is not done a second time unless
// the tool says that it can be, and no model call is paid for again.

import DurableFiles
import Foundation
import HTTPTransport
import ModelTestSupport
import Synchronization
import TestSupport
import Testing
import TextFormats

@Suite struct KilledToolTests {
    @Test(
        "killed inside a tool: one that can be repeated is, of another the model is told that nobody knows",
        arguments: [true, false])
    func resumes(isIdempotent: Bool) throws {
        let folder = try TemporaryDirectory()
        let calls = Mutex(0)
        let begun = WakeSignal()
        let tools = try LoopbackHTTPServer { request in
            let ask = (try? JSON.parse(request.text)) ?? .null
            let result: JSON
            switch ask["method"]?.string {
            case "initialize": result = ["protocolVersion": "2025-06-18"]
            case "tools/list":
                result = [
                    "tools": [
                        [
                            "name": "pay", "inputSchema": ["type": "object"],
                            "annotations": ["idempotentHint": .bool(isIdempotent)],
                        ]
                    ]
                ]
            case "tools/call":
                let isFirst = calls.withLock { count -> Bool in
                    count += 1
                    return count == 1
                }
                if isFirst { return ScriptedAnswer(pieces: [.reached(begun), .stall], framing: .raw("")) }
                result = ["content": [["type": "text", "text": "paid"]]]
            default: return ScriptedAnswer(status: 202)
            }
            return .json((["jsonrpc": "2.0", "id": ask["id"] ?? .null, "result": result] as JSON).text())
        }
        defer { tools.stop() }
        let told = Mutex<[String]>([])
        let model = try LoopbackHTTPServer { request in
            let messages = (try? JSON.parse(request.text))?["messages"]?.array ?? []
            guard let result = messages.last(where: { $0["role"] == "tool" })?["content"]?.string else {
                return .json(Self.call)
            }
            told.withLock { $0.append(result) }
            return .json(Self.answer)
        }
        defer { model.stop() }
        let config: JSON = [
            "model": "openai/m",
            "tools": ["mcp_servers": ["bank": ["url": .string(tools.url)]]],
        ]
        try LinuxFileSystem().createSynced(folder.path + "/config.json", config.bytes())
        let environment = ["OPENAI_BASE_URL": model.url + "/v1", "OPENAI_API_KEY": "sk-test"]
        var server = try NanobotProcess(home: folder.path, environment: environment)
        _ = try server.post("/users", ["user_id": "eve"])
        let accepted = try server.post(
            "/chat", ["user_id": "eve", "message": "pay"], headers: [("Prefer", "respond-async")])
        let id = try #require(accepted["job_id"]?.string)
        try #require(begun.wait(seconds: 30), "the tool was not called: \(tools.requests.map(\.text))")
        server.kill()
        server = try NanobotProcess(home: folder.path, environment: environment)
        let job = try server.waitForJob(id)
        #expect(job["status"] == "completed", "\(job.text)")
        #expect(job["response"] == "done")
        #expect(model.requests.count == 2)
        #expect(calls.withLock { $0 } == (isIdempotent ? 2 : 1))
        let results = told.withLock { $0 }
        #expect(results.count == 1, "\(results)")
        #expect(results.first?.contains(isIdempotent ? "paid" : "outcome_unknown") == true, "\(results)")
        #expect(server.stop() == 0)
    }

    private static let call = """
        {"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":
        {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":
        {"name":"mcp_bank_pay","arguments":"{}"}}]}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}
        """
    private static let answer = """
        {"id":"y","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop","message":
        {"role":"assistant","content":"done"}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}
        """
}
