// A schedule as a value: when, for which zone, and what job it submits. Any thread; pure.
// Two sources: a user's own, kept in the workspace's schedules.json, and those that follow from the preferences,
// which are worked out anew each time and stored nowhere (`Schedule.derived`).

import Foundation
import Tenants
import TextFormats

public struct Schedule: Sendable {
    public enum Source: String, Sendable {
        case preferences, user
    }

    /// What to do with fire times that passed while nothing ran.
    public enum Misfire: String, Sendable, CaseIterable {
        /// The last of them is made up for, the others are dropped.
        case latest
        /// Each is made up for, `FirePlan.maxMadeUp` at most.
        case all
        /// None is.
        case skip
    }

    /// What to do when the job of the fire before has not ended.
    public enum Overlap: String, Sendable, CaseIterable {
        case skip, queue
    }

    /// Longest id, in characters.
    public static let maxIDLength = 64

    /// `[a-z0-9][a-z0-9_-]*`, unique within the user.
    public let id: String
    public var expression: ScheduleExpression
    /// IANA name.
    public var timezone: String
    public var isEnabled: Bool
    /// Members of a job file, without those the scheduler sets: user_id, id, run_at, idempotency_key, expires_at.
    public var job: JSON
    public var misfire: Misfire
    public var overlap: Overlap
    public let createdAt: Date
    public let source: Source

    /// `every` counts from here, in whole seconds.
    var anchor: Date {
        source == .preferences
            ? Date(timeIntervalSince1970: 0)
            : Date(timeIntervalSince1970: createdAt.timeIntervalSince1970.rounded(.down))
    }

    /// Equal for two schedules that fire at the same times.
    var timing: String { "\(expression.kind.rawValue) \(expression.text) \(timezone)" }

    static func isWellFormed(id: String) -> Bool {
        guard let first = id.utf8.first, first != 45, first != 95, id.utf8.count <= maxIDLength else { return false }
        return id.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 95 }
    }
}

// MARK: - From preferences

extension Schedule {
    static let dailyID = "daily-report"
    static let weeklyID = "weekly-report"
    static let realtimeID = "realtime-report"
    static let derivedIDs: Set<String> = [dailyID, weeklyID, realtimeID]

    /// The schedules that follow from a user's preferences.
    /// - Throws: for a time of day that cannot be read, which the preferences' own check keeps out.
    static func derived(from config: UserConfig) throws(ScheduleError) -> [Schedule] {
        let preferences = config.preferences
        var found: [Schedule] = []
        if preferences.reportFrequency == .daily || preferences.reportFrequency == .both {
            let expression = try ScheduleExpression(kind: .daily, preferences.reportTime)
            found.append(Schedule(dailyID, expression, config, reportJob(type: "daily")))
        }
        if preferences.reportFrequency == .weekly || preferences.reportFrequency == .both {
            let text = "\(preferences.reportWeekday.rawValue) \(preferences.reportTime)"
            let expression = try ScheduleExpression(kind: .weekly, text)
            found.append(Schedule(weeklyID, expression, config, reportJob(type: "weekly")))
        }
        if preferences.reportFrequency == .realtime {
            let expression = try ScheduleExpression(kind: .every, "PT1H")
            found.append(Schedule(realtimeID, expression, config, realtimeJob(language: preferences.language)))
        }
        return found
    }

    private init(_ id: String, _ expression: ScheduleExpression, _ config: UserConfig, _ job: JSON) {
        self.init(
            id: id, expression: expression, timezone: config.timeZone, isEnabled: true, job: job, misfire: .latest,
            overlap: .skip, createdAt: config.createdAt, source: .preferences)
    }

    /// Format, language and length are the preferences' at the time the job runs.
    private static func reportJob(type: String) -> JSON {
        ["kind": "report", "report_type": .string(type)]
    }

    private static func realtimeJob(language: String) -> JSON {
        let prompt =
            language.hasPrefix("zh")
            ? "只报告自上次报告以来自选清单中的变化；若无变化，用一句话说明即可。"
            : "Report only what changed on the watchlist since the last report; if nothing did, say so in one sentence."
        return [
            "kind": "report", "report_type": "custom", "custom_prompt": .string(prompt),
            "metadata": ["trigger": "realtime"],
        ]
    }
}

// MARK: - JSON

extension Schedule {
    /// What schedules.json holds for a user's own schedule.
    var storedJSON: JSON {
        [
            "id": .string(id), "kind": .string(expression.kind.rawValue), "expression": .string(expression.text),
            "timezone": .string(timezone), "enabled": .bool(isEnabled), "misfire": .string(misfire.rawValue),
            "overlap": .string(overlap.rawValue), "job": job, "created_at": .string(RFC3339.string(createdAt)),
        ]
    }

    init(stored json: JSON, path: String) throws(FieldError) {
        var reader = try ObjectReader(json, path: path)
        id = try reader.require(try reader.string("id"), "id")
        guard Self.isWellFormed(id: id) else { throw reader.error("id", "is no schedule id") }
        let kind = try reader.require(try reader.choice("kind", of: ScheduleKind.self), "kind")
        let text = try reader.require(try reader.string("expression"), "expression")
        do {
            expression = try ScheduleExpression(kind: kind, text)
        } catch {
            throw reader.error("expression", error.detail)
        }
        timezone = try reader.require(try reader.string("timezone"), "timezone")
        isEnabled = try reader.bool("enabled") ?? true
        misfire = try reader.choice("misfire", of: Misfire.self) ?? .latest
        overlap = try reader.choice("overlap", of: Overlap.self) ?? .skip
        job = try reader.require(reader.json("job"), "job")
        createdAt = try reader.require(try reader.time("created_at"), "created_at")
        source = .user
    }
}
