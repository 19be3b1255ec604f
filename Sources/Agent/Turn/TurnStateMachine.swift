// Decides what a turn does next: events in, actions out. Knows no clock, no disk, no network; AgentLoop carries out
// what it says and reports back. One turn's thread owns it. It never throws: an event that does not fit the state ends the
// turn with `internal_state`, because going on would mean guessing what has been done.
//
//     ready ──started──▶ callingModel ──answer with calls──▶ runningTools ──all results──▶ callingModel …
//                             │ text: finished     empty or cut: callingModel again, each a bounded number of times
//     any state but finished ──stopRequested──▶ finished, every tool call answered
//
// Model calls of one turn are therefore bounded by toolRounds + 1 + emptyRetries + 1 + lengthRecoveries.
import Foundation
import Providers

/// A call of the model that is due.
struct ModelCall: Sendable, Hashable {
    /// Counts the answers of the turn from 0: the answer's key in the journal.
    var step: Int
    var mayUseTools: Bool
    /// How often the context budget is to be halved.
    var squeeze: Int
}

/// A call of a tool that is due, in the form the history shows it.
struct PlannedCall: Sendable, Hashable {
    var step: Int
    var index: Int
    var call: ToolCall
    /// Why it must not run; the text the model gets instead of a result.
    var refusal: String?

    /// Unique within the job and the same in every run of it.
    var key: String { "\(step):\(index)" }
}

struct TurnStateMachine: Sendable {
    enum State: Sendable, Hashable {
        case ready
        case callingModel(ModelCall)
        /// One entry per call, nil while its result is outstanding.
        case runningTools([PlannedCall], results: [String?])
        case finished
    }

    enum Event: Sendable {
        case started
        /// - at: when the answer was recorded, the same in every run.
        case responded(ChatResponse, at: Date)
        case failed(ProviderError)
        case toolFinished(index: Int, result: String)
        case stopRequested(TurnStop)
    }

    enum Action: Sendable {
        case callModel(ModelCall)
        case runTools([PlannedCall])
        /// Results are outstanding: go on with the round.
        case wait
        case finish(String)
        case stop(TurnStop)
        case fail(AgentError)
    }

    /// A message of this turn after the user's.
    struct Item: Sendable, Hashable {
        var message: ChatMessage
        var time: Date
        /// False for what only this turn's model needs to see: retries, continuations, partial answers.
        var isLasting: Bool
    }

    let limits: TurnLimits
    let toolNames: Set<String>
    let texts: HouseTexts

    private(set) var state = State.ready
    private(set) var items: [Item] = []
    private(set) var usage = TokenUsage.zero
    /// Answers so far.
    private(set) var steps = 0
    /// The model of the last answer.
    private(set) var model: String?
    /// Of the turn's answer.
    private(set) var finishReason = FinishReason.stop

    var repetitions = RepeatGuard()
    var usedCallIDs: Set<String> = []
    private var rounds = 0
    private var emptyAnswers = 0
    /// Answers whose calls all lack a name.
    private var namelessAnswers = 0
    private var squeezes = 0
    /// Beginnings of an answer that was cut at the output limit.
    private var parts: [String] = []
    private var hasLostTools = false
    private var isFinalising = false

    init(limits: TurnLimits, toolNames: Set<String>, texts: HouseTexts) {
        self.limits = limits
        self.toolNames = toolNames
        self.texts = texts
        hasLostTools = limits.toolRounds == 0
    }

    /// What follows the user's message in the next request.
    var transcript: [ChatMessage] { items.map(\.message) }

    /// The beginning of an answer whose continuation is due; empty when there is none.
    var beginning: String { items.last.map { !$0.isLasting } == true ? parts.joined() : "" }

    mutating func handle(_ event: Event) -> Action {
        switch (state, event) {
        case (.finished, _):
            return unexpected(event)
        case (_, .stopRequested(let reason)):
            return stop(reason)
        case (.ready, .started):
            return callModel()
        case (.callingModel(let call), .responded(let response, let time)):
            return received(response, at: time, in: call)
        case (.callingModel, .failed(let error)):
            return modelFailed(error)
        case (.runningTools(let calls, let results), .toolFinished(let index, let result)):
            return toolFinished(index, result, calls, results)
        default:
            return unexpected(event)
        }
    }

    // MARK: - The model's answers

    private mutating func callModel() -> Action {
        let call = ModelCall(step: steps, mayUseTools: !hasLostTools && !isFinalising, squeeze: squeezes)
        state = .callingModel(call)
        return .callModel(call)
    }

    private mutating func received(_ response: ChatResponse, at time: Date, in call: ModelCall) -> Action {
        usage += response.usage
        steps += 1
        model = response.model
        if call.mayUseTools, !response.message.toolCalls.isEmpty {
            if response.message.toolCalls.allSatisfy({ $0.name.allSatisfy(\.isWhitespace) }) {
                namelessAnswers += 1
                // The model was told once that its calls have no name. It would be told again and again.
                if namelessAnswers > 1 { return finishNameless(response, at: time) }
            }
            return beginRound(response, at: time, step: call.step)
        }
        let text = response.message.content
        if text.allSatisfy(\.isWhitespace) { return receivedNothing(response, at: time) }
        if response.finishReason == .length, parts.count < limits.lengthRecoveries {
            parts.append(text)
            append(.assistant(text), at: time, isLasting: false)
            append(.user(texts.continueAnswer), at: time, isLasting: false)
            return callModel()
        }
        let whole = parts.joined() + text
        switch response.finishReason {
        case .contentFilter: return finish(whole + "\n\n" + texts.brokenOff, .contentFilter, at: time)
        // The next call would be longer still: it could not go on where this one ended.
        case .contextWindow: return finish(whole + "\n\n" + texts.windowFull, .length, at: time)
        case .length: return finish(whole, .length, at: time)
        case .stop, .toolCalls, .other: return finish(whole, at: time)
        }
    }

