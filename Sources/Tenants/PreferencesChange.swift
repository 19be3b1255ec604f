// New values for some preferences, with the rules each value must keep. A value; any thread; throws FieldError.
// Whether a time zone exists is asked of a closure, since that is a fact of the machine.
import TextFormats

public struct PreferencesChange: Sendable, Hashable {
    public var reportFrequency: ReportFrequency?
    public var reportTime: String?
    public var reportWeekday: Weekday?
    /// An IANA name; "" (null in JSON) goes back to the server's default; nil leaves it as it is.
    public var timezone: String?
    public var reportFormat: ReportFormat?
    public var language: String?
    public var maxReportLength: Int?
    public var notificationChannels: [String]?

    public init(
        reportFrequency: ReportFrequency? = nil, reportTime: String? = nil, reportWeekday: Weekday? = nil,
        timezone: String? = nil, reportFormat: ReportFormat? = nil, language: String? = nil,
        maxReportLength: Int? = nil, notificationChannels: [String]? = nil
    ) {
        self.reportFrequency = reportFrequency
        self.reportTime = reportTime
        self.reportWeekday = reportWeekday
        self.timezone = timezone
        self.reportFormat = reportFormat
        self.language = language
        self.maxReportLength = maxReportLength
        self.notificationChannels = notificationChannels
    }

    /// A change of an existing user's preferences. A channel of `formerChannels` passes here, since the user may have it:
    /// `UserConfigManager` compares with the stored preferences.
    public init(
        json: JSON, path: String = "preferences",
        isKnownTimeZone: (String) -> Bool = TimeZoneName.isInstalled
    ) throws(FieldError) {
        try self.init(
            json: json, path: path, storedChannels: Preferences.formerChannels, isKnownTimeZone: isKnownTimeZone)
    }

    init(
        json: JSON, path: String, storedChannels: [String], isKnownTimeZone: (String) -> Bool
    ) throws(FieldError) {
        var reader = try ObjectReader(json, path: path)
        try self.init(
            &reader, json: json, path: path, storedChannels: storedChannels, isKnownTimeZone: isKnownTimeZone)
        try reader.finish()
    }

    /// - Parameter storedChannels: channels accepted besides those that exist.
    init(
        _ reader: inout ObjectReader, json: JSON, path: String, storedChannels: [String],
        isKnownTimeZone: (String) -> Bool
    ) throws(FieldError) {
        self.init()
        reportFrequency = try reader.choice("report_frequency", of: ReportFrequency.self)
        reportTime = try reader.string("report_time")
        reportWeekday = try reader.choice("report_weekday", of: Weekday.self)
        timezone = try reader.string("timezone")
        if json["timezone"]?.isNull == true { timezone = "" }
        reportFormat = try reader.choice("report_format", of: ReportFormat.self)
        language = try reader.string("language")
        maxReportLength = try reader.int("max_report_length", in: Preferences.reportLengths)
        notificationChannels = try reader.strings(
            "notification_channels", maxCount: EntryRules.maximumEntries, maxLength: EntryRules.maximumEntryLength)
        self = try validated(path: path, storedChannels: storedChannels, isKnownTimeZone: isKnownTimeZone)
    }

    /// The change with its texts trimmed.
    /// - Parameter storedChannels: the channels the user already has; they may be repeated, also those that do not exist.
    /// - Throws: the first value that breaks a rule.
    public func validated(
        path: String = "preferences", storedChannels: [String] = [],
        isKnownTimeZone: (String) -> Bool = TimeZoneName.isInstalled
    ) throws(FieldError) -> PreferencesChange {
        var result = self
        func field(_ key: String) -> String { EntryRules.join(path, key) }
        if let value = reportTime { result.reportTime = try Self.time(value, field: field("report_time")) }
        if let value = timezone {
            result.timezone = try Self.zone(value, field: field("timezone"), isKnown: isKnownTimeZone)
        }
        if let value = language { result.language = try Self.language(value, field: field("language")) }
        if let value = maxReportLength, !Preferences.reportLengths.contains(value) {
            throw FieldError(
                field: field("max_report_length"),
                detail: "must be between \(Preferences.reportLengths.lowerBound) and "
                    + "\(Preferences.reportLengths.upperBound)")
        }
        if let value = notificationChannels {
            result.notificationChannels = try Self.channels(
                value, stored: storedChannels, field: field("notification_channels"))
        }
        return result
    }

    /// Only the values that change.
    public var json: JSON {
        var object = JSONObject()
        object["report_frequency"] = reportFrequency.map { .string($0.rawValue) }
        object["report_time"] = reportTime.map { .string($0) }
        object["report_weekday"] = reportWeekday.map { .string($0.rawValue) }
        object["timezone"] = timezone.map { $0.isEmpty ? .null : .string($0) }
        object["report_format"] = reportFormat.map { .string($0.rawValue) }
        object["language"] = language.map { .string($0) }
        object["max_report_length"] = maxReportLength.map { .int(Int64($0)) }
        object["notification_channels"] = notificationChannels.map { .array($0.map { .string($0) }) }
        return .object(object)
    }

    // MARK: - Rules

    private static func time(_ text: String, field: String) throws(FieldError) -> String {
        let bytes = Array(text.utf8)
        let digits = [0, 1, 3, 4].allSatisfy { bytes.indices.contains($0) && (48...57).contains(bytes[$0]) }
        guard bytes.count == 5, digits, bytes[2] == UInt8(ascii: ":"), text.prefix(2) < "24", bytes[3] < 54 else {
            throw FieldError(
                field: field, detail: "must be a time of day \"HH:MM\" from \"00:00\" to \"23:59\", such as \"09:00\"")
        }
        return text
    }

    private static func zone(
        _ name: String, field: String, isKnown: (String) -> Bool
    ) throws(FieldError) -> String {
        guard name.isEmpty || (TimeZoneName.isWellFormed(name) && isKnown(name)) else {
            throw FieldError(
                field: field, detail: "must be an IANA time zone such as \"Asia/Shanghai\" or \"UTC\"")
        }
        return name
    }

    private static func language(_ tag: String, field: String) throws(FieldError) -> String {
        guard LanguageTag.isWellFormed(tag) else {
            throw FieldError(field: field, detail: "must be a language tag such as \"en\", \"zh\" or \"pt-BR\"")
        }
        return tag
    }

    private static func channels(
        _ names: [String], stored: [String], field: String
    ) throws(FieldError) -> [String] {
        let kept = try EntryRules.list(names, field: field)
        for name in kept where !Preferences.channels.contains(name) && !stored.contains(name) {
            throw FieldError(
                field: field,
                detail: "\"\(name)\" is no channel of this version; choose from: "
                    + Preferences.channels.joined(separator: ", "))
        }
        return kept
    }
}
