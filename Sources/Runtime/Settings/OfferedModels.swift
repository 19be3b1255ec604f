// Which models clients of the OpenAI interface may name, from the settings. Pure; any thread.

import API
import Foundation
import Providers
import Tenants

extension NanobotServices {
    var modelDirectory: ModelDirectory {
        let factory = factory
        return ModelDirectory(names: settings.namedModels, since: now()) { name in
            do throws(ProviderError) {
                _ = try factory.resolve(name)
                return nil
            } catch {
                return error.detail
            }
        }
    }
}

extension Settings {
    /// Models the settings name anywhere, each once, the default first.
    var namedModels: [String] {
        let ofPlans = plans.values.flatMap(\.models).filter { !$0.contains("*") }.sorted()
        var seen: Set<String> = []
        return ([model] + fallbackModels + prices.keys.sorted() + ofPlans + [ProviderFactory.offlineName])
            .filter { seen.insert($0).inserted }
    }

    /// Full names that metrics may have as labels: those the settings name. A caller may ask for any model of an account.
    var modelLabels: Set<String> {
        let ofAccounts = providers.flatMap { name, account in account.models.keys.map { "\(name)/\($0)" } }
        return Set(namedModels).union(ofAccounts)
    }
}
