// What a server has refused to read so far. Compatible servers differ in which optional fields they know; a refusal
// that names one is answered by sending the request again without it. Pure.

/// Fields to leave out or to call by another name, for one model of one account.
struct OpenAIDialect: Sendable, Hashable {
    var omitsStreamOptions = false
    /// OpenAI's newer models know the bound of the answer under this name only.
    var usesMaxCompletionTokens = false
    var omitsTemperature = false
    var omitsUser = false
    var omitsReasoning = false
    /// Calls whose reasoning is not known go as text: the server refuses calls without their reasoning.
    var demandsReasoning = false
    /// Names the tools also where none may be called any more.
    var keepsTools = false

    /// The dialect to try next; nil if the error names nothing that could be changed.
    /// - Parameter sentReasoning: the request held reasoning under the name the error may speak of.
    func next(after error: ProviderError, sentReasoning: Bool) -> OpenAIDialect? {
        guard error.code == .badRequest, error.status == 400 || error.status == 422 else { return nil }
        let text = error.detail.lowercased()
        var next = self
        if text.contains("stream_options") || text.contains("include_usage") {
            next.omitsStreamOptions = true
        } else if text.contains("max_completion_tokens") {
            next.usesMaxCompletionTokens = true
        } else if text.contains("reasoning_content") {
            if Self.isDemand(text) || !sentReasoning { next.demandsReasoning = true } else { next.omitsReasoning = true }
        } else if text.contains("temperature") {
            next.omitsTemperature = true
        } else if text.contains("'user'") || text.contains("\"user\"") {
            next.omitsUser = true
        } else if text.contains("tools=") || text.contains("`tools`") || text.contains("toolconfig") {
            next.keepsTools = true
        }
        return next == self ? nil : next
    }

    /// Whether the refusal misses the field ("must be passed back"), instead of not knowing it.
    private static func isDemand(_ text: String) -> Bool {
        let demands = [
            "must be passed", "passed back", "is missing", "missing field", "missing `", "missing reasoning", "is required",
            "must be provided", "must include", "must be included",
        ]
        return demands.contains { text.contains($0) }
    }
}
