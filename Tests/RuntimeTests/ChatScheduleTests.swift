// Schedules that are made in a chat: their answers come back into its conversation.

import Accounts
import Agent
import Foundation
import Jobs
import ModelTestSupport
import Providers
import Scheduler
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Runtime

@Suite struct ChatScheduleTests {
    private static let call: JSON = [
        "id": "c1", "type": "function",
        "function": [
            "name": "schedule",
            "arguments": #"{"action":"add","expression":"2030-12-01T09:00","timezone":"Europe/Berlin","message":"Call Ana"}"#,
        ],
    ]

    @Test("a reminder made in a chat is answered in that chat's session", arguments: ["talk", "default"])
    func session(name: String) throws {
        let server = try LoopbackHTTPServer { request in
            let hasResult = request.text.contains("\"role\":\"tool\"")
            let asks = request.text.contains("remind me") && !hasResult
            let message: JSON = asks ? ["role": "assistant", "content": "", "tool_calls": [Self.call]]
                : ["role": "assistant", "content": request.text.contains("Call Ana") && !hasResult ? "Time to call Ana." : "Done."]
            return .json(JSON.object(["choices": [["message": message, "finish_reason": asks ? "tool_calls" : "stop"]]]).text())
        }
        let bench = try RuntimeBench(
            settings: """
                {"model": "house/m", "memory": {"enabled": false},
                 "providers": {"house": {"type": "openai", "base_url": "\(server.url)/v1"}}}
                """)
        let user = try UserID("alice")
        try bench.services.accounts.create(user)
        let asked = try bench.run([
            "kind": "chat", "user_id": "alice", "session_id": .string(name), "message": "remind me to call Ana", "language": "en",
        ])
        #expect(asked.result?["response"] == "Done.")

        let own = try bench.services.scheduler.schedules(user).filter { $0.schedule.source == .user }
        let made = try #require(own.first)
        #expect(own.count == 1 && made.json["next_run_at"] == "2030-12-01T08:00:00.000Z")
        #expect(made.schedule.job["session_id"]?.string == (name == "default" ? nil : name))
        let id = try bench.services.scheduler.runNow(user, made.schedule.id)
        let fired = try bench.run(id)
        #expect(fired.result?["session_id"]?.string == name)
        let kept = try SessionStore(workspace: try bench.services.workspaces.open(user)).messages(try SessionID(name), limit: 20)
        #expect(kept.filter { $0.message.role == .user }.map(\.message.content) == ["remind me to call Ana", "Call Ana"])
    }
}
