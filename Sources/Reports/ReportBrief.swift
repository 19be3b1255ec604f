// What a report is asked to be. A plain value, any thread. `init(json:)` throws a FieldError that names the field.
import Foundation
import Tenants
import TextFormats

public struct ReportBrief: Sendable, Hashable {
    /// Bounds of what is read from JSON, in characters and elements.
    public static let maxTypeLength = 32
    public static let maxPromptLength = 10_000
    public static let maxFocusAreas = 50
    public static let maxFocusAreaLength = 200
    public static let lengthRange = 1...1_000_000

    /// "daily", "weekly", "monthly", "custom".
    public var type: String
    /// The user's own words; nil when none were given.
    public var customPrompt: String?
    public var focusAreas: [String]
    public var format: ReportFormat
    /// "zh", "en", …
    public var language: String
    /// Upper bound of the finished text, in Unicode code points.
    public var maxLength: Int

    public init(
        type: String, customPrompt: String? = nil, focusAreas: [String] = [], format: ReportFormat = .markdown,
        language: String = "zh", maxLength: Int = 5_000
    ) {
        self.type = type
        self.customPrompt = customPrompt
        self.focusAreas = focusAreas
        self.format = format
        self.language = language
        self.maxLength = maxLength
    }

    /// `{type, custom_prompt?, focus_areas?, format, language, max_length}`.
    public var json: JSON {
        var fields = JSONObject()
        fields["type"] = .string(type)
        fields["custom_prompt"] = customPrompt.map(JSON.string)
        if !focusAreas.isEmpty { fields["focus_areas"] = .array(focusAreas.map(JSON.string)) }
        fields["format"] = .string(format.rawValue)
        fields["language"] = .string(language)
        fields["max_length"] = .int(Int64(maxLength))
        return .object(fields)
    }

    /// Strict: unknown fields, wrong types and values out of range are errors.
    public init(json: JSON, path: String = "") throws(FieldError) {
        var reader = try ObjectReader(json, path: path)
        let type = try reader.string("type", min: 1, max: Self.maxTypeLength)
        self.type = try reader.require(type, "type")
        customPrompt = try reader.string("custom_prompt", max: Self.maxPromptLength)
        focusAreas =
            try reader.strings("focus_areas", maxCount: Self.maxFocusAreas, maxLength: Self.maxFocusAreaLength) ?? []
        format = try reader.choice("format", of: ReportFormat.self) ?? .markdown
        language = try reader.string("language", min: 1, max: 35) ?? "zh"
        maxLength = try reader.int("max_length", in: Self.lengthRange) ?? 5_000
        try reader.finish()
    }

    /// The brief as the fenced block a report turn's message carries: one line of JSON, so nothing in it can end the
    /// fence.
    public var fencedBlock: String { "```\(Self.fence)\n\(json.text())\n```" }

    static let fence = "report-request"

    /// The brief in a message's first `report-request` block; nil when there is none or it is no valid brief.
    public static func inMessage(_ text: String) -> ReportBrief? {
        guard let start = text.range(of: "```\(fence)\n"),
            let end = text.range(of: "\n```", range: start.upperBound..<text.endIndex)
        else { return nil }
        // Both errors mean the same here: this message asks for no report.
        guard let json = try? JSON.parse(String(text[start.upperBound..<end.lowerBound])) else { return nil }
        return try? ReportBrief(json: json)
    }
}
