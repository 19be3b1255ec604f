// What a user is created with: merged over the defaults. Strict about its input, since a misspelt key would be
// data lost without a word. A value; any thread; throws FieldError.
import TextFormats

public struct InitialUserData: Sendable, Hashable {
    public var watchlist: WatchlistChange?
    public var preferences: PreferencesChange?
    public var persona: PersonaChange?
    public var customData: JSONObject?

    public init(
        watchlist: WatchlistChange? = nil, preferences: PreferencesChange? = nil, persona: PersonaChange? = nil,
        customData: JSONObject? = nil
    ) {
        self.watchlist = watchlist
        self.preferences = preferences
        self.persona = persona
        self.customData = customData
    }

    /// Reads `{watchlist?, preferences?, persona?, custom_data?}`; null counts as left out.
    public init(
        json: JSON, path: String = "initial_data",
        isKnownTimeZone: (String) -> Bool = TimeZoneName.isInstalled
    ) throws(FieldError) {
        self.init()
        var reader = try ObjectReader(json, path: path)
        if let part = Self.part("watchlist", &reader) {
            watchlist = try WatchlistChange(json: part, path: EntryRules.join(path, "watchlist"))
        }
        if let part = Self.part("preferences", &reader) {
            preferences = try PreferencesChange(
                json: part, path: EntryRules.join(path, "preferences"), storedChannels: [],
                isKnownTimeZone: isKnownTimeZone)
        }
        if let part = Self.part("persona", &reader) {
            persona = try PersonaChange(json: part, path: EntryRules.join(path, "persona"))
        }
        if let part = Self.part("custom_data", &reader) {
            customData = try CustomData.object(part, field: EntryRules.join(path, "custom_data"))
        }
        try reader.finish()
    }

    private static func part(_ key: String, _ reader: inout ObjectReader) -> JSON? {
        guard let value = reader.json(key), !value.isNull else { return nil }
        return value
    }

    /// - Throws: the first value that breaks a rule; for data built in code rather than read from JSON.
    public func validated(
        path: String = "initial_data", isKnownTimeZone: (String) -> Bool = TimeZoneName.isInstalled
    ) throws(FieldError) -> InitialUserData {
        var result = self
        result.watchlist = try watchlist?.validated(path: EntryRules.join(path, "watchlist"))
        result.preferences = try preferences?.validated(
            path: EntryRules.join(path, "preferences"), isKnownTimeZone: isKnownTimeZone)
        result.persona = try persona?.validated(path: EntryRules.join(path, "persona"))
        if let customData { try CustomData.check(customData, field: EntryRules.join(path, "custom_data")) }
        return result
    }
}

/// The rules of `custom_data`: an object of the caller's own, opaque to us but bounded.
enum CustomData {
    /// Largest custom_data, in bytes of compact JSON.
    static let maximumBytes = 64 << 10

    static func object(_ json: JSON, field: String) throws(FieldError) -> JSONObject {
        guard let object = json.object else { throw FieldError(field: field, detail: "must be an object") }
        try check(object, field: field)
        return object
    }

    static func check(_ object: JSONObject, field: String) throws(FieldError) {
        let bytes = JSON.object(object).bytes()
        guard bytes.count <= maximumBytes else {
            throw FieldError(field: field, detail: "must have at most \(maximumBytes >> 10) KiB as JSON")
        }
        // Two patches that are each within the reader's bounds may together be beyond them. config.json holds the object one level
        // deeper; a file that cannot be read again would lock the user out.
        do {
            _ = try JSON.parse(Array("{\"custom_data\":".utf8) + bytes + [UInt8(ascii: "}")])
        } catch {
            throw FieldError(field: field, detail: "is nested too deeply, or an object in it has too many members: \(error.detail)")
        }
    }

    /// `patch` merged into `target` (RFC 7396). As deep as the patch, which the JSON parser bounds.
    static func merged(_ patch: JSONObject, into target: JSONObject) -> JSONObject {
        var result = target
        for (key, value) in patch {
            if value.isNull {
                // Not "nil", which as a JSON literal would be null and stored.
                result[key] = Optional.none
            } else if let inner = value.object {
                result[key] = .object(merged(inner, into: result[key]?.object ?? [:]))
            } else {
                result[key] = value
            }
        }
        return result
    }
}
