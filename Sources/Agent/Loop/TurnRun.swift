// One turn on its thread: asks the state machine what is next, does it, tells it what came of it. The order of each
// step's durable acts is here: an answer is recorded before it is acted on, the intent of a call before it runs unless
// running it again is harmless, its result before the model sees it, the session before the turn is reported as done.
import DurableFiles
import Foundation
import HTTPTransport
import Logging
import Providers
import Tenants
import TextFormats

struct TurnRun {
    private let turn: Turn
    private let tools: ToolRegistry
    private let services: AgentServices
    private let journal: any RunJournal
    private let events: any TurnEvents
    private let cancellation: CancellationToken
    private let budget: (any TurnBudget)?
    private let logger: Logger
    private var record: TurnRecord

    private let prompt: TurnPrompt
    private var machine: TurnStateMachine
    private var quotes = TurnQuotes()
    private var percent = 0
    /// The text of this run's model calls, as it was told to those who watch.
    private var told = ""
    /// The streamed text of an answer that was cut short.
    private var unfinished = ""
    /// When the step is over whose model call has failed.
    private var stepEnd: Date?

    /// Seconds until a failed job is tried again, at the most: a step with less left has failed for good.
    private static let shortestRetry = 2.0

    /// When the first request of a step was made. Used by the turn's thread alone.
    private final class StepStart {
        var date: Date?
        init(_ date: Date?) { self.date = date }
    }

    init(
        turn: Turn, tools: ToolRegistry, services: AgentServices, journal: any RunJournal, events: any TurnEvents,
        cancellation: CancellationToken, budget: (any TurnBudget)?, logger: Logger
    ) throws(AgentError) {
        self.turn = turn
        self.tools = tools
        self.services = services
        self.journal = journal
        self.events = events
        self.cancellation = cancellation
        self.budget = budget
        self.logger = logger
        record = TurnRecord(turn: turn)
        let replay = try record.replay()
        var built: ContextBuilder.Prompt
        do {
            built = try ContextBuilder(workspace: turn.workspace).systemPrompt(
                persona: turn.config.persona, session: turn.session, sessionSummary: replay.summary,
                tools: tools.names(for: turn.kind), message: turn.userMessage)
        } catch {
            throw AgentError.storage(error, while: "reading the workspace for the prompt")
        }
        built.askedFor += tools.missing
        Self.report(built.problems, badLines: replay.badLines, logger)
        let context = ContextBuilder.context(turn, after: replay.messages)
        record.context = context
        prompt = TurnPrompt(turn: turn, built, context: context, definitions: tools.definitions(for: turn.kind), replay)
        machine = TurnStateMachine(
            limits: turn.limits, toolNames: tools.names(for: turn.kind),
            texts: HouseTexts(language: turn.language, userMessage: turn.userMessage, kind: turn.kind))
    }

    mutating func toTheEnd() throws(AgentError) -> TurnResult {
        do {
            return try drive()
        } catch {
            throw closed(after: error)
        }
    }

    private mutating func drive() throws(AgentError) -> TurnResult {
        var action = machine.handle(.started)
        while true {
            switch action {
            case .callModel(let call):
                let isReplayed = journal.modelResponse(step: call.step) != nil
                action = machine.handle(try answer(to: call))
                // At once: what the call did not use is free for other turns while this one runs its tools.
                if !isReplayed { budget?.spent(machine.usage) }
            case .runTools(let calls):
                action = try run(calls)
            case .finish(let text):
                return try finish(text)
            case .stop(let reason):
                throw reason.error
            case .fail(let error):
                throw error
            case .wait:
                // Only ever the answer to a tool's result, which `run` takes.
                throw AgentError(code: "internal_state", detail: "the turn waits for nothing", isRetryable: false)
            }
        }
    }

    // MARK: - The model

