// Wishes about the watchlist: show, add, remove, clear. Pure, any thread. The answer tells what the tool says, not what
// was asked for.
import TextFormats

enum WatchlistWish {
    static func kindName(_ kind: WatchlistKind, _ say: OfflineLanguage) -> String {
        switch kind {
        case .stocks: say("stocks", "股票")
        case .influencers: say("influencers", "关注人物")
        case .keywords: say("keywords", "关键词")
        case .sectors: say("sectors", "行业板块")
        }
    }

    /// The entries of one kind in a tool's answer.
    static func entries(_ kind: WatchlistKind, in result: JSON) -> [String] {
        (result["watchlist"] ?? result)[kind.rawValue]?.array?.compactMap(\.string) ?? []
    }

    // MARK: - Show

    static func show(_ scope: OfflineScope) -> OfflineStep {
        scope.single("watchlist", ["action": "show"]) { outcome in
            guard case .value(let result) = outcome else {
                return OfflinePhrases.failure("watchlist", outcome, scope.language)
            }
            return description(result, scope.language)
        }
    }

    static func description(_ result: JSON, _ say: OfflineLanguage) -> String {
        let lines = WatchlistKind.allCases.compactMap { kind -> String? in
            let items = entries(kind, in: result)
            guard !items.isEmpty else { return nil }
            return say("- \(kindName(kind, say)): ", "- \(kindName(kind, say))：") + OfflinePhrases.list(items, say)
        }
        guard !lines.isEmpty else {
            return say(
                "Your watchlist is empty. Say for example \"add TSLA to my watchlist\".",
                "你的自选列表是空的。可以说：“把 TSLA 加入自选”。")
        }
        return say("Your watchlist:\n", "你的自选列表：\n") + lines.joined(separator: "\n")
    }

    // MARK: - Add and remove

    static func add(_ items: [String], _ kind: WatchlistKind?, _ scope: OfflineScope) -> OfflineStep {
        change("add", items, kind ?? .stocks, scope)
    }

    /// Without a kind the entry is looked for in all of them, as the context shows them.
    static func remove(_ items: [String], _ kind: WatchlistKind?, _ scope: OfflineScope) -> OfflineStep {
        let known =
            kind
            ?? WatchlistKind.allCases.first { candidate in
                items.contains { spelling($0, candidate, scope) != nil }
            }
        return change("remove", items, known ?? .stocks, scope)
    }

    /// The entry as it stands on the list, if it does in any letter case.
    private static func spelling(_ item: String, _ kind: WatchlistKind, _ scope: OfflineScope) -> String? {
        scope.turn.context.entries(kind.rawValue).first { $0.lowercased() == item.lowercased() }
    }

    private static func change(
        _ action: String, _ items: [String], _ kind: WatchlistKind, _ scope: OfflineScope
    ) -> OfflineStep {
        let spelled = items.map { spelling($0, kind, scope) ?? $0 }
        let arguments: JSONObject = [
            "action": .string(action), "kind": .string(kind.rawValue), "items": .array(spelled.map(JSON.string)),
        ]
        return scope.single("watchlist", arguments) { outcome in
            guard case .value(let result) = outcome else {
                return OfflinePhrases.failure("watchlist", outcome, scope.language)
            }
            return changed(action, spelled, kind, result, scope.language)
        }
    }

    private static func changed(
        _ action: String, _ asked: [String], _ kind: WatchlistKind, _ result: JSON, _ say: OfflineLanguage
    ) -> String {
        let name = kindName(kind, say)
        let items = entries(kind, in: result)
        let done = result["changed"]?.array?.compactMap(\.string) ?? []
        let same = asked.filter { item in !done.contains { $0.lowercased() == item.lowercased() } }
        var lines: [String] = []
        if !done.isEmpty {
            let list = OfflinePhrases.list(done, say)
            lines.append(
                action == "add"
                    ? say("Added to your \(name): \(list).", "已加入\(name)：\(list)。")
                    : say("Removed from your \(name): \(list).", "已从\(name)中移除：\(list)。"))
        }
        if !same.isEmpty {
            let list = OfflinePhrases.list(same, say)
            lines.append(
                action == "add"
                    ? say("Already there: \(list).", "已经在列表中：\(list)。")
                    : say("Not on the list: \(list).", "列表中没有：\(list)。"))
        }
        let now = items.isEmpty ? say("none", "无") : OfflinePhrases.list(items, say)
        lines.append(say("Your \(name) now: \(now).", "现在的\(name)：\(now)。"))
        return lines.joined(separator: say(" ", ""))
    }

    // MARK: - Clear

    /// Two rounds: what is on the list, then one removal per kind.
    static func clear(_ kind: WatchlistKind?, _ scope: OfflineScope) -> OfflineStep {
        guard scope.offers("watchlist") || scope.outcome("show") != nil else {
            return .answer(OfflinePhrases.toolMissing("watchlist", scope.language))
        }
        guard let shown = scope.outcome("show") else {
            return .calls([scope.call("watchlist", "show", ["action": "show"])])
        }
        guard case .value(let result) = shown else {
            return .answer(OfflinePhrases.failure("watchlist", shown, scope.language))
        }
        let kinds = (kind.map { [$0] } ?? [.stocks, .influencers, .keywords, .sectors])
            .filter { !entries($0, in: result).isEmpty }
        guard !kinds.isEmpty else {
            return .answer(scope.language("There is nothing to remove.", "没有可以移除的内容。"))
        }
        let open = kinds.filter { scope.outcome($0.rawValue) == nil }
        if !open.isEmpty, scope.offers("watchlist") {
            return .calls(
                open.map { kind in
                    let items = entries(kind, in: result).map(JSON.string)
                    return scope.call(
                        "watchlist", kind.rawValue,
                        ["action": "remove", "kind": .string(kind.rawValue), "items": .array(items)])
                })
        }
        let lines = kinds.compactMap { kind -> String? in
            guard let outcome = scope.outcome(kind.rawValue) else { return nil }
            guard case .value(let answer) = outcome else {
                return OfflinePhrases.failure("watchlist", outcome, scope.language)
            }
            return changed("remove", entries(kind, in: result), kind, answer, scope.language)
        }
        return .answer(lines.joined(separator: "\n"))
    }
}
