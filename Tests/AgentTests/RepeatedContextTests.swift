// The beginning of a request is the beginning of the next one: of the same turn, and of the turns that follow.
import DurableFiles
import Foundation
import HTTPTransport
import ModelTestSupport
import Providers
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Agent

@Suite("What requests repeat")
struct RepeatedContextTests {
    private let house: AgentHouse
    private let alice: UserID

    init() throws {
        house = try AgentHouse()
        alice = try house.addUser("alice", stocks: ["AAPL"])
    }

    private func run(_ turn: Turn) throws {
        _ = try house.loop.run(turn, journal: MemoryJournal(), events: SilentEvents(), cancellation: .init())
    }

    @Test("each request begins with all messages of the one before it, across tools and turns")
    func prefix() throws {
        let call = ToolCall(id: "c", name: "list_dir", arguments: #"{"path":"memory"}"#)
        let model = ScriptedProvider([
            .text("one"), .calls([call]), .text("two"), .text("three"),
        ])
        for turn in 0..<3 {
            var next = try house.turn(alice, "question \(turn)", model: model, job: "job-\(turn)")
            next.now = AgentHouse.noon.addingTimeInterval(Double(turn) * 600)
            try run(next)
        }
        let requests = model.requests.map(\.messages)
        #expect(requests.count == 4)
        for (before, after) in zip(requests, requests.dropFirst()) { #expect(after.starts(with: before)) }
        #expect(requests[3][1].content.contains("time: 2026-11-24T12:00:00.000Z"))
        let words = try house.store(alice).messages(.standard, limit: 9).filter { $0.message.role == .user }
        #expect(words.map(\.message.content) == ["question 0", "question 1", "question 2"], "the words are stored as they were said")
    }

    @Test("what no later request repeats stands behind the words, and is marked as such")
    func volatile() throws {
        let model = ScriptedProvider([.text("one"), .text("two")])
        var first = try house.turn(alice, "question", model: model, job: "job-1")
        first.clientInstructions = "Answer in verse."
        try run(first)
        try run(try house.turn(alice, "next", model: model, job: "job-2"))
        let asked = try #require(model.requests[0].messages.last)
        let stable = try #require(asked.stableBytes)
        let repeated = String(decoding: asked.content.utf8.prefix(stable), as: UTF8.self)
        #expect(asked.content.hasSuffix("Answer in verse.") && !repeated.contains("verse"))
        #expect(model.requests[1].messages[1].content == repeated)
    }

    @Test("a long watchlist is told once in a while, a changed one at once, and rules hear it each time")
    func watchlist() throws {
        let stocks = (0..<90).map { "STOCK\($0)" }
        let bob = try house.addUser("bob", stocks: stocks)
        let model = ScriptedProvider((0..<19).map { .text("\($0)") })
        for turn in 0..<19 {
            if turn == 5 { _ = try house.configs.updateWatchlist(bob, WatchlistChange(stocks: stocks + ["NEW"])) }
            try run(try house.turn(bob, "q\(turn)", model: model, job: "job-\(turn)"))
        }
        let told = model.requests.map { $0.messages.last?.content.contains("STOCK89") == true }
        #expect(told[0] && !told[1] && told[5] && !told[6] && !told[17] && told[18])
        #expect(told.filter { $0 }.count == 3)
        var rules = try house.turn(bob, "q", model: model, job: "job-99")
        rules.model.terms = []
        #expect(ContextBuilder.context(rules, after: model.requests[18].messages).contains("STOCK89"))
    }

    @Test("messages that had to go before a summary was there stay readable, and the prompt says where")
    func hidden() throws {
        let long = String(repeating: "many words of one answer. ", count: 60)
        let model = ScriptedProvider((0..<12).map { _ in .text(long) })
        for turn in 0..<12 {
            var next = try house.turn(alice, "question \(turn)", model: model, job: "job-\(turn)")
            next.model.window = ModelWindow(tokens: 8_192, source: .configured)
            try run(next)
        }
        let last = try #require(model.requests.last?.messages)
        #expect(!last.contains { $0.content.hasPrefix("question 0\n") })
        #expect(last[0].content.contains("sessions/default.jsonl") && last[0].content.contains("messages are not shown"))
        #expect(model.requests[1].messages[0].content.contains("not shown") == false)
        let found = try house.call("grep", #"{"pattern":"question 0","path":"sessions"}"#, as: alice)
        #expect(found.text().contains("question 0"))
    }
}

private final class SilentEvents: TurnEvents {
    func delta(_ text: String) {}
    func restart() {}
    func tool(name: String, phase: ToolPhase) {}
    func progress(_ percent: Int) {}
}
