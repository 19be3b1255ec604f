// What report is wanted, as the offline rules read it from the request block or from a chat. A plain value; lenient:
// what is missing or wrong takes its default, since the caller has checked the request long before.
import TextFormats

struct OfflineBrief: Sendable {
    static let defaultLength = 5_000
    /// Focus areas taken, characters of each.
    static let maxFocusAreas = 50
    static let maxFocusAreaLength = 200

    let type: String
    let customPrompt: String?
    let focusAreas: [String]
    /// The language asked for.
    let tag: String
    /// The one it is written in.
    let language: OfflineLanguage
    /// In Unicode code points.
    let maxLength: Int

    init(_ request: JSON) {
        type = request["type"]?.string ?? "daily"
        customPrompt = request["custom_prompt"]?.string.flatMap { $0.allSatisfy(\.isWhitespace) ? nil : $0 }
        focusAreas = (request["focus_areas"]?.array ?? []).compactMap(\.string).filter { !$0.isEmpty }
            .prefix(Self.maxFocusAreas).map { String($0.prefix(Self.maxFocusAreaLength)) }
        tag = request["language"]?.string ?? "zh"
        language = OfflineLanguage(tag: tag)
        maxLength = max(1, request["max_length"]?.int ?? Self.defaultLength)
    }

    init(kind: ReportKind, topic: String?, language: OfflineLanguage) {
        type = kind.rawValue
        customPrompt = nil
        focusAreas = topic.map { [$0] } ?? []
        tag = language("en", "zh")
        self.language = language
        maxLength = Self.defaultLength
    }

    var typeName: String {
        switch type {
        case "daily": language("Daily report", "每日报告")
        case "weekly": language("Weekly report", "每周报告")
        case "monthly": language("Monthly report", "月度报告")
        case "custom": language("Custom report", "专题报告")
        default: language("Report", "报告") + " (\(OfflinePhrases.markdown(type, limit: 32)))"
        }
    }
}
