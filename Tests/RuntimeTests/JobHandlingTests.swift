// Jobs of every kind through the real pool, agent and stores, without a process or HTTP.

import API
import Accounts
import Agent
import DurableFiles
import Foundation
import Jobs
import Logging
import Providers
import Spool
import TestSupport
import Testing
import Tenants
import TextFormats

@testable import Runtime
@testable import Workers

@Suite struct JobHandlingTests {
    private typealias Bench = RuntimeBench

    @Test("a report is on disk under the job's id before the job is completed, in every format", arguments: [
        "markdown", "html", "json", "text",
    ])
    func reports(_ format: String) throws {
        let bench = try Bench()
        let user = try UserID("demo")
        try bench.services.accounts.create(user)
        let record = try bench.run([
            "kind": "report", "user_id": "demo", "format": .string(format), "language": "en",
            "custom_prompt": "watch margins",
        ])
        #expect(record.state == .completed)
        let id = record.id.description
        #expect(record.result?["report_id"]?.string == id)
        let shelf = ReportShelf(workspaces: bench.services.workspaces, renderer: bench.services.renderer)
        let own = try #require(try shelf.text(of: id, user: user, format: nil))
        #expect(own.text.contains("watch margins"))
        let html = try #require(try shelf.text(of: id, user: user, format: .html))
        #expect(html.text.contains("<html"))
        #expect(try shelf.reports(of: user, limit: 10, after: nil).map(\.id) == [id])
        #expect(record.usage?["total_tokens"] == 0)
    }

    @Test("a heartbeat without tasks is silent and asks no model")
    func heartbeat() throws {
        let bench = try Bench()
        try bench.services.accounts.create(try UserID("demo"))
        let record = try bench.run(["kind": "heartbeat", "user_id": "demo"])
        #expect(record.state == .completed)
        #expect(record.result?["silent"] == true)
        #expect(record.usage == nil)
        #expect(HeartbeatJobHandler.tasks(in: "# x\n- a\n<!-- - no\n- no -->\n* [ ] b\n- [x] done\n-\n") == ["a", "b"])
    }

    @Test("the queue waits by the names that the providers give their pauses")
    func names() {
        #expect(EndingRules.rateLimitedCode == ProviderError.Code.rateLimited.rawValue)
        #expect(EndingRules.providerPausedCode == ProviderError.Code.providerPaused.rawValue)
        #expect(EndingRules.modelPausedCode == ProviderError.Code.modelPaused.rawValue)
    }

    @Test("a heartbeat with a task says which model looked after it")
    func heartbeatModel() throws {
        let bench = try Bench()
        let user = try UserID("demo")
        try bench.services.accounts.create(user)
        let path = "\(bench.services.home.workspaces)/demo/\(Workspace.heartbeat)"
        try LinuxFileSystem().replaceFile(path, Array("- look at the watchlist\n".utf8))
        let record = try bench.run(["kind": "heartbeat", "user_id": "demo"])
        #expect(record.state == .completed)
        #expect(record.result?["response"]?.string?.isEmpty == false)
        #expect(record.result?["model"]?.string == "offline")
    }

    @Test("a job of a user who was deleted and made again does not reach the new one")
    func incarnations() throws {
        let bench = try Bench()
        let user = try UserID("demo")
        try bench.services.accounts.create(user)
        let request = try JobRequest.parse(["kind": "report", "user_id": "demo"], now: Date())
        let id = try bench.services.client.submit(request, source: .cli).id
        let name = try #require(try bench.services.spool.names(in: .queued).first)
        guard case .claimed(let claim) = try bench.services.spool.claim(name) else {
            Issue.record("the job could not be claimed")
            return
        }
        try bench.services.workspaces.delete(user)
        try bench.services.accounts.create(user)
        let outcome = bench.services.makeRouter().run(
            claim.job, record: claim.record, cancellation: CancellationFlag())
        guard case .failed(let failure, _) = outcome else {
            Issue.record("it ran: \(outcome)")
            return
        }
        #expect(failure.code == "user_not_found")
        #expect(!failure.isRetryable)
        try claim.bury(failure)
        #expect(try bench.services.spool.record(id)?.state == .failed)
    }

    @Test("a spawned task is one job however often its call is run, and its answer comes into the conversation once")
    func spawned() throws {
        let bench = try Bench()
        let user = try UserID("demo")
        try bench.services.accounts.create(user)
        let workspace = try bench.services.workspaces.open(user)
        let shelf = ChildJobShelf(client: bench.services.client, workspaces: bench.services.workspaces, now: { Date() })
        let parent = JobID.make(now: Date()).description
        func spawn(_ call: String) throws -> JSON {
            try shelf.spawn(
                user: user, task: "what is on my watchlist?", session: try SessionID("talk"), parent: parent,
                callID: "\(parent):\(call)")
        }
        let first = try spawn("0:0")
        #expect(try spawn("0:0")["job_id"] == first["job_id"])
        let names = try bench.services.spool.names(in: .queued)
        #expect(names.count == 1)
        for _ in 0..<2 {
            // The second time as after a crash between the answer and the final line.
            let name = try #require(try bench.services.spool.names(in: .queued).first)
            guard case .claimed(let claim) = try bench.services.spool.claim(name) else {
                Issue.record("the job could not be claimed")
                return
            }
            let outcome = bench.services.makeRouter().run(
                claim.job, record: claim.record, cancellation: CancellationFlag())
            guard case .completed = outcome else {
                Issue.record("\(outcome)")
                return
            }
            try claim.release("test")
        }
        let talk = try SessionStore(workspace: workspace).messages(try SessionID("talk"), limit: 10)
        #expect(talk.count == 1)
        #expect(talk.first?.message.role == .assistant)
        for number in 1..<8 { _ = try spawn("1:\(number)") }
        #expect(throws: ToolFailure.self) { try spawn("1:8") }
        #expect(try spawn("0:0")["job_id"] == first["job_id"])
    }

