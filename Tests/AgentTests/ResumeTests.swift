// A turn stopped after every record of its journal and taken up again: nothing is paid for twice, nothing is done
// twice, and the session ends up the same.
import DurableFiles
import Foundation
import HTTPTransport
import ModelTestSupport
import Providers
import Tenants
import Testing
import TextFormats

@testable import Agent

@Suite("Resuming a turn")
struct ResumeTests {
    static let script: [ScriptedProvider.Step] = [
        .calls([
            AgentLoopTests.call("c1", "write_file", "{\"path\":\"a.md\",\"content\":\"one\"}"),
            AgentLoopTests.call("c2", "edit_file", "{\"path\":\"a.md\",\"old_text\":\"one\",\"new_text\":\"one one\"}"),
        ]),
        .text(""),
        .calls([AgentLoopTests.call("c3", "read_file", "{\"path\":\"a.md\"}")], text: "looking"),
        .text("It says one one."),
    ]
    /// model, result, intent, result, model, model, result, model
    static let records = 8

    /// The outcome of a whole job: how it ended, how often the model was called, the file, the session's bytes.
    struct Outcome: Equatable {
        var text: String
        var usage: TokenUsage
        var calls: Int
        var file: String
        var session: String
    }

    /// Runs the job, in as many processes as it takes; each ends after `stop` records (the first only).
    static func run(stopAfter stop: Int, reason: TurnStop) throws -> Outcome {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let model = ScriptedProvider(script)
        let journal = MemoryJournal()
        journal.recordsLeft = stop
        var result: TurnResult?
        for _ in 0..<3 where result == nil {
            let token = CancellationToken()
            journal.onLimit = { token.cancel(reason: reason.rawValue) }
            do {
                result = try house.loop.run(
                    house.turn(alice, "what is in a.md?", model: model), journal: journal, events: MemoryEvents(),
                    cancellation: token)
            } catch let error as AgentError {
                #expect(["drained", "timeout"].contains(error.code), "\(error)")
                journal.recordsLeft = .max
            }
        }
        let done = try #require(result)
        let workspace = try house.workspaces.open(alice)
        let entries = try house.store(alice).messages(.standard, limit: 100)
        return Outcome(
            text: done.text, usage: done.usage, calls: model.requests.count,
            file: String(decoding: try workspace.directory.read("a.md"), as: UTF8.self),
            session: entries.map { $0.json.text() }.joined(separator: "\n"))
    }

    @Test("Stopped by a drain after any record, the job ends as if nothing had happened", arguments: 1...records)
    func drained(stop: Int) throws {
        let whole = try Self.run(stopAfter: .max, reason: .drain)
        #expect(whole.calls == 4)
        #expect(whole.file == "one one")
        #expect(try Self.run(stopAfter: stop, reason: .drain) == whole)
    }

    @Test("Stopped by its timeout after any record, the retried job ends the same", arguments: 1...records)
    func timedOut(stop: Int) throws {
        #expect(try Self.run(stopAfter: stop, reason: .timeout) == Self.run(stopAfter: .max, reason: .timeout))
    }

    @Test("A journal that fails before any record costs at most the call it could not keep", arguments: 0..<records)
    func journalFails(stop: Int) throws {
        // The step after a lost answer is asked anew, so the script has to say it again.
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let journal = MemoryJournal()
        journal.recordsLeft = stop
        journal.failsAtLimit = true
        let first = ScriptedProvider(Self.script)
        let error = #expect(throws: AgentError.self) {
            try house.loop.run(
                house.turn(alice, "go", model: first), journal: journal, events: MemoryEvents(),
                cancellation: CancellationToken())
        }
        #expect(error?.code == "journal" && error?.isRetryable == true)
        journal.recordsLeft = .max
        let second = ScriptedProvider(Array(Self.script.dropFirst(journal.responses.count)))
        let result = try house.loop.run(
            house.turn(alice, "go", model: second), journal: journal, events: MemoryEvents(),
            cancellation: CancellationToken())
        #expect(result.text == "It says one one.")
        #expect(second.stepsLeft == 0)
        #expect(try house.store(alice).messages(.standard, limit: 50).count == 7)
    }

    @Test("A call cut between intent and result is run again only if that is harmless")
    func cutCall() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let workspace = try house.workspaces.open(alice)
        try workspace.directory.write("a.md", Array("one".utf8))
        let journal = MemoryJournal()
        try journal.recordIntent(callKey: "0:0", name: "edit_file", arguments: "{}")
        try journal.recordIntent(callKey: "0:1", name: "write_file", arguments: "{}")
        let calls = [
            AgentLoopTests.call("e", "edit_file", "{\"path\":\"a.md\",\"old_text\":\"one\",\"new_text\":\"two\"}"),
            AgentLoopTests.call("w", "write_file", "{\"path\":\"b.md\",\"content\":\"b\"}"),
        ]
        let model = ScriptedProvider([.calls(calls), .text("done")])
        _ = try house.loop.run(
            house.turn(alice, "go", model: model), journal: journal, events: MemoryEvents(),
            cancellation: CancellationToken())
        #expect(try workspace.directory.read("a.md") == Array("one".utf8))
        #expect(workspace.directory.exists("b.md"))
        #expect(model.requests[1].messages.first { $0.toolCallID == "e" }?.content.contains("outcome_unknown") == true)
    }

    @Test("A crash after the session was written adds nothing to it")
    func afterSession() throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice")
        let model = ScriptedProvider(Self.script)
        let journal = MemoryJournal()
        let turn = try house.turn(alice, "go", model: model)
        var texts: [String] = []
        for _ in 0..<3 {
            texts.append(
                try house.loop.run(
                    turn, journal: journal, events: MemoryEvents(), cancellation: CancellationToken()
                ).text)
        }
        #expect(texts == Array(repeating: "It says one one.", count: 3))
        #expect(model.requests.count == 4)
        #expect(try house.store(alice).messages(.standard, limit: 50).count == 7)
    }
}
