// Shows and changes what the user follows. UserConfigManager changes it under its lock, so two turns of one user cannot
// overwrite each other. Stateless.
import Foundation
import Tenants
import TextFormats

struct WatchlistTool: Tool {
    enum Action: String, CaseIterable { case show, add, remove }

    static let maxItems = 100

    let name = "watchlist"
    let description = """
        Show the user's watchlist, or add to it or remove from it. Kinds: stocks (ticker symbols), influencers, \
        keywords, sectors.
        """
    let isIdempotent = true
    var isReadOnly = false
    var readingForm: (any Tool)? { WatchlistTool(isReadOnly: true) }
    private var actions: [Action] { isReadOnly ? [.show] : Action.allCases }
    var parameters: JSON {
        ToolSchema.object(
            [
                "action": ToolSchema.choice(actions.map(\.rawValue), "What to do"),
                "kind": ToolSchema.choice(WatchlistKind.allCases.map(\.rawValue), "Which list (default stocks)"),
                "items": ToolSchema.texts("What to add or remove, such as [\"TSLA\"]"),
            ], required: ["action"])
    }

    func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let action = try reader.require(reader.choice("action", of: Action.self), "action")
        let kind = try reader.choice("kind", of: WatchlistKind.self) ?? .stocks
        let items = try reader.strings("items", maxCount: Self.maxItems, maxLength: 256) ?? []
        try reader.finish()
        guard actions.contains(action) else { throw ToolFailure.readingOnly(action.rawValue) }
        let user = context.turn.user
        let configs = context.services.configs
        do {
            if action == .show { return answer(try configs.get(user).watchlist, changed: []) }
            guard !items.isEmpty else {
                throw ToolFailure(code: "invalid_arguments", detail: "items: name at least one entry to \(action)")
            }
            let wanted = kind == .stocks ? items.map(Self.symbol) : items
            let (config, changed) =
                action == .add
                ? try configs.addToWatchlist(user, kind, wanted) : try configs.removeFromWatchlist(user, kind, wanted)
            return answer(config.watchlist, changed: changed)
        } catch let error as TenantError {
            throw ToolFailure(error)
        }
    }

    /// Ticker symbols are written in capitals everywhere else, and a model repeats what the user typed; names stay.
    private static func symbol(_ item: String) -> String {
        let isTicker = item.utf8.count <= 12
            && item.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || ".-=^:".contains($0)) }
        return isTicker ? item.uppercased() : item
    }

    private func answer(_ watchlist: Watchlist, changed: [String]) -> String {
        JSON.object(["watchlist": watchlist.json, "changed": JSON(changed)]).text()
    }
}

extension ToolFailure {
    init(_ error: TenantError) {
        let field = error.field.map { "\($0): " } ?? ""
        self.init(code: error.code.rawValue, detail: field + error.detail)
    }
}
