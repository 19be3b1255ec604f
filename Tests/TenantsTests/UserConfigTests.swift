// Changing settings: versions, lost updates, broken files.
import DurableFiles
import Foundation
import Synchronization
import TestSupport
import TextFormats
import Testing

@testable import Tenants

/// A value behind a lock, for results that threads of a test report.
final class Protected<Value: Sendable>: Sendable {
    private let stored: Mutex<Value>
    init(_ value: Value) { stored = Mutex(value) }
    func change(_ body: (inout Value) -> Void) { stored.withLock { body(&$0) } }
    var value: Value { stored.withLock { $0 } }
}

@Suite struct UserConfigTests {
    let house: TenantHouse
    let alice: UserID
    let configs: UserConfigManager

    init() throws {
        house = try TenantHouse()
        alice = try user("alice")
        configs = UserConfigManager(workspaces: house.manager())
        try configs.create(alice, initial: InitialUserData(watchlist: WatchlistChange(stocks: ["AAPL"])))
    }

    @Test("fields left out stay, and every change counts the version and the time")
    func partialUpdates() throws {
        house.advance(60)
        try configs.updateWatchlist(alice, WatchlistChange(keywords: ["AI"]))
        try configs.updatePreferences(alice, PreferencesChange(reportTime: "08:15"))
        try configs.updatePersona(alice, PersonaChange(riskPreference: " bold "))
        let config = try configs.updateCustomData(alice, ["a": 1, "b": [2]])
        #expect(config.watchlist == Watchlist(stocks: ["AAPL"], keywords: ["AI"]))
        #expect(config.preferences.reportTime == "08:15" && config.preferences.language == "zh")
        #expect(config.persona.riskPreference == "bold" && config.customData == ["a": 1, "b": [2]])
        #expect(config.version == 5 && config.etag == "\"5\"")
        #expect(config.updatedAt.timeIntervalSince(config.createdAt) == 60)
        #expect(try configs.updateCustomData(alice, ["a": nil]).customData == ["b": [2]])
        #expect(try UserConfigManager(workspaces: house.manager()).get(alice) == configs.get(alice))
    }

