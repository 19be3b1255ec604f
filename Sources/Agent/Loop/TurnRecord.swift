// What a turn leaves in its session, and what it finds there. Used on the turn's thread. A turn without a session
// (reports) finds and leaves nothing.
import Foundation
import Providers
import Tenants
import TextFormats

struct TurnRecord {
    let turn: Turn
    /// The block that is sent behind the user's words.
    var context: String?

    private var store: SessionStore? { turn.ephemeralSession ? nil : SessionStore(workspace: turn.workspace) }

    func replay() throws(AgentError) -> SessionStore.Replay {
        guard let store else { return SessionStore.Replay() }
        return try store.replay(turn.session, excluding: turn.jobID, through: turn.follows)
    }

    /// Appends the user's own words and the messages that last, in one durable write.
    func keep(_ items: [TurnStateMachine.Item]) throws(AgentError) {
        try store?.append(turn.session, entries(items, isInterrupted: false))
    }

    /// The same of a turn that was cut short.
    /// - Parameters:
    ///   - streamed: the beginning of an answer that did not come to its end.
    ///   - code: why there is no answer and will be none; nil where the job is tried again.
    func keepInterrupted(
        _ items: [TurnStateMachine.Item], streamed: String, because code: String?
    ) throws(AgentError) {
        var entries = entries(items, isInterrupted: true)
        if let code {
            let time = items.last?.time ?? turn.now
            let turn = StoppedTurn(job: turn.jobID, question: turn.userMessage, language: turn.language, time: time)
            let hasAnswer = entries.last.map { $0.message.role == .assistant && $0.message.toolCalls.isEmpty } ?? false
            if !hasAnswer { entries.append(turn.lastWords(after: streamed, because: code)) }
        }
        if entries.count > 1 { entries[1].context = context }
        try store?.append(turn.session, entries)
    }

    /// Appends the user's own words alone, before something can answer them that does not wait for the turn. The turn
    /// follows later (`SessionOrder`).
    func keepQuestion() throws(AgentError) {
        let entry = SessionEntry(
            id: turn.jobID + SessionOrder.earlyQuestion, jobID: turn.jobID, message: .user(turn.userMessage), time: turn.now,
            isInterrupted: true)
        try store?.append(turn.session, [entry])
    }

    func entries(_ items: [TurnStateMachine.Item], isInterrupted: Bool) -> [SessionEntry] {
        let question = (message: ChatMessage.user(turn.userMessage), time: turn.now)
        let answers = items.filter(\.isLasting).map { (message: Self.stored($0.message), time: $0.time) }
        let mark = isInterrupted ? "i" : ""
        return ([question] + answers).enumerated().map { index, item in
            var entry = SessionEntry(
                id: "\(turn.jobID):\(mark)\(index)", jobID: turn.jobID, message: item.message, time: item.time,
                isInterrupted: isInterrupted)
            if index == 1 { entry.context = context }
            return entry
        }
    }

    /// Thoughts and a provider's private state serve the turn they were made in. Those of calls are kept where the provider wants
    /// them back with the calls.
    private static func stored(_ message: ChatMessage) -> ChatMessage {
        if !message.toolCalls.isEmpty, message.providerState?["returns"] != nil { return message }
        var message = message
        message.reasoning = nil
        message.providerState = nil
        return message
    }
}
