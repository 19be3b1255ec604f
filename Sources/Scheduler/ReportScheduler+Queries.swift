// What schedules a user has and when they fire, for the API, the command line and the agent's tool.
// Any thread; blocking; changes nothing on disk.

import Foundation
import Jobs
import Spool
import Tenants
import TextFormats

/// A schedule as callers see it.
public struct ScheduleView: Sendable {
    public let schedule: Schedule
    /// nil: paused, or it will not fire again.
    public let nextRun: Date?
    public let lastRun: ScheduleRun?
    /// The state of the last run's job, where it is known.
    public let lastState: JobState?

    public var id: String { schedule.id }

    /// What this version accepts in the schedule's job and does nothing with.
    public var notices: [String] { JobRequest.notices(of: schedule.job) }

    public var json: JSON {
        var members: JSONObject = [
            "id": .string(schedule.id), "kind": .string(schedule.expression.kind.rawValue),
            "expression": .string(schedule.expression.text), "timezone": .string(schedule.timezone),
            "enabled": .bool(schedule.isEnabled), "misfire": .string(schedule.misfire.rawValue),
            "overlap": .string(schedule.overlap.rawValue), "source": .string(schedule.source.rawValue),
            "job": schedule.job, "created_at": .string(RFC3339.string(schedule.createdAt)),
            "next_run_at": JSON(nextRun.map(RFC3339.string)),
            "last_run": lastRun.map { $0.json(state: lastState) } ?? .null,
        ]
        if !notices.isEmpty { members["notices"] = JSON(notices) }
        return .object(members)
    }
}

extension ScheduleRun {
    /// `status` is the job's own state where it is known.
    func json(state: JobState?) -> JSON {
        guard status == .submitted, let state, var object = json.object else { return json }
        object["status"] = .string(state.rawValue)
        return .object(object)
    }
}

/// GET /schedule.
public struct ScheduleSummary: Sendable {
    public struct Report: Sendable, Hashable {
        public var isEnabled: Bool
        /// "09:00" or "Monday 09:00", in `timezone`.
        public var schedule: String
        public var timezone: String

        public var json: JSON {
            ["enabled": .bool(isEnabled), "schedule": .string(schedule), "timezone": .string(timezone)]
        }
    }

    public let user: UserID
    public let daily: Report
    public let weekly: Report
    public let schedules: [ScheduleView]
    public let upcoming: [UpcomingRun]

    public var json: JSON {
        [
            "user_id": .string(user.rawValue), "daily_report": daily.json, "weekly_report": weekly.json,
            "schedules": .array(schedules.map(\.json)), "next_scheduled_jobs": .array(upcoming.map(\.json)),
        ]
    }
}

public struct UpcomingRun: Sendable, Hashable {
    /// The schedule's.
    public let id: String
    public let runAt: Date

    public var json: JSON { ["id": .string(id), "run_at": .string(RFC3339.string(runAt))] }
}

extension ReportScheduler {
    /// Those that follow from the preferences first, then the user's own in the order they were made.
    /// - Throws: `.userNotFound`, `.storage`.
    public func schedules(_ user: UserID) throws(ScheduleError) -> [ScheduleView] {
        let (all, states) = try load(user)
        return all.map { view($0, states[$0.id]) }
    }

    /// - Throws: `.notFound`.
    public func view(_ user: UserID, _ id: String) throws(ScheduleError) -> ScheduleView {
        let (all, states) = try load(user)
        guard let schedule = all.first(where: { $0.id == id }) else { throw Self.notFound(id) }
        return view(schedule, states[id])
    }

    /// The last 20 runs, newest first, with the state of each one's job where it is known.
    /// - Throws: `.notFound`.
    public func history(_ user: UserID, _ id: String) throws(ScheduleError) -> [(run: ScheduleRun, state: JobState?)] {
        let (all, states) = try load(user)
        // A report schedule the preferences no longer ask for keeps its history.
        guard all.contains(where: { $0.id == id }) || states[id] != nil else { throw Self.notFound(id) }
        return (states[id]?.history ?? []).reversed().map { ($0, state(of: $0)) }
    }

    /// The next fire times over all schedules of the user, earliest first. - Parameter limit: 1–200.
    public func upcoming(_ user: UserID, limit: Int) throws(ScheduleError) -> [UpcomingRun] {
        upcoming(try load(user).all, limit: limit)
    }

