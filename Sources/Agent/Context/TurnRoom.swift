// How many tokens a user's words may have in a model's window. Pure; any thread.
import Providers

public enum TurnRoom {
    /// What remains when everything is left out that can be: tools, files, memory, conversation.
    public static func tokens(in window: ModelWindow) -> Int {
        max(0, window.inputTokens(most: TurnLimits().contextTokens) - ContextBuilder.leastTokens)
    }
}