    private mutating func receivedNothing(_ response: ChatResponse, at time: Date) -> Action {
        // What was cut and could not be continued is still the best answer there is.
        if !parts.isEmpty { return finish(parts.joined(), .length, at: time) }
        if response.finishReason == .contentFilter { return finish(texts.filteredAnswer, .contentFilter, at: time) }
        if response.finishReason == .contextWindow, squeezes < limits.contextSqueezes {
            squeezes += 1
            return callModel()
        }
        if isFinalising { return finish(texts.emptyAnswer, at: time) }
        // A model that only reasoned is asked for its answer once: it would reason as long again.
        emptyAnswers += response.message.reasoning == nil ? 1 : limits.emptyRetries + 1
        if emptyAnswers > limits.emptyRetries {
            guard limits.asksForFinalAnswer else { return finish(texts.emptyAnswer, .other, at: time) }
            isFinalising = true
            append(.user(texts.finalisation), at: time, isLasting: false)
        }
        return callModel()
    }

    private mutating func finishNameless(_ response: ChatResponse, at time: Date) -> Action {
        let text = parts.joined() + response.message.content
        return finish(text.allSatisfy(\.isWhitespace) ? texts.emptyAnswer : text, at: time)
    }

    private mutating func finish(_ text: String, _ reason: FinishReason = .stop, at time: Date) -> Action {
        append(.assistant(text), at: time, isLasting: true)
        finishReason = reason
        state = .finished
        return .finish(text)
    }

    private mutating func modelFailed(_ error: ProviderError) -> Action {
        if error.code == .cancelled { return stop(.cancelled) }
        if error.code == .contextLength, squeezes < limits.contextSqueezes {
            squeezes += 1
            return callModel()
        }
        state = .finished
        return .fail(AgentError(error))
    }

    // MARK: - Rounds of tool calls

    private mutating func beginRound(_ response: ChatResponse, at time: Date, step: Int) -> Action {
        rounds += 1
        let wasCut = response.finishReason == .length
        let calls = plan(response.message.toolCalls, step: step, wasCut: wasCut)
        var message = response.message
        message.toolCalls = calls.map(\.call)
        append(message, at: time, isLasting: true)
        state = .runningTools(calls, results: Array(repeating: nil, count: calls.count))
        return .runTools(calls)
    }

    private mutating func toolFinished(
        _ index: Int, _ result: String, _ calls: [PlannedCall], _ results: [String?]
    ) -> Action {
        guard results.indices.contains(index), results[index] == nil else {
            return unexpected(.toolFinished(index: index, result: result))
        }
        var results = results
        results[index] = result
        guard results.allSatisfy({ $0 != nil }) else {
            state = .runningTools(calls, results: results)
            return .wait
        }
        let time = answer(calls, results, missing: "")
        if !hasLostTools, rounds >= limits.toolRounds {
            hasLostTools = true
            append(.user(texts.toolsUsedUp), at: time, isLasting: false)
        }
        return callModel()
    }

    /// Gives every call of the round its result, in the order of the calls.
    /// - Returns: the time of the round, which is the answer's: results are as old as the record of their call, in
    ///   every run.
    @discardableResult
    private mutating func answer(_ calls: [PlannedCall], _ results: [String?], missing: String) -> Date {
        let time = items.last?.time ?? Date(timeIntervalSince1970: 0)
        for (planned, result) in zip(calls, results) {
            let message = ChatMessage.tool(result ?? missing, callID: planned.call.id, name: planned.call.name)
            append(message, at: time, isLasting: true)
        }
        return time
    }

    // MARK: - Other ends

    private mutating func stop(_ reason: TurnStop) -> Action {
        if case .runningTools(let calls, let results) = state { answer(calls, results, missing: reason.toolResult) }
        state = .finished
        return .stop(reason)
    }

    private mutating func unexpected(_ event: Event) -> Action {
        let error = AgentError(
            code: "internal_state", detail: "the turn got \(event.name) while \(state.name); please report this",
            isRetryable: false)
        state = .finished
        return .fail(error)
    }

    private mutating func append(_ message: ChatMessage, at time: Date, isLasting: Bool) {
        items.append(Item(message: message, time: time, isLasting: isLasting))
    }
}

extension TurnStateMachine.State {
    var name: String {
        switch self {
        case .ready: "ready"
        case .callingModel: "calling the model"
        case .runningTools: "running tools"
        case .finished: "finished"
        }
    }
}

extension TurnStateMachine.Event {
    var name: String {
        switch self {
        case .started: "started"
        case .responded: "an answer"
        case .failed: "a provider's error"
        case .toolFinished: "a tool's result"
        case .stopRequested: "a stop"
        }
    }
}