    private mutating func answer(to call: ModelCall) throws(AgentError) -> TurnStateMachine.Event {
        if let recorded = journal.modelResponse(step: call.step) { return try replayed(recorded, step: call.step) }
        if let stop = stopIfAsked() { return stop }
        guard var request = request(for: call) else { throw AgentError.contextLengthExceeded(turn.model) }
        let start = StepStart(journal.firstRequest(step: call.step))
        let allowance = allowance(step: call.step, start)
        request.allowance = allowance
        if let budget {
            budget.spent(machine.usage)
            try budget.reserve(request)
        }
        let response: ChatResponse
        let words = StreamedText(events)
        unfinished = ""
        do {
            response = try turn.model.provider.complete(
                request, cancellation: cancellation, onDelta: turn.streams ? { words.add($0) } : nil)
        } catch {
            unfinished = words.text
            stepEnd = allowance.used > 0 ? end(of: start) : nil
            let failure = Result { () throws(AgentError) in try counted(error, allowance, start, step: call.step) }
            // The provider says "cancelled" for every reason; the token knows which one it was.
            if let stop = stopIfAsked() { return stop }
            return .failed(try failure.get())
        }
        told += words.corrected(to: response.message.content, after: told)
        let time = services.now()
        try recorded(while: "recording the model's answer") {
            let line: JSON = ["response": response.json, "at": .string(RFC3339.string(time))]
            try journal.recordModelResponse(step: call.step, line)
        }
        stepEnd = nil
        advance(step: call.step)
        // The time as the journal gives it back, so that a resumed turn stores the same.
        return .responded(response, at: RFC3339.date(RFC3339.string(time)) ?? time)
    }

