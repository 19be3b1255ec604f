// What one user may use, and plans: named sets of such limits that an operator gives to users. Pure values; any thread.

/// Limits of one user; 0 means no limit.
public struct UsageLimits: Sendable, Hashable {
    /// Jobs taken in within any 60 seconds by one process.
    public var requestsPerMinute: Int
    /// Tokens of all model calls within a day of the user's time zone.
    public var tokensPerDay: Int
    /// USD within a calendar month of the user's time zone.
    public var costPerMonth: Double
    /// Models that may be asked for: `provider/model`, `provider/*` or `*`. Empty: any.
    public var models: [String]
    /// Jobs at once, in one process.
    public var running: Int
    /// Jobs that wait.
    public var waiting: Int
    /// MiB of the workspace.
    public var diskMB: Int

    public init(
        requestsPerMinute: Int = 0, tokensPerDay: Int = 0, costPerMonth: Double = 0, models: [String] = [],
        running: Int = 0, waiting: Int = 0, diskMB: Int = 0
    ) {
        self.requestsPerMinute = requestsPerMinute
        self.tokensPerDay = tokensPerDay
        self.costPerMonth = costPerMonth
        self.models = models
        self.running = running
        self.waiting = waiting
        self.diskMB = diskMB
    }

    /// - Parameter model: `provider/model`, or a provider's name alone (`offline`).
    public func allows(model: String) -> Bool {
        models.isEmpty
            || models.contains { pattern in
                if pattern == "*" || pattern == model { return true }
                guard pattern.hasSuffix("/*") else { return false }
                return model.hasPrefix(pattern.dropLast())
            }
    }
}
