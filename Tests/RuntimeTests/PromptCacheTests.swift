// How much of a long conversation's input a vendor's prompt cache can give back, by the vendors' documented rules: 100 turns
// through the real handlers, on both wires, with consolidation. `Benchmarks/cache_figures.py` measures the same on a built server.

import Accounts
import Agent
import Foundation
import Jobs
import ModelTestSupport
import Providers
import Spool
import Synchronization
import Tenants
import Testing
import TextFormats

@testable import Runtime

@Suite("Prompt caches") struct PromptCacheTests {
    private static let turns = 100

    /// So many words, others for each number.
    private static func words(_ count: Int, _ number: Int) -> String {
        let stock = ["market", "rates", "chips", "index", "bonds", "growth", "yield", "sector", "demand", "margin", "supply"]
        return (0..<count).map { stock[($0 * 7 + number * 3 + $0 * $0) % stock.count] }.joined(separator: " ")
    }

    private static func question(_ turn: Int) -> String { "Turn \(turn): " + words(98, turn) }

    /// What the model says to a request: a call in every third turn, then an answer; a summary where it is asked for one.
    private static func reply(to messages: String, isToolResult: Bool) -> (text: String, isCall: Bool) {
        let turn = messages.matches(of: #/Turn (\d+): /#).last.flatMap { Int($0.1) } ?? 0
        if messages.contains("Answer with exactly two parts") {
            return ("SUMMARY\nThe talk up to number \(turn). " + words(70, turn) + "\n\nFACTS\n- none", false)
        }
        return turn % 3 == 0 && !isToolResult ? ("", true) : (words(300, turn), false)
    }

    private enum Wire: String, CaseIterable, Sendable { case openai, anthropic }

    private static func answer(_ body: JSON, _ wire: Wire) -> ScriptedAnswer {
        let messages = body["messages"]?.array ?? []
        let last = messages.last ?? .null
        let isResult = last["role"] == "tool" || last["content"]?.array?.last?["type"] == "tool_result"
        let reply = Self.reply(to: JSON.array(messages).text(), isToolResult: isResult)
        let id = JSON.string("call_\(messages.count)")
        let whole: JSON
        switch wire {
        case .openai:
            var message: JSONObject = ["role": "assistant", "content": .string(reply.text)]
            if reply.isCall {
                let function: JSON = ["name": "list_dir", "arguments": "{\"path\":\"memory\"}"]
                message["tool_calls"] = [["id": id, "type": "function", "function": function]]
            }
            let usage: JSON = ["prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15]
            let reason: JSON = reply.isCall ? "tool_calls" : "stop"
            whole = ["choices": [["message": .object(message), "finish_reason": reason]], "usage": usage]
        case .anthropic:
            let block: JSON =
                reply.isCall
                ? ["type": "tool_use", "id": id, "name": "list_dir", "input": ["path": "memory"]]
                : ["type": "text", "text": .string(reply.text)]
            whole = [
                "type": "message", "role": "assistant", "content": [block], "stop_reason": reply.isCall ? "tool_use" : "end_turn",
                "usage": ["input_tokens": 10, "output_tokens": 5],
            ]
        }
        return .json(whole.text())
    }

    /// Runs the script and gives each chat request with the number of its turn, in order.
    private static func run(_ wire: Wire) throws -> [(turn: Int, body: JSON)] {
        let server = try LoopbackHTTPServer { request in
            (try? JSON.parse(request.body)).map { Self.answer($0, wire) } ?? .json("{}", status: 400)
        }
        let bench = try RuntimeBench(
            settings: """
                {"model": "house/m", "providers": {"house": {"type": "\(wire.rawValue)", "base_url": "\(server.url)/v1"}}}
                """)
        try bench.services.accounts.create(try UserID("alice"))
        var bodies: [(turn: Int, body: JSON)] = []
        var seen = 0
        for turn in 1...turns {
            let job: JSON = ["kind": "chat", "user_id": "alice", "message": .string(question(turn))]
            #expect(try bench.run(job).state == .completed)
            bodies += try server.requests[seen...].map { (turn, try JSON.parse($0.body)) }
            // The background lane is at work between two turns.
            for name in try bench.services.spool.names(in: .queued) { _ = try bench.run(name.id) }
            seen = server.requests.count
        }
        return bodies
    }

    @Test("at least nine tenths of the input of turns 3 to 100 can be read from the cache", arguments: Wire.allCases)
    private func share(wire: Wire) throws {
        let requests = try Self.run(wire)
        #expect(requests.count == Self.turns + Self.turns / 3)
        for least in wire == .openai ? [1_024] : [1_024, 2_048] {
            var cache = SimulatedCache(least: least)
            var sum = SimulatedCache.Use()
            for (turn, body) in requests {
                let use = wire == .openai ? cache.openAI(body) : cache.anthropic(body)
                if turn >= 3 { sum += use }
            }
            let share = Double(sum.read) / Double(sum.input)
            #expect(share >= 0.9, "\(wire), from \(least) tokens on: \(sum.read) of \(sum.input) tokens, \(share)")
            if wire == .anthropic { #expect(Double(sum.written) <= 0.1 * Double(sum.input), "\(sum.written) written") }
        }
    }

    @Test("no turn is invisible: each is in the prompt as it was said, or in a summary that came when it left")
    func visible() throws {
        var isSummarised = false
        var before = ""
        for (turn, body) in try Self.run(.openai) {
            let text = body["messages"]?.text() ?? ""
            let oldest = text.matches(of: #/Turn (\d+): /#).compactMap { Int($0.1) }.min() ?? 0
            let oldestBefore = before.matches(of: #/Turn (\d+): /#).compactMap { Int($0.1) }.min() ?? oldest
            if oldest > oldestBefore {
                isSummarised = true
                #expect(text.contains("The talk up to number \(oldest - 1). "), "the summary of what has left")
            }
            #expect(oldest == 1 || text.contains("Earlier in this conversation"), "turn \(turn)")
            #expect(!text.contains("# Recent History"), "the summary is not told twice")
            before = text
        }
        #expect(isSummarised)
    }
}

/// What vendors document of their prompt caches, with four bytes for a token. Entries live as long as the test.
private struct SimulatedCache {
    struct Use {
        var input = 0
        var read = 0
        /// Tokens billed as written (Anthropic).
        var written = 0

        static func += (left: inout Use, right: Use) {
            left.input += right.input
            left.read += right.read
            left.written += right.written
        }
    }

    /// Tokens of the shortest prefix that is cached.
    let least: Int
    private var before: [[UInt8]] = []
    private var prefixes: Set<Int> = []

    init(least: Int) { self.least = least }

    /// OpenAI, "Prompt caching": the longest prefix of an earlier request, from 1,024 tokens on, in steps of 128.
    mutating func openAI(_ body: JSON) -> Use {
        let text = (body["tools"]?.text() ?? "") + (body["messages"]?.array ?? []).map { $0.text() }.joined(separator: "\n")
        let bytes = Array(text.utf8)
        let common = before.map { old in zip(old, bytes).prefix { $0 == $1 }.count }.max() ?? 0
        before = (before + [bytes]).suffix(4)
        let tokens = common / 4
        return Use(input: bytes.count / 4, read: tokens < least ? 0 : tokens / 128 * 128)
    }

    /// Anthropic, "Prompt caching": at most four marks; each writes the prefix that ends there, and finds the longest one written
    /// up to 20 blocks before.
    mutating func anthropic(_ body: JSON) -> Use {
        var blocks = body["tools"]?.array ?? []
        blocks += body["system"]?.array ?? []
        for message in body["messages"]?.array ?? [] {
            blocks += (message["content"]?.array ?? []).map { ["role": message["role"] ?? .null, "block": $0] }
        }
        var hasher = Hasher()
        var ends: [(hash: Int, tokens: Int)] = []
        var marks: [Int] = []
        var bytes = 0
        for (index, block) in blocks.enumerated() {
            let (plain, isMarked) = Self.unmarked(block)
            let text = plain.text()
            bytes += text.utf8.count
            hasher.combine(text)
            ends.append((hasher.finalize(), bytes / 4))
            if isMarked { marks.append(index) }
        }
        #expect(marks.count <= 4)
        var read = 0
        for mark in marks {
            let found = ends[max(0, mark - 20)...mark].last { prefixes.contains($0.hash) }
            read = max(read, found?.tokens ?? 0)
        }
        for mark in marks where ends[mark].tokens >= least { prefixes.insert(ends[mark].hash) }
        let marked = marks.last.map { ends[$0].tokens } ?? 0
        return Use(input: bytes / 4, read: read, written: max(0, marked - read))
    }

    private static func unmarked(_ block: JSON) -> (JSON, Bool) {
        guard var members = block.object else { return (block, false) }
        if let inner = members["block"] {
            let (plain, isMarked) = unmarked(inner)
            members["block"] = plain
            return (.object(members), isMarked)
        }
        let isMarked = members["cache_control"] != nil
        members["cache_control"] = Optional<JSON>.none
        return (.object(members), isMarked)
    }
}
