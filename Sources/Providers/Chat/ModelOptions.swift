// What an operator sets for all models of an account, or for one of them. Pure values; any thread.
import TextFormats

public struct ModelOptions: Sendable, Hashable {
    /// Tokens of input and output together; nil: as the model is known, or assumed.
    public var contextWindow: Int?
    /// The answer's bound in tokens; nil: the provider's.
    public var maxOutputTokens: Int?
    /// nil: the provider's.
    public var temperature: Double?
    /// Merged into the body of each request (RFC 7396).
    public var extra: JSONObject?

    public init(
        contextWindow: Int? = nil, maxOutputTokens: Int? = nil, temperature: Double? = nil, extra: JSONObject? = nil
    ) {
        self.contextWindow = contextWindow
        self.maxOutputTokens = maxOutputTokens
        self.temperature = temperature
        self.extra = extra
    }

    /// Members of a request's body that nanobot answers for: `extra` may not name them.
    public static let reservedMembers: Set<String> = [
        "model", "messages", "system", "tools", "tool_choice", "stream", "max_tokens", "max_completion_tokens", "temperature",
        "thinking", "n",
    ]

    /// These options where they say something, else those of the account.
    func over(_ account: ModelOptions) -> ModelOptions {
        ModelOptions(
            contextWindow: contextWindow ?? account.contextWindow,
            maxOutputTokens: maxOutputTokens ?? account.maxOutputTokens, temperature: temperature ?? account.temperature,
            extra: extra.map { MergePatch.merged(account.extra ?? [:], with: $0, keepsNull: true) } ?? account.extra)
    }

    /// The request with what it does not say itself.
    func applied(to request: ChatRequest) -> ChatRequest {
        var request = request
        request.maxTokens = request.maxTokens ?? maxOutputTokens
        request.temperature = request.temperature ?? temperature
        request.extra = request.extra ?? extra
        return request
    }
}

/// JSON Merge Patch (RFC 7396): members replace members, objects are merged, null removes.
enum MergePatch {
    /// - Parameter keepsNull: the target is a patch itself, whose null still has to remove something.
    static func merged(_ target: JSONObject, with patch: JSONObject, keepsNull: Bool = false) -> JSONObject {
        var result = target
        for (name, value) in patch {
            if value.isNull {
                result[name] = keepsNull ? JSON.null : Optional<JSON>.none
            } else if let inner = value.object {
                result[name] = .object(merged(result[name]?.object ?? [:], with: inner, keepsNull: keepsNull))
            } else {
                result[name] = value
            }
        }
        return result
    }
}
