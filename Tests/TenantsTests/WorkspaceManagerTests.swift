// Users' folders from creation to removal. The reference's faults are here as tests that can fail.
import DurableFiles
import Foundation
import TextFormats
import Testing

@testable import Tenants

@Suite struct WorkspaceManagerTests {
    let house: TenantHouse

    init() throws { house = try TenantHouse() }

    static let initial: JSON = [
        "watchlist": ["stocks": ["AAPL", "600519"], "keywords": ["AI"]],
        "preferences": ["report_time": "07:30", "language": "en", "timezone": "America/New_York"],
        "persona": ["risk_preference": "cautious", "focus_areas": ["chips"]],
        "custom_data": ["plan": "gold"],
    ]

    func data(_ json: JSON = initial) throws -> InitialUserData {
        try InitialUserData(json: json, isKnownTimeZone: { _ in true })
    }

    @Test("initial data is kept, over the defaults")
    func initialData() throws {
        let made = try house.manager().create(try user("alice"), initial: try data())
        let config = try UserConfigManager(workspaces: house.manager()).get(try user("alice"))
        #expect(config == made)
        #expect(config.watchlist == Watchlist(stocks: ["AAPL", "600519"], keywords: ["AI"]))
        #expect(config.preferences.reportTime == "07:30" && config.preferences.maxReportLength == 5_000)
        #expect(config.persona.riskPreference == "cautious")
        #expect(config.customData == ["plan": "gold"])
        #expect(config.version == 1 && config.incarnation.utf8.count == 16)
    }