    @Test("a turn is played through again from its journal to the same answer, and changes nothing")
    func replay() throws {
        let bench = try Bench()
        let user = try UserID("demo")
        try bench.services.accounts.create(user, initial: InitialUserData(watchlist: WatchlistChange(stocks: ["AAPL"])))
        let record = try bench.run([
            "kind": "chat", "user_id": "demo", "message": "What is on my watchlist?", "language": "en",
        ])
        let lines = try bench.services.spool.lines(record.id, from: 0, epoch: nil)?.lines.count
        let replay = try #require(try bench.services.replay(record.id))
        #expect(replay.answer == record.result?["response"]?.string)
        #expect(replay.stepCount == record.result?["steps"]?.int)
        let call = replay.json(step: 0)["steps"]?[0]?["calls"]?[0]
        #expect(call?["name"] == "watchlist")
        #expect(call?["result"]?.string?.contains("AAPL") == true)
        #expect(replay.divergences.isEmpty)
        #expect(try bench.services.spool.lines(record.id, from: 0, epoch: nil)?.lines.count == lines)
        #expect(try bench.services.replay(JobID.make(now: Date())) == nil)
    }

    @Test("a turn in another language is played through in that language; one that differs is said to")
    func replayLanguage() throws {
        let bench = try Bench()
        try bench.services.accounts.create(try UserID("demo"))
        let record = try bench.run([
            "kind": "chat", "user_id": "demo", "message": "我的自选股里有什么?", "language": "zh",
        ])
        let said = try #require(record.result?["response"]?.string)
        let replay = try #require(try bench.services.replay(record.id))
        #expect(replay.answer == said && replay.divergences.isEmpty)
    }

    @Test("a round makes one heartbeat for each user with tasks, spread over the interval, and none twice")
    func heartbeatRounds() throws {
        let bench = try Bench()
        for name in ["idle", "busy", "eager"] { try bench.services.accounts.create(try UserID(name)) }
        for name in ["busy", "eager"] {
            try bench.services.workspaces.open(try UserID(name)).writeText(Workspace.heartbeat, "- look at AAPL\n")
        }
        let rounds = try #require(bench.services.makeHeartbeats())
        let begin = Date(timeIntervalSince1970: (Date().timeIntervalSince1970 / 1_800).rounded(.down) * 1_800)
        let made = rounds.round(at: begin)
        #expect(made.count == 2)
        let names = try bench.services.spool.names(in: .queued)
        #expect(Set(names.map(\.user)) == ["busy", "eager"])
        #expect(names.allSatisfy { $0.lane == .background && (begin...(begin + 1_800)).contains($0.due) })
        // The same round by another server, and the next one while the jobs still wait.
        #expect(try #require(bench.services.makeHeartbeats()).round(at: begin) == made)
        #expect(rounds.round(at: begin + 1_800).isEmpty)
        #expect(try bench.services.spool.names(in: .queued).count == 2)
        // Tasks that are struck are none any more.
        try bench.services.workspaces.open(try UserID("busy")).writeText(Workspace.heartbeat, "- [x] look at AAPL\n")
        #expect(try #require(bench.services.makeHeartbeats()).round(at: begin + 3_600).count == 1)
    }

    @Test("what a heartbeat has to say stands in the user's default session, once")
    func heartbeatTells() throws {
        let bench = try Bench()
        let user = try UserID("demo")
        try bench.services.accounts.create(user)
        let workspace = try bench.services.workspaces.open(user)
        try workspace.writeText(Workspace.heartbeat, "- say what is on my watchlist\n")
        let record = try bench.run(["kind": "heartbeat", "user_id": "demo", "language": "en"])
        let said = try #require(record.result?["response"]?.string)
        let messages = try SessionStore(workspace: workspace).messages(.standard, limit: 10)
        #expect(messages.map(\.message.content) == [said])
        #expect(messages.first?.jobID == record.id.description)
    }

