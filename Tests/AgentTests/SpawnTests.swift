// Tasks beside a conversation and messages into it: where their words stand, and what they may not do.
import Foundation
import HTTPTransport
import ModelTestSupport
import Providers
import Tenants
import Testing
import TextFormats

@testable import Agent

@Suite struct SpawnTests {
    /// Children whose answer is in the conversation before `spawn` has even returned: faster than any parent.
    private struct FastChildren: ChildJobs {
        let house: AgentHouse

        func spawn(user: UserID, task: String, session: SessionID, parent: String, callID: String) throws -> JSON {
            let entry = SessionEntry(
                id: "child:answer", jobID: "child", message: .assistant("the task's answer"), time: AgentHouse.noon)
            try house.store(user).append(session, [entry])
            return ["job_id": "child", "status": "queued"]
        }
    }

    private static let call = ToolCall(id: "c1", name: "spawn", arguments: "{\"task\":\"look it up\"}")

    private func loop(_ house: AgentHouse) -> AgentLoop {
        AgentLoop(
            tools: ToolRegistry([SpawnTool(children: FastChildren(house: house))], logger: AgentHouse.logger),
            services: house.services, logger: AgentHouse.logger)
    }

    @Test("A child that is done before its parent answers after the question, and the next turn of the conversation sees it")
    func fastChild() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let model = ScriptedProvider([.calls([Self.call]), .text("started")])
        _ = try loop(house).run(
            house.turn(alice, "please look", model: model), journal: MemoryJournal(), events: MemoryEvents(),
            cancellation: CancellationToken())
        let told = try house.store(alice).messages(.standard, limit: 9)
        #expect(told.first?.message.content == "please look")
        #expect(told.map(\.message.content).contains("the task's answer") && told.filter { $0.message.role == .user }.count == 1)
        let next = ScriptedProvider([.text("ok")])
        _ = try loop(house).run(
            house.turn(alice, "and?", model: next, job: "job-2"), journal: MemoryJournal(), events: MemoryEvents(),
            cancellation: CancellationToken())
        let seen = try #require(next.requests.first).messages.map(\.content)
        #expect(seen.contains("the task's answer"))
    }

    @Test("A turn cut after its spawn and resumed leaves the same conversation")
    func resumed() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let journal = MemoryJournal()
        let cut = ScriptedProvider([.calls([Self.call])])
        #expect(throws: AgentError.self) {
            try loop(house).run(
                house.turn(alice, "please look", model: cut), journal: journal, events: MemoryEvents(),
                cancellation: CancellationToken())
        }
        let rest = ScriptedProvider([.text("started")])
        _ = try loop(house).run(
            house.turn(alice, "please look", model: rest), journal: journal, events: MemoryEvents(),
            cancellation: CancellationToken())
        let told = try house.store(alice).messages(.standard, limit: 9).map(\.message.content)
        #expect(told.filter { $0 == "please look" }.count == 1 && told.filter { $0 == "the task's answer" }.count == 1)
        #expect(told.first == "please look" && told.last == "started")
    }

    @Test("A task that was started by spawn starts no others")
    func depth() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        var turn = try house.turn(alice, "x", model: ScriptedProvider([]))
        turn.isSpawned = true
        let context = ToolContext(
            turn: turn, services: house.services, callID: "job-1:0:0", cancellation: CancellationToken())
        do {
            _ = try SpawnTool(children: FastChildren(house: house)).run(["task": "more"], context)
            Issue.record("it started one")
        } catch let failure as ToolFailure {
            #expect(failure.code == "spawn_depth")
        }
        #expect(throws: AgentError.self) { try house.store(alice).messages(.standard, limit: 1) }
    }

    @Test("A message is left once in the default conversation, and is no way to talk to oneself")
    func message() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        func leave(_ session: String) throws -> String {
            let turn = try house.turn(alice, "x", model: ScriptedProvider([]), session: session)
            let context = ToolContext(
                turn: turn, services: house.services, callID: "job-1:0:0", cancellation: CancellationToken())
            return try MessageTool().run(["text": "the price is there"], context)
        }
        for _ in 0..<2 { #expect(try leave("task-1").contains("default")) }
        let told = try house.store(alice).messages(.standard, limit: 9)
        #expect(told.map(\.message.content) == ["the price is there"])
        #expect(throws: ToolFailure.self) { try leave("default") }
    }
}
