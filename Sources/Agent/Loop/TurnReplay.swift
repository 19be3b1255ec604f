// A turn again, from its journal: the same decisions on the recorded answers and results, without a model, a tool, a disk
// or a session. For finding out why a turn did what it did, and whether today's code would do the same. Pure.
import Foundation
import Providers
import TextFormats

public struct TurnReplay: Sendable {
    /// One answer of the model, and what came of its calls.
    public struct Step: Sendable, Hashable {
        public var number: Int
        public var at: Date
        public var model: String
        public var text: String
        public var calls: [Call]
        public var usage: TokenUsage
    }

    public struct Call: Sendable, Hashable {
        public var name: String
        public var arguments: String
        /// nil: the journal has none.
        public var result: String?
        /// Why today's code would not run it.
        public var refusal: String?
    }

    public private(set) var steps: [Step] = []
    /// How it ends: with an answer, or where and why the journal does not go on.
    public private(set) var end = ""
    /// The answer, if the turn came to one.
    public private(set) var answer: String?
    /// Where today's code and the journal part.
    public private(set) var divergences: [String] = []

    /// - Parameters:
    ///   - journal: only asked, never written to.
    ///   - tools: what a turn of that kind may call today.
    public init(
        journal: any RunJournal, kind: TurnKind, tools: ToolRegistry, language: String, userMessage: String,
        limits: TurnLimits = TurnLimits()
    ) {
        var machine = TurnStateMachine(
            limits: limits, toolNames: tools.names(for: kind).union(Self.serverTools(in: journal)),
            texts: HouseTexts(language: language, userMessage: userMessage, kind: kind))
        var action = machine.handle(.started)
        while true {
            switch action {
            case .callModel(let call):
                guard let (response, at) = Self.answer(journal, call.step) else {
                    end = "the journal has no answer \(call.step): there the turn would ask the model"
                    return
                }
                steps.append(
                    Step(
                        number: call.step, at: at, model: response.model, text: response.message.content, calls: [],
                        usage: response.usage))
                action = machine.handle(.responded(response, at: at))
            case .runTools(let calls):
                guard let next = take(calls, journal, &machine) else { return }
                action = next
            case .finish(let text):
                answer = text
                end = "the turn ends with its answer"
                return
            case .stop(let reason):
                end = "the turn stops: \(reason.rawValue)"
                return
            case .fail(let error):
                end = "the turn fails: \(error)"
                return
            case .wait:
                end = "the turn waits for nothing"
                return
            }
        }
    }

    /// The servers' tools that ran then: which there are today the servers would have to be asked.
    private static func serverTools(in journal: any RunJournal) -> Set<String> {
        var names: Set<String> = []
        var step = 0
        while let (response, _) = answer(journal, step) {
            for (index, call) in response.message.toolCalls.enumerated() where call.name.hasPrefix("mcp_") {
                if case .result = journal.toolState(callKey: "\(step):\(index)") { names.insert(call.name) }
            }
            step += 1
        }
        return names
    }

    private static func answer(_ journal: any RunJournal, _ step: Int) -> (ChatResponse, Date)? {
        guard let recorded = journal.modelResponse(step: step),
            let response = recorded["response"].flatMap(ChatResponse.init(json:)),
            let at = (recorded["at"]?.string).flatMap(RFC3339.date)
        else { return nil }
        return (response, at)
    }

    /// - Returns: nil where the journal ends.
    private mutating func take(
        _ calls: [PlannedCall], _ journal: any RunJournal, _ machine: inout TurnStateMachine
    ) -> TurnStateMachine.Action? {
        var action = TurnStateMachine.Action.wait
        for planned in calls {
            var call = Call(name: planned.call.name, arguments: planned.call.arguments, refusal: planned.refusal)
            if case .result(let text) = journal.toolState(callKey: planned.key) { call.result = text }
            steps[steps.count - 1].calls.append(call)
            if let refusal = planned.refusal, call.result != nil {
                divergences.append("step \(planned.step): \(planned.call.name) ran then, and would be refused today: \(refusal)")
            }
            guard let result = call.result ?? planned.refusal else {
                end = "the journal has no result of \(planned.call.name) in step \(planned.step): there the turn would run it"
                return nil
            }
            action = machine.handle(.toolFinished(index: planned.index, result: result))
        }
        return action
    }
}
