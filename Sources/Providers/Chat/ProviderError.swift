// The one error of this room. Whether a retry can help is decided where the error is made, not where it is handled.

/// Why a model call gave no answer.
public struct ProviderError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// Too many requests or tokens per minute: passes by itself.
        case rateLimited = "rate_limited"
        /// The provider has no capacity right now (529, 503).
        case overloaded
        /// The account is out of credit or over its budget: a person must act.
        case quota
        /// The key is missing, wrong or not allowed to use this model.
        case authentication
        /// The provider does not accept the request (also: unknown model).
        case badRequest = "bad_request"
        /// The conversation is longer than the model's context window.
        case contextLength = "context_length"
        /// The provider's content filter refuses what the conversation says. No error to the agent: an answer that was
        /// withheld (`FinishReason.contentFilter`).
        case contentFilter = "content_filter"
        case timeout
        case connection
        case cancelled
        /// The answer was not what the protocol promises.
        case badResponse = "bad_response"
        /// The server has an error of its own.
        case unavailable
        /// The account could not be reached several times in a row; no call was made, or it was the probe that failed.
        /// No failure of the job: it waits for `retryAfter`.
        case providerPaused = "provider_paused"
        /// The same for one model of an account that is well otherwise.
        case modelPaused = "model_paused"
        /// One step has made all the requests it may make (`RequestAllowance`); no call was made.
        case requestsUsedUp = "requests_used_up"
    }

    public var code: Code
    /// What happened and what to do about it. Never holds a key.
    public var detail: String
    /// The HTTP status, where there was one: nil also means that no server has begun to answer.
    public var status: Int?
    /// Seconds to wait before the account may be used again, as the provider asked.
    public var retryAfter: Double?
    /// Whether the same call can succeed later without a person's help.
    public var isRetryable: Bool
    /// Whether a part of the answer was already handed to `onDelta`: repeating the call would say it twice.
    public var streamed: Bool
    /// Whether no call was made, because of a bound in our own configuration.
    public var isOwnBound: Bool

    public init(
        code: Code, detail: String, status: Int? = nil, retryAfter: Double? = nil, isRetryable: Bool? = nil,
        streamed: Bool = false, isOwnBound: Bool = false
    ) {
        self.code = code
        self.detail = detail
        self.status = status
        self.retryAfter = retryAfter
        self.isRetryable = isRetryable ?? code.isUsuallyRetryable
        self.streamed = streamed
        self.isOwnBound = isOwnBound
    }

    public var description: String { "\(code.rawValue): \(detail)" }
}

extension ProviderError.Code {
    /// Whether errors of this kind pass by themselves, where nothing more is known.
    public var isUsuallyRetryable: Bool {
        switch self {
        case .rateLimited, .overloaded, .timeout, .connection, .badResponse, .unavailable: true
        case .providerPaused, .modelPaused: true
        case .quota, .authentication, .badRequest, .contextLength, .contentFilter, .cancelled, .requestsUsedUp: false
        }
    }
}
