// The turn's decisions as transition tables, without a model, a disk or a clock.
import Foundation
import Providers
import Testing

@testable import Agent

@Suite("Turn state machine")
struct TurnStateMachineTests {
    static func machine(_ limits: TurnLimits = TurnLimits(), words: String = "hello") -> TurnStateMachine {
        TurnStateMachine(
            limits: limits, toolNames: ["quotes", "read_file"],
            texts: HouseTexts(language: "zh", userMessage: words, kind: .chat))
    }

    static func answer(
        _ text: String, _ reason: FinishReason = .stop, calls: [ToolCall] = []
    ) -> TurnStateMachine.Event {
        .responded(
            ChatResponse(
                message: .assistant(text, toolCalls: calls), finishReason: reason,
                usage: TokenUsage(promptTokens: 3, completionTokens: 2), model: "m"),
            at: AgentHouse.noon)
    }

    /// An answer that holds reasoning and nothing else.
    static let reasoned: TurnStateMachine.Event = .responded(
        ChatResponse(
            message: ChatMessage(role: .assistant, content: "", reasoning: "hm"), finishReason: .stop, usage: .zero, model: "m"),
        at: AgentHouse.noon)

    static func call(_ number: Int, name: String = "quotes") -> ToolCall {
        ToolCall(id: "c\(number)", name: name, arguments: "{\"symbols\":[\"S\(number)\"]}")
    }

    /// What an action is, in a word.
    static func word(_ action: TurnStateMachine.Action) -> String {
        switch action {
        case .callModel(let call): "call \(call.step)\(call.mayUseTools ? "" : " no tools")"
        case .runTools(let calls): "run " + calls.map { $0.refusal == nil ? "+" : "-" }.joined()
        case .wait: "wait"
        case .finish(let text): "finish \(text)"
        case .stop(let reason): "stop \(reason.rawValue)"
        case .fail(let error): "fail \(error.code)"
        }
    }

    static let table: [(events: [TurnStateMachine.Event], actions: [String])] = [
        ([.started, answer("hi")], ["call 0", "finish hi"]),
        (
            [.started, answer("", calls: [call(1), call(2)]), .toolFinished(index: 1, result: "b"),
             .toolFinished(index: 0, result: "a"), answer("done")],
            ["call 0", "run ++", "wait", "call 1", "finish done"]
        ),
        (
            [.started, answer("ab", .length), answer("cd", .length), answer("ef")],
            ["call 0", "call 1", "call 2", "finish abcdef"]
        ),
        (
            [.started, answer("1", .length), answer("2", .length), answer("3", .length), answer("4", .length)],
            ["call 0", "call 1", "call 2", "call 3", "finish 1234"]
        ),
        ([.started, answer("cut", .length), answer(" ")], ["call 0", "call 1", "finish cut"]),
        // A full window is not continued: the next call would be longer still.
        (
            [.started, answer("ab", .contextWindow)],
            ["call 0", "finish ab\n\n" + HouseTexts(language: "en", userMessage: "hello", kind: .chat).windowFull]
        ),
        ([.started, answer("", .contextWindow), answer("short")], ["call 0", "call 1", "finish short"]),
        (
            [.started, answer("ab", .contentFilter)],
            ["call 0", "finish ab\n\n" + HouseTexts(language: "en", userMessage: "hello", kind: .chat).brokenOff]
        ),
        // A model that ends inside its reasoning is asked for its answer once.
        ([.started, reasoned, answer("late")], ["call 0", "call 1 no tools", "finish late"]),
        (
            [.started, answer(""), answer(" \n"), answer(""), answer("late")],
            ["call 0", "call 1", "call 2", "call 3 no tools", "finish late"]
        ),
        // A call without a name is told to the model once.
        (
            [.started, answer("", calls: [call(1, name: " ")]), .toolFinished(index: 0, result: "no name"),
             answer("half", calls: [call(2, name: "")])],
            ["call 0", "run -", "call 1", "finish half"]
        ),
        (
            [.started, answer("", calls: [call(1, name: "")]), .toolFinished(index: 0, result: "no name"),
             answer("", calls: [call(2)]), .toolFinished(index: 0, result: "b"), answer("done")],
            ["call 0", "run -", "call 1", "run +", "call 2", "finish done"]
        ),
        ([.started, .failed(ProviderError(code: .quota, detail: "no credit"))], ["call 0", "fail quota"]),
        ([.started, .failed(ProviderError(code: .cancelled, detail: ""))], ["call 0", "stop cancelled"]),
        (
            [.started] + Array(repeating: .failed(ProviderError(code: .contextLength, detail: "long")), count: 3),
            ["call 0", "call 0", "call 0", "fail context_length"]
        ),
        ([.stopRequested(.drain)], ["stop drain"]),
        ([.started, .stopRequested(.timeout), .started], ["call 0", "stop timeout", "fail internal_state"]),
        ([answer("too early")], ["fail internal_state"]),
        (
            [.started, answer("", calls: [call(1)]), .toolFinished(index: 7, result: "")],
            ["call 0", "run +", "fail internal_state"]
        ),
    ]