    @Test("a user without initial data has the defaults, with the server's time zone")
    func defaults() throws {
        let json = try house.manager().create(try user("alice")).publicJSON
        #expect(json.object?.keys == [
            "user_id", "created_at", "updated_at", "watchlist", "preferences", "persona", "custom_data",
        ])
        #expect(json["preferences"] == [
            "report_frequency": "daily", "report_time": "09:00", "report_weekday": "monday",
            "timezone": "Asia/Shanghai", "report_format": "markdown", "language": "zh", "max_report_length": 5_000,
            "notification_channels": ["file"],
        ])
        #expect(json["watchlist"] == ["stocks": [], "influencers": [], "keywords": [], "sectors": []])
        #expect(json["custom_data"] == [:])
    }

    @Test("a new workspace has every file and folder, and nothing is left beside it")
    func layout() throws {
        try house.manager().create(try user("alice"), initial: try data())
        let info = try house.manager().info(try user("alice"))
        #expect(info.files == [
            "AGENTS.md", "HEARTBEAT.md", "SOUL.md", "USER.md", "config.json", "memory/MEMORY.md",
        ])
        #expect(info.directories == ["data", "memory", "reports", "sessions", "skills"])
        #expect(info.exists && info.config?.userID.rawValue == "alice" && info.createdAt != nil && info.sizeBytes > 0)
        #expect(try house.names() == ["alice"])
    }

    @Test("templates are in the user's language, and USER.md tells the initial data", arguments: [
        ("en", "# About the user", "Risk preference: cautious"), ("zh-TW", "# 关于用户", "风险偏好：cautious"),
        ("fr", "# About the user", "Stocks: AAPL, 600519"),
    ])
    func templates(_ language: String, _ title: String, _ line: String) throws {
        var initial = try data()
        initial.preferences?.language = language
        try house.manager().create(try user("alice"), initial: initial)
        let text = try house.text("alice/USER.md")
        #expect(text.hasPrefix(title) && text.contains(line))
        #expect(text.contains("alice") && text.contains("America/New_York"))
    }

    @Test("user data stands for itself in templates and cannot set other fields")
    func noInjection() throws {
        let sly = ["{user_id}", "\\(config.userID)", "${HOME}", "{{language}}", "%s"]
        let initial: JSON = ["watchlist": ["keywords": JSON(sly)], "preferences": ["language": "en"]]
        try house.manager().create(try user("alice"), initial: try data(initial))
        #expect(try house.text("alice/USER.md").contains("Keywords: " + sly.joined(separator: ", ")))
        #expect(throws: FieldError.self) { try self.data(["user_id": "root"]) }
    }

    @Test("looking for an unknown user makes nothing")
    func readingNeverCreates() throws {
        let (manager, nobody) = (house.manager(), try user("nobody"))
        #expect(try manager.exists(nobody) == false)
        #expect(try manager.info(nobody).exists == false)
        #expect { try manager.open(nobody) } throws: { ($0 as? TenantError)?.code == .userNotFound }
        let configs = UserConfigManager(workspaces: manager)
        #expect { try configs.get(nobody) } throws: { ($0 as? TenantError)?.code == .userNotFound }
        #expect { try configs.updateWatchlist(nobody, WatchlistChange(stocks: ["A"])) } throws: {
            ($0 as? TenantError)?.code == .userNotFound
        }
        #expect { try manager.delete(nobody) } throws: { ($0 as? TenantError)?.code == .userNotFound }
        #expect(try manager.list().isEmpty && manager.stats().totalUsers == 0)
        #expect(try house.names().isEmpty)
    }

    @Test("a second creation is refused and spoils nothing")
    func createTwice() throws {
        let (manager, alice) = (house.manager(), try user("alice"))
        let first = try manager.create(alice, initial: try data())
        #expect { try manager.create(alice) } throws: { ($0 as? TenantError)?.code == .userExists }
        #expect(try manager.open(alice).readConfig() == first)
    }

    @Test("creating over a folder with a broken config wipes nothing")
    func createOverBroken() throws {
        let (manager, alice) = (house.manager(), try user("alice"))
        try manager.create(alice)
        try house.overwrite("alice/config.json", "{broken")
        #expect { try manager.create(alice) } throws: { ($0 as? TenantError)?.code == .userExists }
        #expect(try house.text("alice/config.json") == "{broken")
    }

    @Test("of many creating the same user, one succeeds and the tree is whole")
    func createRace() throws {
        let wins = Wins()
        try onThreads(8) { [house] index in
            do {
                try house.manager().create(try user("alice"), initial: InitialUserData(customData: ["by": JSON(index)]))
                wins.add(index)
            } catch let error as TenantError where error.code == .userExists {}
        }
        let winners = wins.all
        #expect(winners.count == 1)
        let config = try house.manager().open(try user("alice")).readConfig()
        #expect(config.customData["by"]?.int == winners.first)
        #expect(try house.names() == ["alice"])
    }

    @Test("a deleted user is gone from every list and can be made anew, as somebody else")
    func deleting() throws {
        let (manager, alice) = (house.manager(), try user("alice"))
        let configs = UserConfigManager(workspaces: manager)
        let before = try manager.create(alice, initial: try data())
        try manager.delete(alice)
        #expect(try house.names().isEmpty)
        #expect(try manager.exists(alice) == false && manager.list().isEmpty)
        #expect { try configs.get(alice) } throws: { ($0 as? TenantError)?.code == .userNotFound }
        #expect(try house.names().isEmpty)
        let after = try manager.create(alice)
        #expect(after.incarnation != before.incarnation && after.customData.isEmpty)
    }

    @Test("a workspace held open through a deletion cannot bring the user back")
    func heldOpen() throws {
        let (manager, alice) = (house.manager(), try user("alice"))
        try manager.create(alice)
        let held = try manager.open(alice)
        try manager.delete(alice)
        #expect { try held.readConfig() } throws: { ($0 as? TenantError)?.code == .userNotFound }
        #expect(throws: TenantError.self) { try held.writeText("notes.md", "x") }
        #expect(throws: TenantError.self) { try held.appendUsage(["id": "1"]) }
        #expect(try house.names().isEmpty)
    }

    @Test("a sweep clears what crashes left, and nothing else")
    func sweeping() throws {
        let manager = house.manager()
        try manager.create(try user("alice"))
        let files = LinuxFileSystem()
        for path in [".creating-0123/memory", ".deleting-bob.99ff/reports", ".deleting-odd name", ".changed"] {
            try files.ensureDirectory("\(house.root)/\(path)")
        }
        try files.createFile("\(house.root)/.deleting-bob.99ff/config.json", [1])
        #expect(try manager.list() == [try user("alice")])
        #expect(try manager.halfDeleted() == [try user("bob")])
        #expect(try manager.sweep() == [try user("bob")])
        #expect(try house.names() == [".changed", "alice"])
        #expect(try manager.open(try user("alice")).readConfig().version == 1)
    }

    @Test("deleting again finishes a deletion that was cut short")
    func deleteAgain() throws {
        let manager = house.manager()
        try LinuxFileSystem().ensureDirectory("\(house.root)/.deleting-bob.99ff/reports")
        try manager.delete(try user("bob"))
        #expect(try house.names().isEmpty)
        #expect { try manager.delete(try user("bob")) } throws: { ($0 as? TenantError)?.code == .userNotFound }
    }

    @Test("creations go on while another process sweeps")
    func sweepRace() throws {
        try onThreads(4) { [house] index in
            let manager = house.manager()
            for turn in 0..<10 {
                if index < 2 {
                    try manager.create(try user("u\(index)-\(turn)"))
                } else {
                    try manager.sweep()
                }
            }
        }
        #expect(try house.manager().list().count == 20)
        #expect(try house.names().count == 20)
    }

    @Test("a list has only users, sorted, page by page")
    func listing() throws {
        let files = LinuxFileSystem()
        let ids = (0..<25).map { "u\($0)" }.sorted()
        for name in ids.shuffled() + ["Upper", ".hidden", "a b", "root", "user.x", ".creating-1"] {
            try files.ensureDirectory("\(house.root)/\(name)")
        }
        try files.createFile("\(house.root)/a-file", [])
        let manager = house.manager()
        #expect(try manager.list().map(\.rawValue) == ids)
        var paged: [UserID] = []
        while let page = try? manager.list(limit: 4, after: paged.last), !page.isEmpty { paged += page }
        #expect(paged.map(\.rawValue) == ids)
        #expect(try manager.list(limit: 3, after: try user("u3")).map(\.rawValue) == ["u4", "u5", "u6"])
    }

    @Test("user_bob and bob are two users")
    func prefixes() throws {
        let manager = house.manager()
        try manager.create(try user("bob"), initial: InitialUserData(customData: ["is": "bob"]))
        try manager.create(try user("user_bob"), initial: InitialUserData(customData: ["is": "user_bob"]))
        #expect(try manager.list().map(\.rawValue) == ["bob", "user_bob"])
        #expect(try manager.open(try user("user_bob")).readConfig().customData["is"] == "user_bob")
    }

    @Test("a link named like a user is no user")
    func links() throws {
        let manager = house.manager()
        try manager.create(try user("alice"))
        try FileManager.default.createSymbolicLink(
            atPath: "\(house.root)/mallory", withDestinationPath: "\(house.root)/alice")
        #expect(try manager.exists(try user("mallory")) == false)
        #expect { try manager.open(try user("mallory")) } throws: { ($0 as? TenantError)?.code == .userNotFound }
        #expect(try manager.list() == [try user("alice")])
    }

    @Test("a clone has the pattern's instructions, skills and settings, and nothing personal")
    func cloning() throws {
        let (manager, alice, bob) = (house.manager(), try user("alice"), try user("bob"))
        let before = try manager.create(alice, initial: try data())
        let pattern = try manager.open(alice)
        try pattern.writeText("SOUL.md", "my soul")
        try pattern.writeText("skills/charts/SKILL.md", "draw")
        try pattern.writeText("skills/charts/deep/er.txt", "more")
        for path in ["memory/MEMORY.md", "sessions/default.jsonl", "data/q.csv", "schedules.json", "notes.md"] {
            try pattern.writeText(path, "private")
        }
        let copy = try manager.clone(from: alice, to: bob)
        #expect(copy.watchlist == before.watchlist && copy.preferences == before.preferences)
        #expect(copy.persona == Persona() && copy.customData.isEmpty)
        #expect(copy.userID == bob && copy.incarnation != before.incarnation && copy.version == 1)
        #expect(try manager.info(bob).files == [
            "AGENTS.md", "HEARTBEAT.md", "SOUL.md", "USER.md", "config.json", "memory/MEMORY.md",
            "skills/charts/SKILL.md", "skills/charts/deep/er.txt",
        ])
        #expect(try house.text("bob/SOUL.md") == "my soul" && house.text("bob/skills/charts/SKILL.md") == "draw")
        #expect(try house.text("bob/memory/MEMORY.md").contains("private") == false)
        #expect { try manager.clone(from: alice, to: bob) } throws: { ($0 as? TenantError)?.code == .userExists }
        #expect { try manager.clone(from: try user("no"), to: try user("no2")) } throws: {
            ($0 as? TenantError)?.code == .userNotFound
        }
        #expect(try house.names() == ["alice", "bob"])
    }

    @Test("statistics add up all users' files")
    func statistics() throws {
        let manager = house.manager()
        for name in ["alice", "bob"] { try manager.create(try user(name)) }
        try manager.open(try user("bob")).writeText("data/big.csv", String(repeating: "x", count: 3 << 20))
        let stats = try manager.stats()
        #expect(stats.totalUsers == 2 && stats.totalFiles == 13)  // six files each, and the big one
        #expect(stats.totalSizeMB >= 3 && stats.totalSizeMB < 3.1)
        #expect(stats.json.object?.keys == [
            "total_users", "total_files", "total_size_bytes", "total_size_mb", "base_path",
        ])
    }
}

final class Wins: Sendable {
    private let indices = Protected<[Int]>([])
    func add(_ index: Int) { indices.change { $0.append(index) } }
    var all: [Int] { indices.value }
}