    /// What the step may still ask for, over all attempts of the job's run.
    private func allowance(step: Int, _ start: StepStart) -> RequestAllowance {
        // Requests leave on the turn's own thread, which waits for them: the journal is used by that thread alone.
        nonisolated(unsafe) let (journal, start) = (journal, start)
        let (logger, now) = (logger, services.now)
        return RequestAllowance(used: journal.requestsMade(step: step)) { count in
            let since = start.date ?? now()
            start.date = since
            // The first request needs no record before it leaves: if it fails, `counted` records it.
            guard count > 1 else { return }
            do {
                try journal.recordRequests(step: step, count: count, since: since)
            } catch {
                logger.warning("a request is not recorded", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Records what a failed step has asked for. A step that may ask for nothing more has failed for good.
    private func counted(
        _ error: ProviderError, _ allowance: RequestAllowance, _ start: StepStart, step: Int
    ) throws(AgentError) -> ProviderError {
        if allowance.used != journal.requestsMade(step: step) {
            try recorded(while: "recording the requests of a step") {
                try journal.recordRequests(step: step, count: allowance.used, since: start.date ?? services.now())
            }
        }
        guard allowance.isEmpty, error.isRetryable else { return error }
        var error = error
        error.isRetryable = false
        error.detail += " (asked \(allowance.used) times, which is all that one answer may cost)"
        return error
    }

    /// When a step is over that has made requests: nil while none of them counts.
    private func end(of start: StepStart) -> Date? {
        guard let seconds = turn.limits.stepSeconds else { return nil }
        return start.date?.addingTimeInterval(seconds)
    }

    /// A step ends by the job's time, over all attempts: without time for another try its failure is the job's.
    private func bounded(_ error: AgentError) -> AgentError {
        guard error.isRetryable, !error.isPause, let stepEnd else { return error }
        var error = error
        error.retryUntil = stepEnd
        let wait = max(Self.shortestRetry, error.retryAfter ?? 0)
        // After a time without a process there may be less than none left: the step gets this one try.
        guard services.now().addingTimeInterval(wait) >= stepEnd else { return error }
        error.isRetryable = false
        error.detail += " (one answer may take the job's timeout_s, over all tries)"
        return error
    }

    private func replayed(_ recorded: JSON, step: Int) throws(AgentError) -> TurnStateMachine.Event {
        guard let response = recorded["response"].flatMap(ChatResponse.init(json:)),
            let time = (recorded["at"]?.string).flatMap(RFC3339.date)
        else {
            throw AgentError(
                code: "journal_corrupt",
                detail: "the recorded answer of step \(step) cannot be read; submit the job anew", isRetryable: false)
        }
        return .responded(response, at: time)
    }

    /// - Returns: nil where not even the question has room.
    private func request(for call: ModelCall) -> ChatRequest? {
        let now = services.now()
        let ends = [turn.limits.deadline, end(of: StepStart(journal.firstRequest(step: call.step)))].compactMap {
            $0?.timeIntervalSince(now)
        }
        let left = ends.filter { $0 > 0 }.min() ?? .infinity
        let plain = ChatRequest(
            model: turn.model.model, messages: [], toolChoice: call.mayUseTools ? .auto : .none, stream: turn.streams,
            timeout: max(1, min(turn.limits.modelCallSeconds, left)), idleTimeout: turn.limits.idleSeconds,
            user: Self.mark(of: turn))
        let (prompt, transcript) = (prompt, machine.transcript)
        var request = prompt.fill(plain, for: turn.model.window, transcript: transcript, squeeze: call.squeeze)
        request?.fitting = RequestFitting { _, window in
            prompt.fill(plain, for: window, transcript: transcript, squeeze: call.squeeze)
        }
        return request
    }

    /// The same for all requests of a user, and nobody can tell from it who that is.
    private static func mark(of turn: Turn) -> String {
        String(Fingerprint.sha256Hex(Array("\(turn.user)\0\(turn.config.incarnation)".utf8)).prefix(32))
    }

    // MARK: - Tools

    private mutating func run(_ calls: [PlannedCall]) throws(AgentError) -> TurnStateMachine.Action {
        var action = TurnStateMachine.Action.wait
        let ready = readAhead(calls)
        for planned in calls {
            guard let result = try result(of: planned, ready: ready[planned.key]) else {
                return machine.handle(stopIfAsked() ?? .stopRequested(.cancelled))
            }
            quotes.read(result, of: planned, in: turn)
            action = machine.handle(.toolFinished(index: planned.index, result: result))
        }
        return action
    }

    /// The results of the calls in front that only read, if there are several: what they wait for, they wait for together.
    /// Those behind a call that changes something must see the change. Nothing is recorded yet; a crash here repeats
    /// reading.
    private func readAhead(_ calls: [PlannedCall]) -> [String: String] {
        let kind = turn.kind
        let registry = tools
        let reading = calls.prefix { $0.refusal != nil || registry.isReadOnly($0.call.name, in: kind) }
            .filter { $0.refusal == nil && journal.toolState(callKey: $0.key) == .none }
        guard reading.count > 1, stopIfAsked() == nil else { return [:] }
        for planned in reading { events.tool(name: planned.call.name, phase: .start) }
        let context = ToolContext(turn: turn, services: services, callID: "", cancellation: cancellation)
        let (deadline, now) = (turn.limits.deadline ?? .distantFuture, services.now)
        let results = SideBySide.run(reading, while: { [cancellation] in !cancellation.isCancelled && now() < deadline }) {
            planned in
            var mine = context
            mine.callID = "\(context.turn.jobID):\(planned.key)"
            return registry.run(planned, mine)
        }
        for planned in reading { events.tool(name: planned.call.name, phase: .end) }
        return results
    }

    /// - Parameter ready: the result, where the call has been made.
    /// - Returns: nil when the turn is to stop before this call.
    private func result(of planned: PlannedCall, ready: String?) throws(AgentError) -> String? {
        let state = journal.toolState(callKey: planned.key)
        // What was recorded is what the model was told, whatever the rules say today.
        if case .result(let text) = state { return text }
        // A call that was about to run may have, also where a server's tool is not there today.
        if state == .none, let refusal = planned.refusal { return refusal }
        if stopIfAsked() != nil { return nil }
        if let ready {
            return try recordedResult(ready, of: planned)
        }
        let isIdempotent = tools.isIdempotent(planned.call.name)
        if state == .intentOnly, !isIdempotent { return try recordedResult(Self.unknownOutcome(planned), of: planned) }
        if !isIdempotent {
            try recorded(while: "recording a tool call") {
                try journal.recordIntent(
                    callKey: planned.key, name: planned.call.name, arguments: planned.call.arguments)
            }
        }
        if tools.leavesWords(planned.call.name) { try record.keepQuestion() }
        events.tool(name: planned.call.name, phase: .start)
        let context = ToolContext(
            turn: turn, services: services, callID: "\(turn.jobID):\(planned.key)", cancellation: cancellation)
        let text = tools.run(planned, context)
        events.tool(name: planned.call.name, phase: .end)
        // A call that heard the stop may have read a part only. One that may be made again is, when the job goes on.
        if isIdempotent, cancellation.isCancelled { return nil }
        return try recordedResult(text, of: planned)
    }

    private func recordedResult(_ text: String, of planned: PlannedCall) throws(AgentError) -> String {
        try recorded(while: "recording a tool's result") {
            try journal.recordResult(callKey: planned.key, text)
        }
        return text
    }

    private static func unknownOutcome(_ planned: PlannedCall) -> String {
        ToolFailure(
            code: "outcome_unknown",
            detail: "the process stopped while \(planned.call.name) ran: it may have taken effect or not. Look before "
                + "you repeat it, and tell the user if it matters"
        ).text
    }

    // MARK: - Ends

    private func finish(_ text: String) throws(AgentError) -> TurnResult {
        // A cancel that came after the last answer still counts: the final line is not written yet.
        if case .stopRequested(let reason)? = stopIfAsked(), reason == .cancelled { throw reason.error }
        try record.keep(machine.items)
        return TurnResult(
            text: text, usage: machine.usage, steps: machine.steps, model: machine.model ?? turn.model.fullName,
            quotes: quotes.all, finishReason: machine.finishReason)
    }

    /// Leaves the session in order after a failure and adds what the turn has cost.
    private mutating func closed(after error: AgentError) -> AgentError {
        let error = bounded(error)
        // Answers the calls that have no result; a machine that is finished already stays as it is.
        _ = machine.handle(.stopRequested(.cancelled))
        if !error.isPause {
            let isFinal = error.code == StoppedTurn.cancelledCode || !error.isRetryable || turn.isLastAttempt
            do {
                try record.keepInterrupted(
                    machine.items, streamed: machine.beginning + unfinished, because: isFinal ? error.code : nil)
            } catch {
                logger.error("an interrupted turn is missing in its session", metadata: ["error": "\(error)"])
            }
        }
        return error.with(usage: machine.usage)
    }

    private func stopIfAsked() -> TurnStateMachine.Event? {
        if cancellation.isCancelled { return .stopRequested(TurnStop(reason: cancellation.reason)) }
        if let wish = cancellation.wish { return .stopRequested(TurnStop(reason: wish)) }
        if let deadline = turn.limits.deadline, services.now() >= deadline { return .stopRequested(.timeout) }
        return nil
    }

    // MARK: - Telling

    private func recorded(while doing: String, _ body: () throws -> Void) throws(AgentError) {
        do {
            try body()
        } catch {
            throw AgentError(code: "journal", detail: "\(doing): \(error)", isRetryable: true, cause: error)
        }
    }

    /// Nobody knows how many steps a turn has: each takes a third of what is left.
    private mutating func advance(step: Int) {
        percent = max(percent, percent + (95 - percent) / 3)
        events.progress(percent)
    }

    private static func report(_ problems: [String], badLines: Int, _ logger: Logger) {
        for problem in problems {
            logger.warning("a part of the workspace is left out of the prompt", metadata: ["problem": "\(problem)"])
        }
        if badLines > 0 {
            logger.warning("lines of the session cannot be read", metadata: ["lines": "\(badLines)"])
        }
    }
}