    @Test("Each sequence of events gives its actions", arguments: table.indices)
    func transitions(index: Int) {
        var machine = Self.machine()
        let row = Self.table[index]
        #expect(row.events.map { Self.word(machine.handle($0)) } == row.actions)
    }

    @Test("A context found too long is asked for at half the size, twice")
    func squeezes() {
        var machine = Self.machine()
        var squeezes: [Int] = []
        var action = machine.handle(.started)
        while case .callModel(let call) = action {
            squeezes.append(call.squeeze)
            action = machine.handle(.failed(ProviderError(code: .contextLength, detail: "")))
        }
        #expect(squeezes == [0, 1, 2])
    }

    @Test("Twenty rounds of tools, then one last call without them")
    func rounds() {
        var machine = Self.machine()
        var calls: [ModelCall] = []
        var action = machine.handle(.started)
        for number in 0..<100 {
            guard case .callModel(let call) = action else { break }
            calls.append(call)
            action = machine.handle(Self.answer("I keep calling", calls: [Self.call(number)]))
            if case .runTools = action { action = machine.handle(.toolFinished(index: 0, result: "r")) }
        }
        #expect(calls.count == 21)
        #expect(calls.map(\.mayUseTools) == Array(repeating: true, count: 20) + [false])
        #expect(Self.word(action) == "finish I keep calling")
        #expect(machine.usage.promptTokens == 63)
    }

    @Test("The third identical call is refused, whatever the order of its arguments")
    func repetition() throws {
        var machine = Self.machine()
        _ = machine.handle(.started)
        let texts = ["{\"a\":1,\"b\":[2]}", "{ \"b\":[2], \"a\":1 }", "{\"b\":[2],\"a\":1}", "{\"b\":[3],\"a\":1}"]
        let calls = texts.enumerated().map { ToolCall(id: "c\($0)", name: "quotes", arguments: $1) }
        guard case .runTools(let planned) = machine.handle(Self.answer("", calls: calls)) else {
            Issue.record("no tools were run")
            return
        }
        #expect(planned.map { $0.refusal == nil } == [true, true, false, true])
        #expect(try #require(planned[2].refusal).contains("repeated_call"))
    }

    @Test(
        "Calls that cannot run are answered and keep a form providers take back",
        arguments: [
            (ToolCall(id: "", name: "nothing", arguments: "{}"), "unknown_tool"),
            (ToolCall(id: "", name: "qu otes!", arguments: "{}"), "unknown_tool"),
            (ToolCall(id: "", name: "", arguments: "{}"), "unknown_tool"),
            (ToolCall(id: "", name: "quotes", arguments: "{\"symbols\":[\"A"), "invalid_arguments"),
            (ToolCall(id: "", name: "quotes", arguments: "[1]"), "invalid_arguments"),
        ])
    func refused(call: ToolCall, code: String) throws {
        var machine = Self.machine()
        _ = machine.handle(.started)
        guard case .runTools(let planned) = machine.handle(Self.answer("", calls: [call])) else {
            Issue.record("no tools were run")
            return
        }
        #expect(try #require(planned[0].refusal).contains("\"\(code)\""))
        let kept = planned[0].call
        #expect(!kept.id.isEmpty && kept.parsedArguments != nil)
        #expect(kept.name.wholeMatch(of: /[A-Za-z0-9_-]{1,64}/) != nil)
    }

