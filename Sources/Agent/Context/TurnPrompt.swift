// All that a turn's requests are made of, and the request that fits a window: system prompt, tools, conversation,
// question, and what the turn has said so far. Pure; any thread; the same input gives the same bytes.
//
// The room of a window is divided in this order: the question; the parts of the system prompt that always stay; tools; the
// other parts of the system prompt; the rest is for conversation and turn. In usual windows everything has room; in a small
// one tools and parts of the prompt are left out, by the window and the question alone, so that they stay the same in all
// requests of a turn.
import Providers
import Tenants

struct TurnPrompt: Sendable {
    /// Shares of the room, in percent.
    private static let toolShare = 35
    private static let systemShare = 40
    /// Percent that tool definitions leave free for the rounds of a turn.
    private static let turnShare = 12
    /// Percent that the system prompt leaves free for conversation and rounds.
    private static let conversationShare = 25

    private let sections: PromptSections
    private let definitions: [ToolDefinition]
    private let history: [ChatMessage]
    private let question: ChatMessage
    /// The question without the skills it asks for: their text is in files, too.
    private let plainQuestion: ChatMessage
    private let mostTokens: Int
    private let sessionPath: String
    /// Messages in front of `history` that are in no summary.
    private let hiddenBefore: Int

    /// - Parameter context: what stands behind the user's words, in this request and in all later ones.
    init(
        turn: Turn, _ prompt: ContextBuilder.Prompt, context: String, definitions: [ToolDefinition],
        _ replay: SessionStore.Replay
    ) {
        sections = prompt.sections
        self.definitions = definitions
        history = replay.messages
        let words = turn.userMessage + ContextBuilder.told(context, at: replay.asked ?? turn.now)
        let instructions = ContextBuilder.instructions(turn)
        plainQuestion = Self.question(words, once: instructions)
        question = Self.question(words, once: instructions + prompt.askedFor)
        mostTokens = turn.limits.contextTokens
        sessionPath = "\(Workspace.sessions)/\(turn.session.fileName)"
        hiddenBefore = replay.hidden
    }

    /// - Parameter once: what no later request repeats.
    private static func question(_ words: String, once: String) -> ChatMessage {
        var message = ChatMessage.user(words + once)
        if !once.isEmpty { message.stableBytes = words.utf8.count }
        return message
    }

    /// - Parameters:
    ///   - transcript: what followed the question in this turn.
    ///   - squeeze: how often the provider found the request too long: each time half of the room is used.
    /// - Returns: the request with messages, tools and the answer's bound; nil where not even the question has room.
    func fill(
        _ request: ChatRequest, for window: ModelWindow, transcript: [ChatMessage], squeeze: Int
    ) -> ChatRequest? {
        let input = window.inputTokens(most: mostTokens) >> min(max(squeeze, 0), 16)
        let least = sections.leastTokens
        guard let question = [question, plainQuestion].first(where: { TokenEstimate.tokens($0) + least <= input }) else {
            return nil
        }
        let room = input - TokenEstimate.tokens(question) - least
        let toolRoom = min(input * Self.toolShare / 100, max(0, room - input * Self.turnShare / 100))
        let tools = ToolSelection.fitting(definitions, within: toolRoom)
        let left = room - TokenEstimate.tokens(tools) - input * Self.conversationShare / 100
        var system = sections.message(within: least + min(input * Self.systemShare / 100, max(0, left)))
        let rest = input - TokenEstimate.tokens(tools) - TokenEstimate.tokens(system)
        var fitted = ContextBudget(tokens: rest).fit(history: history, turn: [question] + transcript)
        if fitted.hidden + hiddenBefore > 0 {
            let note = HiddenMessages.note(count: fitted.hidden + hiddenBefore, path: sessionPath)
            fitted = ContextBudget(tokens: rest - TokenEstimate.tokens(note)).fit(
                history: history, turn: [question] + transcript)
            system.content += note
        }
        guard fitted.fits else { return nil }
        var request = request
        request.messages = [system] + fitted.messages
        request.tools = tools
        request.maxTokens = window.answerBound
        return request
    }
}

/// The note of the prompt about messages that were left out before they were summarised. Pure.
enum HiddenMessages {
    /// - Parameter path: of the conversation's file in the workspace.
    static func note(count: Int, path: String) -> String {
        """


        ---

        # Earlier messages that are not shown

        The model's window has no room for the oldest part of this conversation: \(count) messages are not shown, and no \
        summary has them yet. Their words are in \(path), one JSON object a line, the oldest first. If the user speaks of \
        something you do not see, look there with grep or read_file before you say that you do not know it.
        """
    }
}