    public func summary(_ user: UserID, limit: Int = 10) throws(ScheduleError) -> ScheduleSummary {
        let config = try config(of: user)
        let (all, states) = try load(user)
        let preferences = config.preferences
        let report = { (id: String, text: String) in
            ScheduleSummary.Report(
                isEnabled: all.contains { $0.id == id }, schedule: text, timezone: config.timeZone)
        }
        let weekday = preferences.reportWeekday.rawValue.capitalized
        return ScheduleSummary(
            user: user, daily: report(Schedule.dailyID, preferences.reportTime),
            weekly: report(Schedule.weeklyID, "\(weekday) \(preferences.reportTime)"),
            schedules: all.map { view($0, states[$0.id]) }, upcoming: upcoming(all, limit: limit))
    }

    /// The next fire times of an expression of any form: cron, "09:00", "monday 09:00", "PT15M" (counted from `start`),
    /// RFC 3339. Nothing is stored. - Parameter count: 1–1,000; fewer come back when it does not fire that often.
    public static func nextFires(
        _ expression: String, kind: ScheduleKind? = nil, timezone: String, from start: Date, count: Int,
        zones: ZoneCatalog = ZoneCatalog()
    ) throws(ScheduleError) -> [Date] {
        let parsed = try ScheduleExpression(kind: kind, expression)
        return parsed.nextFires(in: try zones.rules(timezone), from: start, count: min(max(0, count), 1_000))
    }

    // MARK: -

    func config(of user: UserID) throws(ScheduleError) -> UserConfig {
        do {
            return try configs.get(user)
        } catch {
            throw Self.tenant(error)
        }
    }

    func workspace(of user: UserID) throws(ScheduleError) -> Workspace {
        do {
            return try workspaces.open(user)
        } catch {
            throw Self.tenant(error)
        }
    }

    func schedule(_ user: UserID, _ id: String) throws(ScheduleError) -> Schedule {
        guard let found = try load(user).all.first(where: { $0.id == id }) else { throw Self.notFound(id) }
        return found
    }

    private static func tenant(_ error: TenantError) -> ScheduleError {
        switch error.code {
        case .userNotFound: ScheduleError(.userNotFound, error.detail)
        case .lockTimeout: ScheduleError(.lockTimeout, error.detail)
        case .configCorrupt:
            ScheduleError(.configCorrupt, error.detail, retryAfter: TenantError.repairRetrySeconds)
        default: ScheduleError(.storage, error.detail)
        }
    }

    private func load(_ user: UserID) throws(ScheduleError) -> (all: [Schedule], states: [String: ScheduleState]) {
        let config = try config(of: user)
        let derived = try Schedule.derived(from: config)
        var schedules = try store.load(try workspace(of: user))
        _ = schedules.align(with: config, derived: derived, now: now())
        return (derived + schedules.own, schedules.states)
    }

    func view(_ schedule: Schedule, _ state: ScheduleState?) -> ScheduleView {
        let last = state?.history.last
        return ScheduleView(
            schedule: schedule, nextRun: fires(schedule, count: 1).first, lastRun: last,
            lastState: last.flatMap(self.state(of:)))
    }

    private func state(of run: ScheduleRun) -> JobState? {
        guard let id = run.jobID.flatMap({ JobID($0) }) else { return nil }
        // Only for display: where the queue can't say, "submitted" stands.
        return try? queue.state(of: id)
    }

    private func upcoming(_ schedules: [Schedule], limit: Int) -> [UpcomingRun] {
        let limit = min(max(0, limit), 200)
        let runs = schedules.flatMap { schedule in
            fires(schedule, count: limit).map { UpcomingRun(id: schedule.id, runAt: $0) }
        }
        return Array(runs.sorted { ($0.runAt, $0.id) < ($1.runAt, $1.id) }.prefix(limit))
    }

    private func fires(_ schedule: Schedule, count: Int) -> [Date] {
        guard schedule.isEnabled, let zone = try? zones.rules(schedule.timezone) else {
            // A zone that went missing is reported by the scheduler itself; here it means "no next run".
            return []
        }
        return schedule.expression.nextFires(in: zone, from: now(), anchor: schedule.anchor, count: count)
    }
}