    @Test(
        "a patch of custom data merges objects, removes what is null and replaces all else (the examples of RFC 7396)",
        arguments: [
            (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
            (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
            (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
            (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
            (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#), (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#),
            (#"{"a":"foo"}"#, #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#), ("{}", #"{"a":{"b":[null]}}"#, #"{"a":{"b":[null]}}"#),
        ])
    func mergePatch(before: String, patch: String, after: String) throws {
        let object = { (text: String) in try #require(try JSON.parse(text).object) }
        let start = try object(before)
        try configs.update(alice) { $0.customData = start }
        #expect(try configs.updateCustomData(alice, try object(patch)).customData == object(after))
        #expect(try UserConfigManager(workspaces: house.manager()).get(alice).customData == object(after))
    }

    @Test("a patch whose result config.json could not be read with is refused: too large, too deep, too many members together")
    func unreadablePatch() throws {
        let deep = String(repeating: #"{"a":"#, count: 64) + "1" + String(repeating: "}", count: 64)
        let first = JSONObject((0..<3_000).map { ("a\($0)", JSON(1)) })
        let second = JSONObject((0..<3_000).map { ("b\($0)", JSON(1)) })
        try configs.updateCustomData(alice, ["many": .object(first)])
        let before = try configs.get(alice)
        for patch in [
            try #require(try JSON.parse(deep).object), ["many": .object(second)],
            ["x": .string(String(repeating: "y", count: 64 << 10))],
        ] {
            #expect { try configs.updateCustomData(alice, patch) } throws: {
                ($0 as? TenantError)?.code == .invalidField && ($0 as? TenantError)?.field == "custom_data"
            }
            #expect(try UserConfigManager(workspaces: house.manager()).get(alice) == before)
        }
    }

    @Test("a change that changes nothing writes nothing")
    func noChange() throws {
        let before = try house.text("alice/config.json")
        house.advance(60)
        #expect(try configs.updateWatchlist(alice, WatchlistChange(stocks: ["AAPL"])).version == 1)
        #expect(try house.text("alice/config.json") == before)
    }

    @Test("a change made for another version is refused")
    func versions() throws {
        #expect(try configs.updateWatchlist(alice, WatchlistChange(stocks: ["A"]), ifMatch: 1).version == 2)
        #expect { try configs.updateWatchlist(alice, WatchlistChange(stocks: ["B"]), ifMatch: 1) } throws: {
            ($0 as? TenantError)?.code == .versionConflict
        }
        #expect(try configs.get(alice).watchlist.stocks == ["A"])
    }

    @Test("values built in code keep the same rules as JSON")
    func codeIsChecked() throws {
        let before = try configs.get(alice)
        let attempts: [(UserConfigManager) throws -> Void] = [
            { try $0.updatePreferences(self.alice, PreferencesChange(reportTime: "25:00")) },
            { try $0.updatePreferences(self.alice, PreferencesChange(timezone: "Mars/Olympus")) },
            { try $0.updateWatchlist(self.alice, WatchlistChange(stocks: ["a\nb"])) },
            { try $0.updatePersona(self.alice, PersonaChange(focusAreas: [""])) },
            { try $0.update(self.alice) { $0.preferences.maxReportLength = 1 } },
            { try $0.update(self.alice) { $0.preferences.timezone = "Mars/Olympus" } },
            { try $0.updateCustomData(self.alice, ["x": .string(String(repeating: "y", count: 70_000))]) },
        ]
        for attempt in attempts {
            #expect { try attempt(self.configs) } throws: { ($0 as? TenantError)?.code == .invalidField }
        }
        #expect(try configs.get(alice) == before)
    }

    @Test("many threads, and two processes' worth of managers, lose no update")
    func noLostUpdate() throws {
        let both = [configs, UserConfigManager(workspaces: house.manager())]
        let reported = Protected<[String]>([])
        try onThreads(8) { [alice] index in
            for turn in 0..<10 {
                let added = try both[index % 2].addToWatchlist(alice, .stocks, ["S\(index)-\(turn)"])
                reported.change { $0 += added.changed }
                _ = try both[(index + 1) % 2].get(alice)
            }
        }
        let expected = Set((0..<8).flatMap { index in (0..<10).map { "S\(index)-\($0)" } })
        for manager in both {
            let config = try manager.get(alice)
            #expect(Set(config.watchlist.stocks) == expected.union(["AAPL"]))
            #expect(config.version == 81)
        }
        #expect(Set(reported.value) == expected)
    }

    @Test("one manager sees at once what another wrote, cached or not", arguments: [0.0, 1_000_000_000])
    func caching(_ age: TimeInterval) throws {
        house.advance(age)  // with an old file the cache is in use, with a fresh one it is not
        let other = UserConfigManager(workspaces: house.manager())
        for turn in 0..<20 {
            try other.updateWatchlist(alice, WatchlistChange(stocks: ["S\(turn)"]))
            #expect(try configs.get(alice).watchlist.stocks == ["S\(turn)"])
            #expect(try configs.get(alice) == other.get(alice))
        }
    }

    @Test("a corrupt config is set aside and reported, never overwritten or made anew", arguments: [
        "", "{\"user_id\": \"alice\"", "[]", "null", "\u{0}\u{1}", "{\"a\":1,\"a\":2}",
    ])
    func corrupt(_ text: String) throws {
        let original = try house.text("alice/config.json")
        try house.overwrite("alice/config.json", text)
        let error = #expect(throws: TenantError.self) { try self.configs.get(self.alice) }
        #expect(error?.code == .configCorrupt)
        let kept = try #require(error?.quarantinePath)
        #expect(kept.hasPrefix("\(house.root)/alice/config.json.corrupt-"))
        let name = PathParts.split(kept).name
        #expect(try house.text("alice/\(name)") == text)
        // It stays so, for every caller, until somebody repairs it.
        for _ in 0..<2 {
            let again = #expect(throws: TenantError.self) {
                try self.configs.updateWatchlist(self.alice, WatchlistChange(stocks: ["X"]))
            }
            #expect(again?.code == .configCorrupt && again?.quarantinePath == kept)
        }
        #expect(try house.manager().info(alice).config == nil)
        #expect(try LinuxFileSystem().exists("\(house.root)/alice/config.json") == false)
        try house.overwrite("alice/config.json", original)
        #expect(try configs.get(alice).watchlist.stocks == ["AAPL"])
    }

    @Test("two files set aside in the same moment are both kept")
    func corruptTwice() throws {
        for text in ["{one", "{two"] {
            try house.overwrite("alice/config.json", text)
            #expect(throws: TenantError.self) { try self.configs.get(self.alice) }
        }
        let kept = try LinuxFileSystem().list("\(house.root)/alice").map(\.name)
            .filter { $0.hasPrefix("config.json.corrupt-") }
        #expect(Set(try kept.map { try house.text("alice/\($0)") }) == ["{one", "{two"])
    }

    @Test("a readable config with a senseless value stays where it can be mended, and the field is named", arguments: [
        ("\"09:00\"", "\"nine\"", "preferences.report_time"), ("\"alice\"", "\"bob\"", "user_id"),
        ("\"version\": 1", "\"version\": 0", "version"), ("\"version\": 1", "\"versio\": 1", "version"),
        ("\"incarnation\": \"a", "\"incarnation\": \"x", "incarnation"),
        ("[\n      \"AAPL\"\n    ]", "5", "watchlist.stocks"),
    ])
    func senselessValue(_ old: String, _ new: String, _ field: String) throws {
        let text = try house.text("alice/config.json")
        let spoilt = text.replacingOccurrences(of: old, with: new)
        try #require(spoilt != text)
        try house.overwrite("alice/config.json", spoilt)
        let error = #expect(throws: TenantError.self) { try self.configs.get(self.alice) }
        #expect(error?.code == .configCorrupt && error?.field == field)
        #expect(try house.text("alice/config.json") == spoilt)
    }

    @Test("a channel that does not exist is refused by name, unless the user has it stored; then it may stay or go")
    func channels() throws {
        func change(_ channels: [String]) throws -> [String] {
            let change = try PreferencesChange(json: ["notification_channels": JSON(channels)], path: "")
            return try configs.updatePreferences(alice, change).preferences.notificationChannels
        }
        func refusal(_ channels: [String]) -> TenantError? {
            #expect(throws: TenantError.self) { try change(channels) }
        }
        for channel in ["push", "webhook", "email"] {
            let error = refusal(["file", channel])
            #expect(error?.code == .invalidField && error?.field == "notification_channels")
            #expect(error?.detail.contains("\"\(channel)\"") == true)
        }
        let text = try house.text("alice/config.json")
        let stored = text.replacingOccurrences(of: "\"file\"", with: "\"file\", \"email\"")
        try #require(stored != text)
        try house.overwrite("alice/config.json", stored)
        #expect(try configs.get(alice).preferences.notificationChannels == ["file", "email"])
        let other = try configs.updatePreferences(alice, try PreferencesChange(json: ["language": "en"]))
        #expect(other.preferences.notificationChannels == ["file", "email"] && other.preferences.language == "en")
        #expect(try change(["email"]) == ["email"])
        #expect(refusal(["email", "push"])?.detail.contains("push") == true)
        #expect(try house.manager().clone(from: alice, to: try user("copy")).preferences.notificationChannels == [])
        #expect(try change(["file"]) == ["file"])
        #expect(refusal(["email"])?.code == .invalidField)
    }

    @Test("a config the service may not read is damaged like any other, stays in place and is good again with its rights")
    func unreadable() throws {
        let files = FaultyFileSystem(.failFirst("openat2 config.json", errno: 13))
        let error = #expect(throws: TenantError.self) {
            try UserConfigManager(workspaces: self.house.manager(files: files)).get(self.alice)
        }
        #expect(error?.code == .configCorrupt && error?.quarantinePath == nil)
        #expect(try configs.get(alice).watchlist.stocks == ["AAPL"])
    }

    @Test("damaged files are named without being touched, and are damages no longer when they are repaired", arguments: [
        ("config.json", "{", true), ("config.json", "{}", true), ("account.json", "[", true),
        ("schedules.json.corrupt-1", "x", false),
    ])
    func damages(_ name: String, _ text: String, _ isBlocking: Bool) throws {
        let manager = house.manager()
        #expect(try manager.damages(of: alice).isEmpty)
        let before = try house.text("alice/config.json")
        try house.overwrite("alice/\(name)", text)
        for _ in 0..<2 {
            let found = try manager.damages(of: alice)
            #expect(found.map(\.isBlocking) == [isBlocking])
            #expect(found.first?.detail.contains(name.prefix { $0 != "." }) == true)
            #expect(try house.text("alice/\(name)") == text)
        }
        if name == "config.json" {
            try house.overwrite("alice/\(name)", before)
        } else {
            try LinuxFileSystem().remove("\(house.root)/alice/\(name)")
        }
        #expect(try manager.damages(of: alice).isEmpty && manager.damages(of: try user("nobody")).isEmpty)
    }

    @Test("members a newer version wrote survive a change")
    func unknownMembers() throws {
        var root = try #require(try JSON.parse(try house.text("alice/config.json")).object)
        root["tier"] = ["name": "gold"]
        for section in ["watchlist", "preferences", "persona"] {
            var part = try #require(root[section]?.object)
            part["later"] = [1, 2]
            root[section] = .object(part)
        }
        try house.overwrite("alice/config.json", JSON.object(root).text())
        try configs.updateWatchlist(alice, WatchlistChange(stocks: ["TSLA"]))
        let after = try JSON.parse(try house.text("alice/config.json"))
        #expect(after["tier"] == ["name": "gold"] && after["version"] == 2)
        #expect(["watchlist", "preferences", "persona"].allSatisfy { after[$0]?["later"] == [1, 2] })
        #expect(try configs.get(alice).publicJSON["tier"] == nil)
    }

    @Test("a missing config of an existing user is corruption, not absence")
    func missing() throws {
        try LinuxFileSystem().remove("\(house.root)/alice/config.json")
        #expect { try self.configs.get(self.alice) } throws: { ($0 as? TenantError)?.code == .configCorrupt }
        #expect(try house.manager().exists(alice))
    }

    @Test("changes race with a deletion without bringing the user back")
    func deleteRace() throws {
        let manager = house.manager()
        try onThreads(4) { [alice, configs] index in
            do {
                for turn in 0..<20 {
                    if index == 0, turn == 5 { return try manager.delete(alice) }
                    try configs.addToWatchlist(alice, .stocks, ["S\(index)-\(turn)"])
                }
            } catch let error as TenantError where error.code == .userNotFound {}
        }
        #expect(try house.names().isEmpty)
    }
}
