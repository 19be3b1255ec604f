// Which models the settings let a limit in money meet without a price: such a limit would count nothing. Pure; any thread.

import Providers
import Tenants

/// A model that a limit in money cannot count.
struct UnpricedModel: Sendable, Hashable, CustomStringConvertible {
    /// `provider/model`, or a plan's pattern.
    var model: String
    /// The setting that names the model.
    var place: String
    /// The limit that holds.
    var limit: String

    var description: String {
        if model.hasSuffix("*") {
            return "model_unpriced: \(place) is \"\(model)\", \"prices\" has no model of it, and \(limit) counts money; "
                + "add prices of the models that may be used, 0 for those that cost nothing"
        }
        return "model_unpriced: \(place) is \"\(model)\", which has no price, so \(limit) would count nothing of it; "
            + "add prices.\"\(model)\" with input and output, 0 if it costs nothing"
    }
}

extension Settings {
    var priced: PricedModels {
        let free = providers.filter { $0.value.type == .offline }.map(\.key)
        return PricedModels(names: Set(prices.keys), freeAccounts: Set(free + [ProviderFactory.offlineName]))
    }

    /// Models the settings name, without a price where a limit in money holds; each place once, everybody's first.
    var unpricedModels: [UnpricedModel] {
        var found = unpriced(userLimits.usage, "limits.user.cost_per_month", ofPlan: nil)
        for (name, limits) in plans.sorted(by: { $0.key < $1.key }) {
            found += unpriced(limits, "plans.\(name).cost_per_month", ofPlan: name)
        }
        var seen: Set<String> = []
        return found.filter { seen.insert("\($0.place) \($0.model)").inserted }
    }

    /// - Parameter limit: the setting the user's limit in money comes from, if there is one.
    private func unpriced(_ limits: UsageLimits, _ limit: String, ofPlan plan: String?) -> [UnpricedModel] {
        guard limits.costPerMonth > 0 || serviceLimits.costPerMonth > 0 else { return [] }
        let limit = limits.costPerMonth > 0 ? limit : "limits.service.cost_per_month"
        let places = [(model, "model")] + fallbackModels.map { ($0, "fallback_models") }
        let usable = places.filter { limits.allows(model: $0.0) }
        let named = plan.map { name in limits.models.map { ($0, "plans.\(name).models") } } ?? []
        return (usable + named).filter { !hasPrice($0.0) }
            .map { UnpricedModel(model: $0.0, place: $0.1, limit: limit) }
    }

    /// A pattern has one if any model of it has.
    private func hasPrice(_ model: String) -> Bool {
        guard model.hasSuffix("*") else { return priced.contains(model) }
        let pattern = UsageLimits(models: [model])
        return model == "*" || priced.isFree(model) || priced.names.contains { pattern.allows(model: $0) }
    }

    /// - Parameter place: of the settings.
    /// - Throws: for the first model that a limit in money could not count.
    func checkPrices(place: String) throws(SettingsError) {
        guard let first = unpricedModels.first else { return }
        throw SettingsError(place: place, detail: first.description)
    }
}
