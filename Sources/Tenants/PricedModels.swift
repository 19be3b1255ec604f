// Which models have a price, by name. A limit in money counts nothing of a model without one. A pure value; any thread.

public struct PricedModels: Sendable, Hashable {
    /// `provider/model`; a price of 0 is one.
    public var names: Set<String>
    /// Accounts that cost nothing, whatever model of theirs is asked for.
    public var freeAccounts: Set<String>

    public init(names: Set<String> = [], freeAccounts: Set<String> = ["offline"]) {
        self.names = names
        self.freeAccounts = freeAccounts
    }

    /// - Parameter model: `provider/model`, or a provider's name alone (`offline`).
    public func contains(_ model: String) -> Bool { names.contains(model) || isFree(model) }

    /// Its account asks no model and costs nothing.
    public func isFree(_ model: String) -> Bool {
        freeAccounts.contains(model.split(separator: "/", maxSplits: 1).first.map(String.init) ?? model)
    }
}
