// How many tokens a user's words may have in a model's window. Pure; any thread.
import Providers

public enum TurnRoom {
    /// The room in estimated tokens when tools, files, memory and conversation are left out.
    public static func tokens(in window: ModelWindow) -> Int {
        max(0, window.inputTokens(most: TurnLimits().contextTokens) - ContextBuilder.leastTokens)
    }
}
