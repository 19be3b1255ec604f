// What a user wants reports and answers to be like. A value; any thread. The defaults are DESIGN's.
import TextFormats

public enum ReportFrequency: String, Sendable, CaseIterable {
    case daily, weekly, both, realtime, off
}

public enum ReportFormat: String, Sendable, CaseIterable {
    case markdown, html, json, text
}

public enum Weekday: String, Sendable, CaseIterable {
    case monday, tuesday, wednesday, thursday, friday, saturday, sunday
}

public struct Preferences: Sendable, Hashable {
    /// Bounds of `maxReportLength`, in characters.
    public static let reportLengths = 100...100_000
    /// The channels a report can be announced on. Only these can be chosen.
    public static let channels = ["file"]
    /// Channels that earlier versions accepted although nothing was ever sent on them. A user who has one keeps it: it
    /// loads, may be repeated and may be removed.
    static let formerChannels = ["push", "webhook", "email"]

    public var reportFrequency: ReportFrequency = .daily
    /// Local wall clock time in the user's time zone, "HH:MM", 24 hours.
    public var reportTime: String = "09:00"
    /// The day of the weekly report.
    public var reportWeekday: Weekday = .monday
    /// IANA name, or nil for the server's default time zone (`UserConfig.timeZone` resolves it).
    public var timezone: String?
    public var reportFormat: ReportFormat = .markdown
    /// BCP 47 language tag; chat answers in the language it is written to in.
    public var language: String = "zh"
    /// Longest report, in characters, 100…100,000.
    public var maxReportLength: Int = 5_000
    public var notificationChannels: [String] = ["file"]

    public init() {}

    /// Strict: unknown keys, wrong types and values out of range throw, named with `path` in front.
    public init(
        json: JSON, path: String = "preferences",
        isKnownTimeZone: (String) -> Bool = TimeZoneName.isInstalled
    ) throws(FieldError) {
        self.init()
        apply(try PreferencesChange(json: json, path: path, isKnownTimeZone: isKnownTimeZone))
    }

    public mutating func apply(_ change: PreferencesChange) {
        if let value = change.reportFrequency { reportFrequency = value }
        if let value = change.reportTime { reportTime = value }
        if let value = change.reportWeekday { reportWeekday = value }
        if let value = change.timezone { timezone = value.isEmpty ? nil : value }
        if let value = change.reportFormat { reportFormat = value }
        if let value = change.language { language = value }
        if let value = change.maxReportLength { maxReportLength = value }
        if let value = change.notificationChannels { notificationChannels = value }
    }

    /// The change that leads here from any preferences.
    var asChange: PreferencesChange {
        PreferencesChange(
            reportFrequency: reportFrequency, reportTime: reportTime, reportWeekday: reportWeekday,
            timezone: timezone ?? "", reportFormat: reportFormat, language: language,
            maxReportLength: maxReportLength, notificationChannels: notificationChannels)
    }

    /// `timezone` is null while the server's default applies.
    public var json: JSON { json(timezone: timezone) }

    func json(timezone: String?) -> JSON {
        [
            "report_frequency": .string(reportFrequency.rawValue),
            "report_time": .string(reportTime),
            "report_weekday": .string(reportWeekday.rawValue),
            "timezone": timezone.map { .string($0) } ?? .null,
            "report_format": .string(reportFormat.rawValue),
            "language": .string(language),
            "max_report_length": .int(Int64(maxReportLength)),
            "notification_channels": .array(notificationChannels.map { .string($0) }),
        ]
    }
}
