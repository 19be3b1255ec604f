// A user's settings as a value: what is in config.json, and its two JSON forms. Pure; any thread.
// Reading and writing the file is ConfigFile's, changing it under a lock UserConfigManager's.
import Foundation
import TextFormats

public struct UserConfig: Sendable, Hashable {
    public let userID: UserID
    public let createdAt: Date
    public internal(set) var updatedAt: Date
    public var watchlist: Watchlist
    public var preferences: Preferences
    public var persona: Persona
    /// The caller's own data, at most 64 KiB of JSON; opaque to us.
    public var customData: JSONObject
    /// Counts the changes, from 1.
    public internal(set) var version: Int
    /// 16 random hex digits, made with the user: a user made anew under the same id has another one.
    public let incarnation: String
    /// What applies while `preferences.timezone` is nil; comes from the server, is not stored.
    public let defaultTimeZone: String
    /// Members of the stored file that this version does not know, to be written back as they were.
    private(set) var unknown: UnknownMembers

    /// The user's IANA time zone.
    public var timeZone: String { preferences.timezone ?? defaultTimeZone }

    /// The entity tag of this version, as it stands in the ETag header.
    public var etag: String { "\"\(version)\"" }

    /// A new user's config, at version 1. - Parameter incarnation: 16 hex digits.
    init(userID: UserID, incarnation: String, defaultTimeZone: String, now: Date) {
        self.userID = userID
        self.incarnation = incarnation
        self.defaultTimeZone = defaultTimeZone
        createdAt = now
        updatedAt = now
        watchlist = Watchlist()
        preferences = Preferences()
        persona = Persona()
        customData = JSONObject()
        version = 1
        unknown = UnknownMembers()
    }

    /// Takes over what was given, keeps the rest.
    mutating func apply(_ data: InitialUserData) {
        if let change = data.watchlist { watchlist.apply(change) }
        if let change = data.preferences { preferences.apply(change) }
        if let change = data.persona { persona.apply(change) }
        if let object = data.customData { customData = object }
    }

    /// The same settings under all the rules that every way in checks: for configs changed as Swift values.
    /// The time zone and the channels of `before` pass: the zone may be installed no longer, and a channel may be one of
    /// `Preferences.formerChannels`.
    func validated(
        before: UserConfig, isKnownTimeZone: (String) -> Bool
    ) throws(FieldError) -> UserConfig {
        var result = self
        result.watchlist.apply(try watchlist.asChange.validated())
        let known = before.preferences.timezone
        result.preferences.apply(
            try preferences.asChange.validated(
                storedChannels: before.preferences.notificationChannels,
                isKnownTimeZone: { $0 == known || isKnownTimeZone($0) }))
        result.persona.apply(try persona.asChange.validated())
        try CustomData.check(customData, field: "custom_data")
        return result
    }
}

// MARK: - JSON

extension UserConfig {
    private enum Key {
        static let all = [
            "user_id", "version", "incarnation", "created_at", "updated_at", "watchlist", "preferences", "persona",
            "custom_data",
        ]
    }

    /// What the API shows: the time zone is the one that applies.
    public var publicJSON: JSON {
        [
            "user_id": .string(userID.rawValue),
            "created_at": .string(RFC3339.string(createdAt)),
            "updated_at": .string(RFC3339.string(updatedAt)),
            "watchlist": watchlist.json,
            "preferences": preferences.json(timezone: timeZone),
            "persona": persona.json,
            "custom_data": .object(customData),
        ]
    }

    /// What config.json holds.
    public var json: JSON {
        var root: JSONObject = [
            "user_id": .string(userID.rawValue),
            "version": JSON(version),
            "incarnation": .string(incarnation),
            "created_at": .string(RFC3339.string(createdAt)),
            "updated_at": .string(RFC3339.string(updatedAt)),
        ]
        root["watchlist"] = unknown.added(to: watchlist.json, of: "watchlist")
        root["preferences"] = unknown.added(to: preferences.json, of: "preferences")
        root["persona"] = unknown.added(to: persona.json, of: "persona")
        root["custom_data"] = .object(customData)
        return unknown.added(to: .object(root), of: "")
    }

    /// Reads the stored form. Lenient where a newer version or a hand may have been at work: unknown members are kept,
    /// missing sections have their defaults. Strict about what is there: a value that breaks a rule throws.
    /// Whether the time zone is installed is not asked, as the file may come from another machine.
    init(stored json: JSON, user: UserID, defaultTimeZone: String) throws(FieldError) {
        var reader = try ObjectReader(json)
        let name = try reader.require(try reader.string("user_id"), "user_id")
        guard name == user.rawValue else {
            throw reader.error("user_id", "is \"\(name.prefix(64))\", but the folder is that of \"\(user)\"")
        }
        let random = try reader.require(try reader.string("incarnation"), "incarnation")
        guard Incarnation.isWellFormed(random) else {
            throw reader.error("incarnation", "must be 16 lower-case hex digits")
        }
        let created = try reader.require(try reader.time("created_at"), "created_at")
        self.init(userID: user, incarnation: random, defaultTimeZone: defaultTimeZone, now: created)
        updatedAt = try reader.time("updated_at") ?? created
        version = try reader.require(try reader.int("version", in: 1...Int.max), "version")
        if let part = reader.json("watchlist") {
            var section = try ObjectReader(part, path: "watchlist")
            watchlist.apply(try WatchlistChange(&section, path: "watchlist"))
        }
        if let part = reader.json("preferences") {
            var section = try ObjectReader(part, path: "preferences")
            preferences.apply(
                try PreferencesChange(
                    &section, json: part, path: "preferences", storedChannels: Preferences.formerChannels,
                    isKnownTimeZone: { _ in true }))
        }
        if let part = reader.json("persona") {
            var section = try ObjectReader(part, path: "persona")
            persona.apply(try PersonaChange(&section, json: part, path: "persona"))
        }
        if let part = reader.json("custom_data") {
            customData = try CustomData.object(part, field: "custom_data")
        }
        unknown = UnknownMembers(
            json,
            known: [
                "": Key.all, "watchlist": watchlist.json.object?.keys ?? [],
                "preferences": preferences.json.object?.keys ?? [], "persona": persona.json.object?.keys ?? [],
            ])
    }
}

/// Members of a stored config and of its sections that this version has no name for.
struct UnknownMembers: Sendable, Hashable {
    /// By section; "" is the top level.
    private var bySection: [String: JSONObject] = [:]

    init() {}

    init(_ json: JSON, known: [String: [String]]) {
        for (section, keys) in known {
            guard let object = section.isEmpty ? json.object : json[section]?.object else { continue }
            let rest = object.filter { !keys.contains($0.key) }
            if !rest.isEmpty { bySection[section] = JSONObject(rest.map { ($0.key, $0.value) }) }
        }
    }

    func added(to json: JSON, of section: String) -> JSON {
        guard let rest = bySection[section], var object = json.object else { return json }
        object.merge(rest)
        return .object(object)
    }
}

/// The random part of a user's identity.
enum Incarnation {
    static let length = 16

    static func isWellFormed(_ text: String) -> Bool {
        text.utf8.count == length && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
}
