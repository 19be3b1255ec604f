// Wishes about what is remembered. Pure, any thread. Remembered text is shown, never followed.
import Foundation
import TextFormats

enum MemoryWish {
    /// Remembered lines shown at most.
    static let maxLines = 40
    /// Characters of a topic that are looked for.
    private static let maxTopic = 200

    static func remember(_ text: String, _ scope: OfflineScope) -> OfflineStep {
        scope.single("memory", ["action": "remember", "text": .string(text)]) { outcome in
            let say = scope.language
            guard case .value(let result) = outcome else { return OfflinePhrases.failure("memory", outcome, say) }
            let shown = OfflinePhrases.plain(text)
            return result["changed"]?.bool == false
                ? say("I already knew that: \(shown)", "这个我已经记住了：\(shown)")
                : say("I'll remember that: \(shown)", "已记住：\(shown)")
        }
    }

    static func forget(_ text: String, _ scope: OfflineScope) -> OfflineStep {
        scope.single("memory", ["action": "forget", "text": .string(text)]) { outcome in
            let say = scope.language
            guard case .value(let result) = outcome else { return OfflinePhrases.failure("memory", outcome, say) }
            let shown = OfflinePhrases.plain(text)
            return result["changed"]?.bool == false
                ? say("There is nothing in my memory that says: \(shown)", "记忆中没有这样的内容：\(shown)")
                : say("Forgotten: \(shown)", "已忘记：\(shown)")
        }
    }

    // MARK: - Recall

    /// Asks for profile and memory at once, then tells what they hold; with a topic the lines about it first.
    static func recall(_ wholeTopic: String?, _ scope: OfflineScope) -> OfflineStep {
        // Each word of the topic is looked for in each line.
        let topic = wholeTopic.map { String($0.prefix(maxTopic)) }
        let wanted: [(String, JSONObject)] = [("profile", [:]), ("memory", ["action": "show"])]
        let open = wanted.filter { scope.outcome($0.0) == nil && scope.offers($0.0) }
        if !open.isEmpty { return .calls(open.map { scope.call($0.0, $0.0, $0.1) }) }
        let say = scope.language
        let outcomes = wanted.compactMap { name, _ in scope.outcome(name).map { (name, $0) } }
        guard !outcomes.isEmpty else { return .answer(OfflinePhrases.toolMissing("memory", say)) }
        var sections: [String] = []
        for (name, outcome) in outcomes {
            guard case .value(let result) = outcome else {
                sections.append(OfflinePhrases.failure(name, outcome, say))
                continue
            }
            let text = name == "profile" ? profile(result, topic, say) : notes(result, topic, say)
            if !text.isEmpty { sections.append(text) }
        }
        if sections.isEmpty {
            let about = topic.map { OfflinePhrases.plain($0, limit: 60) }
            let none =
                about.map { say("I know nothing about: \($0).", "我不知道：\($0)。") }
                ?? say("I know nothing about you yet.", "我还不了解你。")
            sections = [none + say(" Tell me with \"remember that …\".", "可以用“记住……”告诉我。")]
        }
        return .answer(sections.joined(separator: "\n\n"))
    }

    private static func notes(_ result: JSON, _ topic: String?, _ say: OfflineLanguage) -> String {
        let all = lines(result["memory"]?.string ?? "")
        let wanted = topic.map { topic in all.filter { matches($0, topic) } } ?? all
        guard !wanted.isEmpty else { return "" }
        let shown = wanted.prefix(maxLines).map { "- \(OfflinePhrases.plain($0))" }
        let more = wanted.count - shown.count
        let tail = more > 0 ? [say("- and \(more) more in memory/MEMORY.md", "- 另有 \(more) 条，见 memory/MEMORY.md")] : []
        return ([say("From my memory:", "我记得：")] + shown + tail).joined(separator: "\n")
    }

    /// The notes in a MEMORY.md: list entries, and plain lines except for the paragraph under the title, which explains
    /// the file. Headings and comments are no notes.
    static func lines(_ markdown: String) -> [String] {
        var isComment = false
        var isExplanation = false
        var notes: [String] = []
        for raw in markdown.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            let line = raw.trimmingCharacters(in: .whitespaces)
            if line.hasPrefix("<!--") { isComment = true }
            let isNote = !isComment && !line.isEmpty && !line.hasPrefix("#") && !line.hasPrefix("---")
            if line.hasSuffix("-->") { isComment = false }
            if line.hasPrefix("# ") { isExplanation = true }
            guard isNote else { continue }
            if line.hasPrefix("- ") || line.hasPrefix("* ") {
                isExplanation = false
                notes.append(String(line.dropFirst(2)).trimmingCharacters(in: .whitespaces))
            } else if !isExplanation {
                notes.append(line)
            }
        }
        return notes.filter { !$0.isEmpty }
    }

    /// Any word of the topic, but for the smallest; Chinese by its characters together.
    private static func matches(_ line: String, _ topic: String) -> Bool {
        let text = line.lowercased()
        let words = PhraseTokens(topic.lowercased()).tokens.filter { $0.kind == .word && $0.key.count > 2 }.map(\.key)
        let han = topic.filter(OfflineLanguage.isEastAsian)
        return words.contains { text.contains($0) } || (!han.isEmpty && text.contains(han))
    }

    // MARK: - Profile

    private static func profile(_ result: JSON, _ topic: String?, _ say: OfflineLanguage) -> String {
        var lines = personaLines(result["persona"], say)
        if topic == nil {
            let watchlist = WatchlistKind.allCases.compactMap { kind -> String? in
                let items = WatchlistWish.entries(kind, in: result)
                guard !items.isEmpty else { return nil }
                return "- \(WatchlistWish.kindName(kind, say))\(say(": ", "："))\(OfflinePhrases.list(items, say))"
            }
            lines += watchlist + SettingsWish.lines(result["preferences"], say)
        } else if let topic {
            lines = (lines + SettingsWish.lines(result["preferences"], say)).filter { matches($0, topic) }
        }
        guard !lines.isEmpty else { return "" }
        return ([say("From your profile:", "你的资料：")] + lines).joined(separator: "\n")
    }

    /// What a persona says, one list line per field that is set.
    static func personaLines(_ persona: JSON?, _ say: OfflineLanguage) -> [String] {
        let names: [(String, String, String)] = [
            ("risk_preference", "risk preference", "风险偏好"), ("investment_experience", "investment experience", "投资经验"),
            ("investment_horizon", "investment horizon", "投资期限"), ("focus_areas", "focus areas", "关注方向"),
            ("avoid_topics", "topics to avoid", "回避话题"),
        ]
        return names.compactMap { key, english, chinese in
            let value = persona?[key]
            let text = value?.array.map { OfflinePhrases.list($0.compactMap(\.string), say) } ?? value?.string ?? ""
            guard !text.isEmpty else { return nil }
            return "- \(say("\(english): ", "\(chinese)："))\(OfflinePhrases.plain(text))"
        }
    }
}
