// Budgets in turns, through the real handlers, journal and provider: what is reserved, who waits, and what a turn ends with.

import Accounts
import Foundation
import HTTPTransport
import Jobs
import ModelTestSupport
import Providers
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Runtime
@testable import Workers

@Suite struct BudgetTurnTests {
    private let user: UserID

    init() throws { user = try UserID("alice") }

    private static func answer(_ text: String, prompt: Int = 1_000, completion: Int = 200, calls: String = "") -> ScriptedAnswer {
        .json(
            """
            {"choices":[{"message":{"role":"assistant","content":"\(text)"\(calls)},"finish_reason":"stop"}],\
            "usage":{"prompt_tokens":\(prompt),"completion_tokens":\(completion),"total_tokens":\(prompt + completion)}}
            """)
    }

    private static let looksAround =
        #","tool_calls":[{"id":"c1","type":"function","function":{"name":"watchlist","arguments":"{\"action\":\"show\"}"}}]"#

    /// A call that is answered as above costs 0.14.
    private func bench(_ url: String, more: String = "", limits: String = #"{"user": {"cost_per_month": 0.5}}"#) throws -> RuntimeBench {
        let bench = try RuntimeBench(
            settings: """
                {"model": "house/m", "memory": {"enabled": false}, "limits": \(limits),
                 "providers": {"house": {"type": "openai", "base_url": "\(url)/v1"}},
                 "prices": {"house/m": {"input": 100, "output": 200}}\(more)}
                """)
        try bench.services.accounts.create(user)
        return bench
    }

    private let chat: JSON = ["kind": "chat", "user_id": "alice", "message": "hello"]

    private func outcome(of id: JobID, _ bench: RuntimeBench) throws -> JobOutcome {
        let name = try #require(try bench.services.spool.names(in: .queued).first { $0.id == id })
        guard case .claimed(let claim) = try bench.services.spool.claim(name) else { throw SpoolError(.state, "not claimed") }
        let outcome = bench.services.makeRouter().run(
            claim.job, record: claim.record, cancellation: CancellationFlag())
        try claim.release("test")
        return outcome
    }

    private func submit(_ bench: RuntimeBench, _ json: JSON? = nil) throws -> JobID {
        try bench.services.client.submit(try JobRequest.parse(json ?? chat, now: Date()), source: .cli).id
    }

    @Test("a job that finds the rest reserved waits, alone and without an attempt, and runs when the rest is free")
    func waits() throws {
        let server = try LoopbackHTTPServer { _ in Self.answer("Hello.") }
        defer { server.stop() }
        let bench = try bench(server.url)
        let other = try RuntimeBench.sharing(bench)
        let much = UsageTotal(tokens: 10, cost: 0.4)
        #expect(try other.budgets.reserve(much, job: "elsewhere", user: user, model: "house/m") == nil)
        let id = try submit(bench)
        guard case .postponed(let failure, let seconds) = try outcome(of: id, bench) else {
            Issue.record("it did not wait")
            return
        }
        #expect(failure.code == "budget_busy" && seconds == 1)
        #expect(server.requests.isEmpty)
        try other.budgets.ended("elsewhere", user: user, used: UsageTotal())
        #expect(try bench.run(id).state == .completed)
        #expect(server.requests.count == 1)
        #expect(try other.budgets.summary(of: user)["cost_this_month"] == 0.14)
    }

    @Test("a budget that runs out between two calls of a turn ends the job with its code; what was used is recorded")
    func runsOut() throws {
        let server = try LoopbackHTTPServer { _ in Self.answer("Looking.", prompt: 4_000, completion: 1_000, calls: Self.looksAround) }
        defer { server.stop() }
        let bench = try bench(server.url)
        let record = try bench.run(chat)
        #expect(record.state == .failed && record.error?.code == "budget_cost")
        #expect(server.requests.count == 1)
        #expect(record.usage?["cost_usd"]?.double == 0.6)
        #expect(try bench.services.budgets.summary(of: user)["cost_this_month"] == 0.6)
    }

    @Test("a fallback model that the plan does not have is not asked")
    func fallbacks() throws {
        let server = try LoopbackHTTPServer { request in
            request.text.contains("\"model\":\"m\"")
                ? .json(#"{"error":{"message":"no","code":"insufficient_quota"}}"#, status: 429) : Self.answer("Dear.")
        }
        defer { server.stop() }
        let plan = #", "fallback_models": ["house/dear"], "plans": {"free": {"models": ["house/m"]}}"#
        let bench = try bench(server.url, more: plan, limits: "{}")
        #expect(try bench.run(chat).state == .completed)
        try bench.services.budgets.setPlan("free", of: user)
        let record = try bench.run(chat)
        #expect(record.state == .failed && record.error?.code == "quota")
        #expect(server.requests.filter { $0.text.contains("\"model\":\"dear\"") }.count == 1)
    }

    @Test("no model, no tokens: offline turns count against no budget, and reserve nothing")
    func offline() throws {
        let bench = try RuntimeBench(
            settings: #"{"limits": {"user": {"tokens_per_day": 6000, "cost_per_month": 0.01}, "service": {"tokens_per_day": 6000}}}"#)
        try bench.services.accounts.create(user)
        for _ in 0..<8 {
            let record = try bench.run(chat)
            #expect(record.state == .completed)
            #expect(record.usage?["total_tokens"] == 0)
        }
        #expect(try bench.services.budgets.summary(of: user)["tokens_today"] == 0)
        #expect(try bench.services.budgets.serviceSummary()?["tokens_today"] == 0)
        #expect(try bench.services.workspaces.open(user).usage().entries.count == 8)
    }

    @Test("a count that no request can hold does not use up a user's day")
    func absurdCount() throws {
        let server = try LoopbackHTTPServer { _ in Self.answer("Hello.", prompt: 1_000_000_000_000, completion: 900_000_000_000) }
        defer { server.stop() }
        let bench = try bench(server.url, limits: #"{"user": {"tokens_per_day": 500000}}"#)
        for _ in 0..<2 { #expect(try bench.run(chat).state == .completed) }
        let tokens = try #require(try bench.services.budgets.summary(of: user)["tokens_today"]?.int)
        #expect((1_000..<250_000).contains(tokens))
    }

    @Test("background work waits for a busy budget like a chat", arguments: ["heartbeat", "report"])
    func background(kind: String) throws {
        let server = try LoopbackHTTPServer { _ in Self.answer("Done.") }
        defer { server.stop() }
        let bench = try bench(server.url)
        let other = try RuntimeBench.sharing(bench)
        let most = UsageTotal(tokens: 10, cost: 0.4)
        #expect(try other.budgets.reserve(most, job: "elsewhere", user: user, model: "house/m") == nil)
        try bench.services.workspaces.open(user).writeText("HEARTBEAT.md", "- look at prices\n")
        let id = try submit(bench, ["kind": .string(kind), "user_id": "alice", "max_attempts": 1])
        guard case .postponed = try outcome(of: id, bench) else {
            Issue.record("it did not wait")
            return
        }
        #expect(server.requests.isEmpty)
    }
}

extension RuntimeBench {
    /// The services of another process of the same home.
    static func sharing(_ bench: RuntimeBench) throws -> NanobotServices {
        try NanobotServices.open(
            home: NanobotHome(path: bench.folder.path), environment: [:], logger: bench.services.logger)
    }
}
