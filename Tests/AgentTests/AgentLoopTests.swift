// Whole turns with a scripted model: what is asked, what is done, what stays in the session.
import DurableFiles
import Foundation
import HTTPTransport
import ModelTestSupport
import Providers
import Tenants
import Testing
import TextFormats

@testable import Agent

@Suite("Agent loop")
struct AgentLoopTests {
    static func call(_ id: String, _ name: String, _ arguments: String) -> ToolCall {
        ToolCall(id: id, name: name, arguments: arguments)
    }

    @Test("A turn calls tools, answers, and stores question, calls, results and answer in order")
    func wholeTurn() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice", stocks: ["AAPL"])
        let model = ScriptedProvider([
            .calls([Self.call("c1", "watchlist", "{\"action\":\"add\",\"items\":[\"tsla\"]}")]), .text("Added TSLA."),
        ])
        let events = MemoryEvents()
        let journal = MemoryJournal()
        let result = try house.loop.run(
            house.turn(alice, "add TSLA", model: model), journal: journal, events: events,
            cancellation: CancellationToken())
        #expect(result.text == "Added TSLA.")
        #expect(result.steps == 2)
        #expect(result.usage.totalTokens == 30)
        #expect(try house.configs.get(alice).watchlist.stocks == ["AAPL", "TSLA"])
        #expect(journal.log == ["model 0", "result 0:0", "model 1"])
        #expect(events.tools == ["watchlist start", "watchlist end"])
        #expect(events.text == "Added TSLA.")
        #expect(events.percents == events.percents.sorted() && events.percents.count == 2)
        let entries = try house.store(alice).messages(.standard, limit: 50)
        #expect(entries.map(\.message.role) == [.user, .assistant, .tool, .assistant])
        #expect(entries.map(\.id) == ["job-1:0", "job-1:1", "job-1:2", "job-1:3"])
        #expect(entries[0].message.content == "add TSLA")
        #expect(entries[2].message.toolCallID == "c1")
    }

    @Test(
        "A step ends by the job's time, over all attempts",
        arguments: [
            (secondsAgo: 10.0, retryAfter: 0.0, mayBeTried: true), (57.0, 0.0, true), (58.5, 0.0, false), (10.0, 49.0, true),
            (10.0, 50.0, false), (3_600.0, 0.0, false),
        ])
    func stepEnds(secondsAgo: Double, retryAfter: Double, mayBeTried: Bool) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let journal = MemoryJournal()
        let since = house.services.now().addingTimeInterval(-secondsAgo)
        try journal.recordRequests(step: 0, count: 2, since: since)
        let model = ScriptedProvider([
            .fail(ProviderError(code: .overloaded, detail: "full", retryAfter: retryAfter, isRetryable: true))
        ])
        var turn = try house.turn(alice, "hello", model: model)
        turn.limits.stepSeconds = 60
        let error = #expect(throws: AgentError.self) {
            try house.loop.run(turn, journal: journal, events: MemoryEvents(), cancellation: CancellationToken())
        }
        #expect(error?.code == "overloaded" && error?.isRetryable == mayBeTried)
        #expect(error?.retryUntil == since.addingTimeInterval(60))
        // The request may not outlast the step; after a time without a process the step gets one whole try.
        let timeout = try #require(model.requests.first).timeout
        #expect(secondsAgo > 60 ? timeout > 60 : timeout <= 60 - secondsAgo)
    }

    /// A model whose streamed words turn out to be reasoning.
    private struct TakingBackProvider: ChatProvider {
        let name = "taking-back"

        func complete(
            _ request: ChatRequest, cancellation: CancellationToken?, onDelta: ((String) -> Void)?
        ) throws(ProviderError) -> ChatResponse {
            onDelta?("secret plan")
            return ChatResponse(
                message: .assistant("Your list is empty."), finishReason: .stop, usage: .zero, model: "taking-back/m")
        }
    }

    @Test("Words that were streamed and do not count are taken back, and the answer follows")
    func takenBack() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let events = MemoryEvents()
        let result = try house.loop.run(
            house.turn(alice, "hi", model: TakingBackProvider()), journal: MemoryJournal(), events: events,
            cancellation: CancellationToken())
        #expect(result.text == "Your list is empty.")
        #expect(events.text == "Your list is empty.")
        #expect(events.restarts == 1)
        #expect(try house.store(alice).messages(.standard, limit: 9).last?.message.content == "Your list is empty.")
    }

    /// Ends when another call of it runs at the same time, or after a while alone.
    private struct MeetingTool: Tool {
        let name = "meet"
        let description = "test"
        let parameters: JSON = ["type": "object"]
        let isIdempotent = true
        let isReadOnly = true
        let here = DispatchSemaphore(value: 0)
        let there = DispatchSemaphore(value: 0)

        func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
            let isFirst = arguments["n"] == 1
            (isFirst ? here : there).signal()
            let met = (isFirst ? there : here).wait(timeout: .now() + 20) == .success
            return met ? "met \(arguments["n"]?.text() ?? "")" : "alone"
        }
    }

    @Test("Calls of one step that only read run side by side; results keep the order of the calls")
    func sideBySide() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let model = ScriptedProvider([
            .calls([Self.call("c1", "meet", "{\"n\":1}"), Self.call("c2", "meet", "{\"n\":2}")]), .text("done"),
        ])
        let journal = MemoryJournal()
        let loop = AgentLoop(
            tools: ToolRegistry([MeetingTool()], logger: AgentHouse.logger), services: house.services,
            logger: AgentHouse.logger)
        _ = try loop.run(
            house.turn(alice, "meet", model: model), journal: journal, events: MemoryEvents(),
            cancellation: CancellationToken())
        let entries = try house.store(alice).messages(.standard, limit: 50)
        #expect(entries.filter { $0.message.role == .tool }.map(\.message.content) == ["met 1", "met 2"])
        #expect(journal.log == ["model 0", "result 0:0", "result 0:1", "model 1"])
    }

    @Test("What is read behind a change of the same step is read after it")
    func readBehindWrite() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let model = ScriptedProvider([
            .calls([
                Self.call("c1", "list_dir", "{\"path\":\"data\"}"),
                Self.call("c2", "write_file", "{\"path\":\"data/a.md\",\"content\":\"fresh\"}"),
                Self.call("c3", "read_file", "{\"path\":\"data/a.md\"}"),
                Self.call("c4", "grep", "{\"pattern\":\"fresh\"}"),
            ]), .text("done"),
        ])
        _ = try house.loop.run(
            house.turn(alice, "do", model: model), journal: MemoryJournal(), events: MemoryEvents(),
            cancellation: CancellationToken())
        let results = try house.store(alice).messages(.standard, limit: 50).filter { $0.message.role == .tool }
        #expect(results.map(\.message.toolCallID) == ["c1", "c2", "c3", "c4"])
        #expect(!results[0].message.content.contains("a.md"))
        #expect(results[2].message.content.contains("fresh"))
        #expect(results[3].message.content.contains("a.md"))
    }

    @Test("The request carries the prompt, the history, the words and then the context block")
    func request() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice", stocks: ["AAPL"])
        for (job, words) in [("job-1", "first"), ("job-2", "second")] {
            let model = ScriptedProvider([.text("answer to \(words)")])
            _ = try house.loop.run(
                house.turn(alice, words, model: model, job: job), journal: MemoryJournal(), events: MemoryEvents(),
                cancellation: CancellationToken())
            guard job == "job-2" else { continue }
            let request = try #require(model.requests.first)
            #expect(request.model == "model")
            #expect(request.messages.map(\.role) == [.system, .user, .assistant, .user])
            #expect(request.messages[1].content.hasPrefix("first\n\n---\n[context]\n"))
            let lines = request.messages[3].content.components(separatedBy: "\n")
            #expect(lines.prefix(4) == ["second", "", "---", "[context]"])
            #expect(lines[4] == "time: \(RFC3339.string(AgentHouse.noon)) (Asia/Shanghai)")
            #expect(lines[5...6] == ["user: alice", "language: en"])
            let watchlist = try JSON.parse(String(lines[7].dropFirst("watchlist: ".count)))
            #expect(watchlist["stocks"] == ["AAPL"])
            #expect(request.tools.map(\.name) == request.tools.map(\.name).sorted())
            #expect(request.tools.count == 14)
        }
    }

    @Test("A report is offered only tools that read, and keeps no session")
    func report() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let model = ScriptedProvider([
            .calls([Self.call("c", "write_file", "{\"path\":\"a.md\",\"content\":\"x\"}")]), .text("report"),
        ])
        let turn = try house.turn(alice, "daily report", model: model, kind: .report)
        _ = try house.loop.run(
            turn, journal: MemoryJournal(), events: MemoryEvents(), cancellation: CancellationToken())
        let names = model.requests[0].tools.map(\.name)
        #expect(names.contains("quotes") && !names.contains("write_file") && !names.contains("preferences"))
        #expect(model.requests[1].messages.last?.content.contains("unknown_tool") == true)
        #expect(!turn.workspace.directory.exists("a.md"))
        #expect(try house.store(alice).list().isEmpty)
    }

    @Test("A provider's error keeps its code, its retry time and the usage so far")
    func providerError() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let model = ScriptedProvider([
            .calls([Self.call("c", "profile", "{}")]),
            .fail(ProviderError(code: .rateLimited, detail: "slow down", status: 429, retryAfter: 7)),
        ])
        let error = #expect(throws: AgentError.self) {
            try house.loop.run(
                house.turn(alice, "hi", model: model), journal: MemoryJournal(), events: MemoryEvents(),
                cancellation: CancellationToken())
        }
        #expect(error?.code == "rate_limited" && error?.isRetryable == true)
        #expect(error?.retryAfter == 7 && error?.usage.totalTokens == 15)
    }

    @Test("A turn past its deadline stops before the next call of the model")
    func deadline() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let model = ScriptedProvider([.text("never")])
        let turn = try house.turn(alice, "hi", model: model, limits: TurnLimits(deadline: AgentHouse.noon))
        let error = #expect(throws: AgentError.self) {
            try house.loop.run(
                turn, journal: MemoryJournal(), events: MemoryEvents(), cancellation: CancellationToken())
        }
        #expect(error?.code == "timeout" && error?.isRetryable == true)
        #expect(model.requests.isEmpty)
    }

    @Test("A cancel during a model call keeps the question; a drain writes nothing", arguments: TurnStop.allCases)
    func stopped(reason: TurnStop) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let token = CancellationToken()
        let model = ScriptedProvider([
            .decide { _ in
                token.cancel(reason: reason.rawValue)
                return .failure(ProviderError(code: .cancelled, detail: "told to stop"))
            }
        ])
        let error = #expect(throws: AgentError.self) {
            try house.loop.run(
                house.turn(alice, "tell me", model: model), journal: MemoryJournal(), events: MemoryEvents(),
                cancellation: token)
        }
        #expect(error?.code == reason.error.code)
        let sessions = try house.store(alice).list()
        // A cancel is the turn's end and says so; after a timeout the job may be tried again.
        #expect(sessions.map(\.messageCount) == (reason == .drain ? [] : reason == .cancelled ? [2] : [1]))
    }

    @Test("An interrupted turn stays in the history of the next one with every call answered")
    func interruptedHistory() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let token = CancellationToken()
        let journal = MemoryJournal()
        journal.recordsLeft = 2
        journal.onLimit = { token.cancel(reason: "cancelled") }
        let calls = [Self.call("c1", "profile", "{}"), Self.call("c2", "quotes", "{\"symbols\":[\"A\"]}")]
        #expect(throws: AgentError.self) {
            try house.loop.run(
                house.turn(alice, "first", model: ScriptedProvider([.calls(calls)])), journal: journal,
                events: MemoryEvents(), cancellation: token)
        }
        let model = ScriptedProvider([.text("ok")])
        _ = try house.loop.run(
            house.turn(alice, "second", model: model, job: "job-2"), journal: MemoryJournal(), events: MemoryEvents(),
            cancellation: CancellationToken())
        let messages = model.requests[0].messages
        #expect(messages.map(\.role) == [.system, .user, .assistant, .tool, .tool, .assistant, .user])
        #expect(messages[3].content.contains("alice"))
        #expect(messages[4].content.contains("\"cancelled\""))
    }

    @Test("Two users' turns interleaved on threads see and change only their own data")
    func isolation() throws {
        let house = try AgentHouse()
        let users = try ["ann", "bob"].map { try house.addUser($0, stocks: ["\($0.uppercased())CO"]) }
        let loop = house.loop
        let rounds = 12
        DispatchQueue.concurrentPerform(iterations: users.count * rounds) { index in
            let user = users[index % users.count]
            let remember = "{\"action\":\"remember\",\"text\":\"fact \(index) of \(user)\"}"
            let write = "{\"path\":\"notes/\(index).md\",\"content\":\"by \(user)\"}"
            let model = ScriptedProvider([
                .calls([
                    Self.call("a", "memory", remember), Self.call("b", "write_file", write),
                    Self.call("c", "profile", "{}"),
                ]), .text("done \(index) for \(user)"),
            ])
            do {
                let turn = try house.turn(user, "go", model: model, job: "job-\(index)", session: "s\(index % 3)")
                _ = try loop.run(
                    turn, journal: MemoryJournal(), events: MemoryEvents(), cancellation: CancellationToken())
                let profile = model.requests[1].messages.last { $0.name == "profile" }
                #expect(profile?.content.contains("\(user.rawValue.uppercased())CO") == true)
            } catch {
                Issue.record("\(error)")
            }
        }
        for (position, user) in users.enumerated() {
            let other = users[1 - position]
            let workspace = try house.workspaces.open(user)
            let memory = try MemoryStore(workspace: workspace).show()
            #expect(memory.components(separatedBy: "of \(user)").count == rounds + 1)
            #expect(!memory.contains("of \(other)"))
            let notes = try workspace.directory.list("notes")
            #expect(notes.count == rounds)
            let sessions = try house.store(user).list()
            #expect(sessions.map(\.messageCount).reduce(0, +) == rounds * 6)
            for session in sessions {
                let texts = try house.store(user).messages(try SessionID(session.id), limit: 200)
                #expect(!texts.contains { $0.message.content.contains("for \(other)") })
            }
        }
    }
}
