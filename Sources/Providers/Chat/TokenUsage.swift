// What a call cost, in tokens and money. Pure values.
import TextFormats

/// Tokens and cost of one or more model calls.
public struct TokenUsage: Sendable, Hashable {
    /// All input tokens, cached ones included, whatever the vendor counts under that name.
    public var promptTokens: Int
    /// All output tokens, reasoning included.
    public var completionTokens: Int
    public var totalTokens: Int
    /// Input tokens read from the vendor's prompt cache; part of `promptTokens`.
    public var cachedTokens: Int
    /// Input tokens written to the prompt cache at a surcharge; part of `promptTokens`. Only needed to compute the
    /// cost, therefore not in `json`.
    public var cacheWriteTokens: Int
    /// In US dollars; 0 where no price is known.
    public var costUSD: Double

    public init(
        promptTokens: Int = 0, completionTokens: Int = 0, totalTokens: Int? = nil, cachedTokens: Int = 0,
        cacheWriteTokens: Int = 0, costUSD: Double = 0
    ) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.totalTokens = totalTokens ?? Self.saturatingSum(promptTokens, completionTokens)
        self.cachedTokens = cachedTokens
        self.cacheWriteTokens = cacheWriteTokens
        self.costUSD = costUSD
    }

    public static let zero = TokenUsage()

    public static func + (left: TokenUsage, right: TokenUsage) -> TokenUsage {
        TokenUsage(
            promptTokens: saturatingSum(left.promptTokens, right.promptTokens),
            completionTokens: saturatingSum(left.completionTokens, right.completionTokens),
            totalTokens: saturatingSum(left.totalTokens, right.totalTokens),
            cachedTokens: saturatingSum(left.cachedTokens, right.cachedTokens),
            cacheWriteTokens: saturatingSum(left.cacheWriteTokens, right.cacheWriteTokens),
            costUSD: left.costUSD + right.costUSD)
    }

    public static func += (left: inout TokenUsage, right: TokenUsage) { left = left + right }

    /// The counts come from the network: a server's absurd number must not trap.
    private static func saturatingSum(_ left: Int, _ right: Int) -> Int {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? (left > 0 ? .max : .min) : sum
    }

    public var json: JSON {
        [
            "prompt_tokens": .int(Int64(promptTokens)), "completion_tokens": .int(Int64(completionTokens)),
            "total_tokens": .int(Int64(totalTokens)), "cached_tokens": .int(Int64(cachedTokens)),
            "cost_usd": .double(costUSD),
        ]
    }

    public init?(json: JSON) {
        guard let prompt = json["prompt_tokens"]?.int, let completion = json["completion_tokens"]?.int else {
            return nil
        }
        self.init(
            promptTokens: prompt, completionTokens: completion, totalTokens: json["total_tokens"]?.int,
            cachedTokens: json["cached_tokens"]?.int ?? 0, costUSD: json["cost_usd"]?.double ?? 0)
    }
}

/// What a model costs, in US dollars per million tokens.
public struct ModelPrice: Sendable, Hashable {
    public var input: Double
    /// Input read from the prompt cache.
    public var cachedInput: Double
    public var output: Double
    /// Input written to the prompt cache (Anthropic: 1.25 times the input for the five-minute cache).
    public var cacheWrite: Double

    public init(input: Double, cachedInput: Double? = nil, output: Double, cacheWrite: Double? = nil) {
        self.input = input
        self.cachedInput = cachedInput ?? input
        self.output = output
        self.cacheWrite = cacheWrite ?? input * 1.25
    }

    /// The cost of `usage` in US dollars; never negative, whatever the counts.
    public func cost(of usage: TokenUsage) -> Double {
        let prompt = Double(max(usage.promptTokens, 0))
        let cached = min(Double(max(usage.cachedTokens, 0)), prompt)
        let written = min(Double(max(usage.cacheWriteTokens, 0)), prompt - cached)
        let plain = prompt - cached - written
        let total =
            plain * input + cached * cachedInput + written * cacheWrite + Double(max(usage.completionTokens, 0))
            * output
        return total / 1_000_000
    }
}