    @Test("Ids that repeat are made unique, and calls beyond the bound are refused")
    func ids() {
        var limits = TurnLimits()
        limits.callsPerRound = 3
        var machine = Self.machine(limits)
        _ = machine.handle(.started)
        let calls = (0..<5).map { ToolCall(id: "same", name: "quotes", arguments: "{\"n\":\($0)}") }
        guard case .runTools(let planned) = machine.handle(Self.answer("", calls: calls)) else {
            Issue.record("no round of tools")
            return
        }
        #expect(Set(planned.map(\.call.id)).count == 5)
        #expect(planned.map { $0.refusal == nil } == [true, true, true, false, false])
        #expect(planned.map(\.key) == ["0:0", "0:1", "0:2", "0:3", "0:4"])
    }

    @Test("A stop while tools run leaves no call without a result", arguments: 0...3)
    func stopped(done: Int) {
        var machine = Self.machine()
        _ = machine.handle(.started)
        _ = machine.handle(Self.answer("", calls: (0..<4).map { Self.call($0) }))
        for index in 0..<done { _ = machine.handle(.toolFinished(index: index, result: "r\(index)")) }
        #expect(Self.word(machine.handle(.stopRequested(.cancelled))) == "stop cancelled")
        let results = machine.transcript.filter { $0.role == .tool }
        #expect(results.map(\.toolCallID) == ["c0", "c1", "c2", "c3"])
        #expect(results.filter { $0.content.contains("cancelled") }.count == 4 - done)
    }

    @Test("A model that says nothing at all ends in an honest sentence of the user's language")
    func fallback() {
        for (words, expected) in [("hello", "Sorry"), ("今天如何", "抱歉")] {
            var machine = Self.machine(words: words)
            var action = machine.handle(.started)
            var calls = 0
            while case .callModel = action {
                calls += 1
                action = machine.handle(Self.answer(""))
            }
            #expect(calls == 4)
            #expect(Self.word(action).hasPrefix("finish \(expected)"))
        }
        var filtered = Self.machine()
        _ = filtered.handle(.started)
        #expect(Self.word(filtered.handle(Self.answer("", .contentFilter))).contains("content filter"))
    }

    @Test("A model that only reasons is asked twice in all, then the user is told")
    func onlyReasoning() {
        var machine = Self.machine()
        #expect(Self.word(machine.handle(.started)) == "call 0")
        #expect(Self.word(machine.handle(Self.reasoned)) == "call 1 no tools")
        #expect(Self.word(machine.handle(Self.reasoned)).hasPrefix("finish Sorry"))
    }

    @Test(
        "An answer that is cut says why",
        arguments: [(FinishReason.contentFilter, FinishReason.contentFilter), (.contextWindow, .length), (.stop, .stop)])
    func reasons(given: FinishReason, kept: FinishReason) {
        var machine = Self.machine()
        _ = machine.handle(.started)
        _ = machine.handle(Self.answer("text", given))
        #expect(machine.finishReason == kept)
    }

    @Test("What only helped the model to answer does not last")
    func lasting() {
        var machine = Self.machine()
        for event in [.started, Self.answer("ab", .length), Self.answer("cd")] as [TurnStateMachine.Event] {
            _ = machine.handle(event)
        }
        #expect(machine.items.filter(\.isLasting).map(\.message) == [.assistant("abcd")])
        #expect(machine.items.count == 3)
    }
}
