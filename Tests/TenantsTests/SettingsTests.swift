// The rules every setting keeps, whichever way it comes in.
import TextFormats
import Testing

@testable import Tenants

@Suite struct SettingsTests {
    static let zones: @Sendable (String) -> Bool = { ["UTC", "Asia/Shanghai"].contains($0) }

    static func initial(_ json: JSON) throws(FieldError) -> InitialUserData {
        try InitialUserData(json: json, isKnownTimeZone: zones)
    }

    static func preference(_ key: String, _ value: JSON) -> JSON { ["preferences": .object([key: value])] }

    @Test("a value within the rules is taken as it is", arguments: [
        ("report_time", "00:00"), ("report_time", "23:59"), ("timezone", "UTC"), ("timezone", "Asia/Shanghai"),
        ("report_frequency", "realtime"), ("report_weekday", "sunday"), ("report_format", "html"), ("language", "en"),
        ("language", "zh-Hans-CN"), ("language", "yue"), ("max_report_length", 100), ("max_report_length", 100_000),
        ("notification_channels", ["file"]), ("notification_channels", []),
    ] as [(String, JSON)])
    func accepted(_ key: String, _ value: JSON) throws {
        var preferences = Preferences()
        preferences.apply(try #require(try Self.initial(Self.preference(key, value)).preferences))
        #expect(preferences.json[key] == value)
    }

    @Test("a value outside the rules is refused with its field", arguments: [
        ("report_time", "24:00"), ("report_time", "9:00"), ("report_time", "09:60"), ("report_time", "09:00:00"),
        ("report_time", "０9:00"), ("report_time", ""), ("report_time", 9), ("timezone", "Mars/Olympus"),
        ("timezone", "../../etc/passwd"), ("timezone", 8), ("report_frequency", "hourly"), ("report_weekday", "mon"),
        ("report_format", "pdf"), ("language", "e"), ("language", "english"), ("language", "en_US"),
        ("language", "en-"), ("language", ""), ("max_report_length", 99), ("max_report_length", 100_001), ("max_report_length", 2.5),
        ("max_report_length", "5000"), ("notification_channels", ["sms"]), ("notification_channels", "file"),
        ("notification_channels", ["file", "push"]), ("notification_channels", ["webhook"]), ("notification_channels", ["email"]),
    ] as [(String, JSON)])
    func refused(_ key: String, _ value: JSON) {
        #expect { try Self.initial(Self.preference(key, value)) } throws: {
            ($0 as? FieldError)?.field.hasPrefix("initial_data.preferences.\(key)") == true
        }
    }

    @Test("a misspelt key is an error with a suggestion, at every level", arguments: [
        ("initial_data.wachlist", "watchlist", ["wachlist": [:]]),
        ("initial_data.watchlist.stock", "stocks", ["watchlist": ["stock": ["AAPL"]]]),
        ("initial_data.preferences.report_tine", "report_time", ["preferences": ["report_tine": "09:00"]]),
        ("initial_data.persona.risk_preferense", "risk_preference", ["persona": ["risk_preferense": "low"]]),
    ] as [(String, String, JSON)])
    func unknownKeys(_ field: String, _ suggestion: String, _ json: JSON) {
        #expect { try Self.initial(json) } throws: {
            let error = $0 as? FieldError
            return error?.field == field && error?.detail.contains(suggestion) == true
        }
    }

    @Test("entries are trimmed and come once; case tells them apart")
    func lists() throws {
        let watchlist = try Watchlist(json: ["stocks": [" AAPL ", "aapl", "AAPL", "茅台\u{3000}"]])
        #expect(watchlist.stocks == ["AAPL", "aapl", "茅台"])
    }

    @Test("an entry that is empty, too long, not in one line or one too many is refused", arguments: [
        ([""], "watchlist.stocks[0]"), (["A", " "], "watchlist.stocks[1]"), (["a\nb"], "watchlist.stocks[0]"),
        (["\u{202E}LPAA"], "watchlist.stocks[0]"), ([String(repeating: "x", count: 101)], "watchlist.stocks[0]"),
        ((0...500).map { "S\($0)" }, "watchlist.stocks"),
    ])
    func badEntries(_ entries: [String], _ field: String) {
        #expect { try Watchlist(json: ["stocks": JSON(entries)]) } throws: { ($0 as? FieldError)?.field == field }
        #expect { try WatchlistChange(stocks: entries).validated() } throws: { ($0 as? FieldError)?.field == field }
    }

    @Test("500 entries of 100 characters fit")
    func fullList() throws {
        let entries = (0..<500).map { String(repeating: "股", count: 96) + String(1_000 + $0) }
        #expect(try Watchlist(json: ["keywords": JSON(entries)]).keywords == entries)
    }

    @Test("adding says what is new, removing ignores case, and the bound holds for the sum")
    func editing() throws {
        var watchlist = Watchlist(stocks: ["AAPL"])
        #expect(try watchlist.add(["TSLA", "AAPL", "TSLA"], to: .stocks) == ["TSLA"])
        #expect(try watchlist.remove(["aapl", "MSFT"], from: .stocks) == ["AAPL"])
        #expect(watchlist.stocks == ["TSLA"])
        #expect(throws: FieldError.self) { try watchlist.add((0..<500).map { "S\($0)" }, to: .stocks) }
        #expect(watchlist.stocks == ["TSLA"])
    }

    @Test("what a change leaves out stays, null clears")
    func partialChanges() throws {
        var persona = Persona(riskPreference: "low", investmentHorizon: "years", focusAreas: ["chips"])
        persona.apply(try PersonaChange(json: ["risk_preference": nil, "avoid_topics": ["crypto"]]))
        #expect(persona == Persona(investmentHorizon: "years", focusAreas: ["chips"], avoidTopics: ["crypto"]))
        var preferences = Preferences()
        preferences.timezone = "UTC"
        preferences.apply(try PreferencesChange(json: ["timezone": nil, "language": "en"]))
        #expect(preferences.timezone == nil && preferences.language == "en" && preferences.reportTime == "09:00")
    }

    @Test("custom data is any object up to 64 KiB")
    func customData() throws {
        let nested: JSON = ["custom_data": ["a": [1, ["b": nil]]]]
        #expect(try Self.initial(nested).customData == ["a": [1, ["b": nil]]])
        for bad in [["custom_data": "x"], ["custom_data": [1]],
            ["custom_data": ["x": .string(String(repeating: "y", count: 64 << 10))]]] as [JSON]
        {
            #expect { try Self.initial(bad) } throws: { ($0 as? FieldError)?.field == "initial_data.custom_data" }
        }
    }

    @Test("the machine's zones are known by name, other files of theirs are not")
    func installedZones() {
        for name in ["UTC", "Asia/Shanghai", "America/Argentina/Buenos_Aires", "Etc/GMT+8", "Asia/Calcutta"] {
            #expect(TimeZoneName.isInstalled(name), "\(name)")
        }
        for name in ["", "Asia", "Asia/", "zone.tab", "tzdata.zi", "localtime", "right/UTC", "Asia/No", "..", "/UTC"] {
            #expect(!TimeZoneName.isInstalled(name), "\(name)")
        }
    }
}