    @Test("commands are answered by nanobot itself: /new hides what was said from the model, and only from it")
    func commands() throws {
        let bench = try Bench()
        let user = try UserID("demo")
        try bench.services.accounts.create(user)
        func chat(_ message: String, _ language: String = "en") throws -> JobRecord {
            try bench.run([
                "kind": "chat", "user_id": "demo", "message": .string(message), "session_id": "s",
                "language": .string(language),
            ])
        }
        _ = try chat("hello there")
        let store = SessionStore(workspace: try bench.services.workspaces.open(user))
        let session = try SessionID("s")
        let before = try store.messages(session, limit: 100)
        #expect(before.count >= 2)
        let status = try chat(" /STATUS ")
        #expect(status.result?["response"]?.string?.contains("s, \(before.count) messages") == true)
        #expect(status.result?["model"] == "nanobot")
        #expect(try chat("/help", "zh").result?["response"]?.string?.contains("/stop 停止") == true)
        #expect(try chat("/new").state == .completed)
        #expect(try store.currentMessages(session) == 0)
        #expect(try store.messages(session, limit: 100) == before)
        _ = try chat("hello again")
        #expect(try store.currentMessages(session) == store.messages(session, limit: 100).count - before.count)
        #expect(try chat("/unknown").result?["model"] == "offline")
    }

    @Test("/stop ends what its session has running and waiting, without waiting behind it, and nothing else")
    func stop() throws {
        let bench = try Bench()
        try bench.services.accounts.create(try UserID("demo"))
        func submit(_ message: String, _ session: String) throws -> JobID {
            let request = try JobRequest.parse(
                ["kind": "chat", "user_id": "demo", "message": .string(message), "session_id": .string(session)],
                now: Date())
            return try bench.services.client.submit(request, source: .cli).id
        }
        let running = try submit("one", "s")
        let name = try #require(try bench.services.spool.names(in: .queued).first)
        guard case .claimed(let claim) = try bench.services.spool.claim(name) else {
            Issue.record("the job could not be claimed")
            return
        }
        let waiting = try submit("two", "s")
        let elsewhere = try submit("three", "t")
        let stop = try submit("/stop", "s")
        #expect(bench.services.spool.isCancelRequested(running, run: 1))
        try claim.cancel()
        #expect(try bench.services.spool.record(waiting)?.state == .cancelled)
        #expect(try bench.services.spool.record(elsewhere)?.state == .queued)
        #expect(try bench.services.spool.record(stop)?.state == .queued)
    }

    @Test("a user whose tokens are used up is refused; one whose turn uses them up gets its end and the reason")
    func budgets() throws {
        let bench = try Bench(settings: """
                {"model": "house/m", "providers": {"house": {"type": "openai", "base_url": "http://127.0.0.1:1/v1"}},
                 "limits": {"user": {"tokens_per_day": 50}}}
                """)
        let user = try UserID("demo")
        try bench.services.accounts.create(user)
        let workspace = try bench.services.workspaces.open(user)
        func used(_ tokens: Int, _ job: String) throws {
            try workspace.appendUsage([
                "time": .string(RFC3339.string(Date())), "job_id": .string(job), "total_tokens": JSON(tokens),
                "cost_usd": 0,
            ])
        }
        try used(49, "a")
        let request = try JobRequest.parse(["kind": "chat", "user_id": "demo", "message": "hello"], now: Date())
        let id = try bench.services.client.submit(request, source: .api).id
        try used(1, "b")
        let name = try #require(try bench.services.spool.names(in: .queued).first { $0.id == id })
        guard case .claimed(let claim) = try bench.services.spool.claim(name) else {
            Issue.record("the job could not be claimed")
            return
        }
        let outcome = bench.services.makeRouter().run(
            claim.job, record: claim.record, cancellation: CancellationFlag())
        guard case .failed(let failure, _) = outcome else {
            Issue.record("it ran: \(outcome)")
            return
        }
        #expect(failure.code == "budget_tokens")
        #expect(!failure.isRetryable)
        try claim.bury(failure)
        do throws(JobError) {
            _ = try bench.services.client.submit(request, source: .api)
            Issue.record("it was taken in")
        } catch {
            #expect(error.kind == .budgetTokens)
            #expect((1...86_400).contains(error.retryAfter ?? 0))
        }
        try bench.services.budgets.suspend(user, reason: "bill")
        #expect(throws: JobError.self) { try bench.services.client.submit(request, source: .drop) }
    }

    @Test("a job file whose name and content contradict each other is set aside")
    func contradiction() throws {
        let bench = try Bench()
        try bench.services.accounts.create(try UserID("demo"))
        try bench.services.accounts.create(try UserID("other"))
        let request = try JobRequest.parse(["kind": "report", "user_id": "demo"], now: Date())
        _ = try bench.services.client.submit(request, source: .cli)
        var name = try #require(try bench.services.spool.names(in: .queued).first)
        let layout = bench.services.spool.layout
        let before = layout.path(.queued, name)
        name.user = "other"
        try LinuxFileSystem().rename(before, layout.path(.queued, name))
        guard case .claimed(let claim) = try bench.services.spool.claim(name) else {
            Issue.record("the job could not be claimed")
            return
        }
        let outcome = bench.services.makeRouter().run(
            claim.job, record: claim.record, cancellation: CancellationFlag())
        guard case .failed(let failure, _) = outcome else {
            Issue.record("it ran")
            return
        }
        #expect(failure.code == "contradiction")
        try claim.bury(failure)
    }
}
