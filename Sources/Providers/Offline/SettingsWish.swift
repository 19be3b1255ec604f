// Wishes about preferences and schedules. Pure, any thread. Whether a time zone exists or a value is allowed the tool
// decides; its answer is what is told.
import TextFormats

enum SettingsWish {
    private static let names: [(key: String, english: String, chinese: String)] = [
        ("report_frequency", "report frequency", "报告频率"), ("report_time", "report time", "报告时间"),
        ("report_weekday", "weekly report on", "周报日"), ("timezone", "time zone", "时区"),
        ("report_format", "report format", "报告格式"), ("language", "language", "语言"),
        ("max_report_length", "longest report", "报告最大长度"), ("notification_channels", "notifications", "通知渠道"),
    ]

    static func lines(_ preferences: JSON?, _ say: OfflineLanguage, only: [String]? = nil) -> [String] {
        names.compactMap { name in
            guard only?.contains(name.key) ?? true, let value = preferences?[name.key], !value.isNull else {
                return nil
            }
            let text =
                value.string ?? value.array.map { OfflinePhrases.list($0.compactMap(\.string), say) } ?? value.text()
            return "- \(say("\(name.english): ", "\(name.chinese)："))\(OfflinePhrases.plain(text, limit: 100))"
        }
    }

    static func set(_ changes: JSONObject, _ scope: OfflineScope) -> OfflineStep {
        scope.single("preferences", ["changes": .object(changes)]) { outcome in
            let say = scope.language
            guard case .value(let result) = outcome else { return OfflinePhrases.failure("preferences", outcome, say) }
            let now = lines(result["preferences"], say, only: changes.keys)
            return ([say("Done. Now set:", "已更新：")] + now).joined(separator: "\n")
        }
    }

    static func show(_ scope: OfflineScope) -> OfflineStep {
        scope.single("profile", [:]) { outcome in
            let say = scope.language
            guard case .value(let result) = outcome else { return OfflinePhrases.failure("profile", outcome, say) }
            let now = lines(result["preferences"], say)
            guard !now.isEmpty else { return say("No preferences are set.", "没有任何设置。") }
            return ([say("Your preferences:", "你的设置：")] + now).joined(separator: "\n")
        }
    }

    /// Stopping one of two kinds keeps the other, so what is set is asked for first.
    static func stop(_ kind: ReportKind?, _ scope: OfflineScope) -> OfflineStep {
        guard let kind, scope.offers("profile") || scope.outcome("profile") != nil else {
            return set(["report_frequency": "off"], scope)
        }
        guard let outcome = scope.outcome("profile") else { return .calls([scope.call("profile", "profile", [:])]) }
        guard case .value(let result) = outcome else {
            return .answer(OfflinePhrases.failure("profile", outcome, scope.language))
        }
        let current = result["preferences"]?["report_frequency"]?.string ?? "daily"
        let other: ReportKind = kind == .daily ? .weekly : .daily
        if current == other.rawValue || current == "off" {
            let name = kind == .daily ? scope.language("daily reports", "日报") : scope.language("weekly reports", "周报")
            return .answer(scope.language("You get no \(name) as it is.", "目前本来就没有\(name)。"))
        }
        return set(["report_frequency": .string(current == "both" ? other.rawValue : "off")], scope)
    }

    // MARK: - Schedules

    /// Fires and schedules shown.
    private static let maxShown = 20

    static func schedule(_ scope: OfflineScope) -> OfflineStep {
        scope.single("schedule", ["action": "list"]) { outcome in
            let say = scope.language
            guard case .value(let result) = outcome else { return OfflinePhrases.failure("schedule", outcome, say) }
            let list = result.array ?? result["schedules"]?.array ?? []
            let next = result["next_scheduled_jobs"]?.array ?? result["upcoming"]?.array ?? []
            var lines: [String] = []
            let zone = scope.turn.context.timeZone
            if let first = next.first ?? list.first(where: { $0["next_run_at"]?.string != nil }),
                let time = first["run_at"]?.string ?? first["next_run_at"]?.string
            {
                let name = OfflinePhrases.plain(first["id"]?.string ?? "", limit: 60)
                let at = local(time, zone)
                lines.append(
                    say(
                        "Next: \(at)\(name.isEmpty ? "" : " (\(name))").",
                        "下一次：\(at)\(name.isEmpty ? "" : "（\(name)）")。"))
            }
            lines += list.prefix(maxShown).map { entry(json: $0, zone, say) }
            guard !lines.isEmpty else { return say("Nothing is scheduled.", "没有任何定时任务。") }
            return lines.joined(separator: "\n")
        }
    }

    private static func entry(json: JSON, _ zone: String?, _ say: OfflineLanguage) -> String {
        func field(_ name: String) -> String { OfflinePhrases.plain(json[name]?.string ?? "", limit: 80) }
        var text = "- \(field("id")): \(field("expression"))"
        if !field("timezone").isEmpty { text += " (\(field("timezone")))" }
        if json["enabled"]?.bool == false { text += say(", paused", "，已暂停") }
        if let next = json["next_run_at"]?.string {
            text += say(", next \(local(next, zone))", "，下一次 \(local(next, zone))")
        }
        return text
    }

    private static func local(_ text: String, _ zone: String?) -> String {
        guard let date = RFC3339.date(text) else { return OfflinePhrases.plain(text, limit: 40) }
        let moment = LocalMoment(date, zone: zone)
        return "\(moment.day) \(moment.clock) \(moment.zone)"
    }

    static func remind(_ expression: String, _ message: String, _ scope: OfflineScope) -> OfflineStep {
        var arguments: JSONObject = [
            "action": "add", "expression": .string(expression), "message": .string(message),
        ]
        if let zone = scope.turn.context.timeZone { arguments["timezone"] = .string(zone) }
        return scope.single("schedule", arguments) { outcome in
            guard case .value = outcome else { return OfflinePhrases.failure("schedule", outcome, scope.language) }
            let shown = OfflinePhrases.plain(message)
            return scope.language("I'll remind you (\(expression)): \(shown)", "已设置提醒（\(expression)）：\(shown)")
        }
    }

    static func removeSchedule(_ id: String, _ scope: OfflineScope) -> OfflineStep {
        scope.single("schedule", ["action": "remove", "id": .string(id)]) { outcome in
            guard case .value = outcome else { return OfflinePhrases.failure("schedule", outcome, scope.language) }
            let shown = OfflinePhrases.plain(id)
            return scope.language("Removed the schedule \(shown).", "已删除定时任务 \(shown)。")
        }
    }
}
