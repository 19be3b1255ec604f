// What kind of investor a user is; it goes into prompts, so it is short, printable and one line per text.
// Values; any thread. All texts are free: people and languages differ in how they say "cautious".
import TextFormats

public struct Persona: Sendable, Hashable {
    public var riskPreference: String?
    public var investmentExperience: String?
    public var investmentHorizon: String?
    public var preferredReportLength: String?
    public var focusAreas: [String]
    public var avoidTopics: [String]

    public init(
        riskPreference: String? = nil, investmentExperience: String? = nil, investmentHorizon: String? = nil,
        preferredReportLength: String? = nil, focusAreas: [String] = [], avoidTopics: [String] = []
    ) {
        self.riskPreference = riskPreference
        self.investmentExperience = investmentExperience
        self.investmentHorizon = investmentHorizon
        self.preferredReportLength = preferredReportLength
        self.focusAreas = focusAreas
        self.avoidTopics = avoidTopics
    }

    /// Strict: unknown keys, wrong types and texts out of bounds throw, named with `path` in front.
    public init(json: JSON, path: String = "persona") throws(FieldError) {
        self.init()
        apply(try PersonaChange(json: json, path: path))
    }

    public mutating func apply(_ change: PersonaChange) {
        func set(_ target: inout String?, _ value: String?) {
            if let value { target = value.isEmpty ? nil : value }
        }
        set(&riskPreference, change.riskPreference)
        set(&investmentExperience, change.investmentExperience)
        set(&investmentHorizon, change.investmentHorizon)
        set(&preferredReportLength, change.preferredReportLength)
        if let value = change.focusAreas { focusAreas = value }
        if let value = change.avoidTopics { avoidTopics = value }
    }

    /// The change that leads here from any persona.
    var asChange: PersonaChange {
        PersonaChange(
            riskPreference: riskPreference ?? "", investmentExperience: investmentExperience ?? "",
            investmentHorizon: investmentHorizon ?? "", preferredReportLength: preferredReportLength ?? "",
            focusAreas: focusAreas, avoidTopics: avoidTopics)
    }

    /// Texts that are not set are null.
    public var json: JSON {
        func text(_ value: String?) -> JSON { value.map { .string($0) } ?? .null }
        return [
            "risk_preference": text(riskPreference),
            "investment_experience": text(investmentExperience),
            "investment_horizon": text(investmentHorizon),
            "preferred_report_length": text(preferredReportLength),
            "focus_areas": .array(focusAreas.map { .string($0) }),
            "avoid_topics": .array(avoidTopics.map { .string($0) }),
        ]
    }
}

/// New values for some of a persona's fields: nil leaves a field as it is, "" (null in JSON) clears a text.
public struct PersonaChange: Sendable, Hashable {
    public var riskPreference: String?
    public var investmentExperience: String?
    public var investmentHorizon: String?
    public var preferredReportLength: String?
    public var focusAreas: [String]?
    public var avoidTopics: [String]?

    public init(
        riskPreference: String? = nil, investmentExperience: String? = nil, investmentHorizon: String? = nil,
        preferredReportLength: String? = nil, focusAreas: [String]? = nil, avoidTopics: [String]? = nil
    ) {
        self.riskPreference = riskPreference
        self.investmentExperience = investmentExperience
        self.investmentHorizon = investmentHorizon
        self.preferredReportLength = preferredReportLength
        self.focusAreas = focusAreas
        self.avoidTopics = avoidTopics
    }

    public init(json: JSON, path: String = "persona") throws(FieldError) {
        var reader = try ObjectReader(json, path: path)
        try self.init(&reader, json: json, path: path)
        try reader.finish()
    }

    init(_ reader: inout ObjectReader, json: JSON, path: String) throws(FieldError) {
        func text(_ key: String, _ reader: inout ObjectReader) throws(FieldError) -> String? {
            let value = try reader.string(key)
            return json[key]?.isNull == true ? "" : value
        }
        func list(_ key: String, _ reader: inout ObjectReader) throws(FieldError) -> [String]? {
            try reader.strings(
                key, maxCount: EntryRules.maximumRawEntries, maxLength: EntryRules.maximumRawLength)
        }
        self.init(
            riskPreference: try text("risk_preference", &reader),
            investmentExperience: try text("investment_experience", &reader),
            investmentHorizon: try text("investment_horizon", &reader),
            preferredReportLength: try text("preferred_report_length", &reader),
            focusAreas: try list("focus_areas", &reader),
            avoidTopics: try list("avoid_topics", &reader))
        self = try validated(path: path)
    }

    /// The change with its texts trimmed. - Throws: the first one that breaks a rule.
    public func validated(path: String = "persona") throws(FieldError) -> PersonaChange {
        func text(_ value: String?, _ key: String) throws(FieldError) -> String? {
            guard let value else { return nil }
            return try EntryRules.text(value, field: EntryRules.join(path, key))
        }
        func list(_ value: [String]?, _ key: String) throws(FieldError) -> [String]? {
            guard let value else { return nil }
            return try EntryRules.list(value, field: EntryRules.join(path, key))
        }
        return PersonaChange(
            riskPreference: try text(riskPreference, "risk_preference"),
            investmentExperience: try text(investmentExperience, "investment_experience"),
            investmentHorizon: try text(investmentHorizon, "investment_horizon"),
            preferredReportLength: try text(preferredReportLength, "preferred_report_length"),
            focusAreas: try list(focusAreas, "focus_areas"),
            avoidTopics: try list(avoidTopics, "avoid_topics"))
    }
}
