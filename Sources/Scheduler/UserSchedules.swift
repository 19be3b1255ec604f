// What schedules.json of one workspace holds: the user's own schedules, and for each schedule (the derived ones too)
// how far it has been handled and what its last fires became. A value; any thread; pure.

import Foundation
import Tenants
import TextFormats

/// One fire, or one that did not happen and why.
public struct ScheduleRun: Sendable, Hashable {
    public enum Status: String, Sendable, CaseIterable {
        /// The job is in the queue; what became of it is the job's state.
        case submitted
        /// The job of the fire before had not ended.
        case skipped
        /// Its time passed while nothing ran, and the schedule does not make up for that.
        case missed
        /// The queue refused the job for good.
        case failed
    }

    public var fireTime: Date
    public var jobID: String?
    public var status: Status
    /// Why not, for `skipped`, `missed` and `failed`.
    public var detail: String?

    var json: JSON {
        var object: JSONObject = [
            "fire_time": .string(RFC3339.string(fireTime)), "job_id": JSON(jobID), "status": .string(status.rawValue),
        ]
        object["detail"] = detail.map { .string($0) }
        return .object(object)
    }

    init(fireTime: Date, jobID: String?, status: Status, detail: String? = nil) {
        self.fireTime = fireTime
        self.jobID = jobID
        self.status = status
        self.detail = detail
    }

    init(json: JSON, path: String) throws(FieldError) {
        var reader = try ObjectReader(json, path: path)
        fireTime = try reader.require(try reader.time("fire_time"), "fire_time")
        jobID = try reader.string("job_id")
        status = try reader.require(try reader.choice("status", of: Status.self), "status")
        detail = try reader.string("detail")
    }
}

/// How far a schedule has been handled.
struct ScheduleState: Sendable, Hashable {
    /// Runs kept.
    static let historyLimit = 20

    /// Derived schedules: the timing this state belongs to; nil while the preferences ask for no such schedule.
    var timing: String?
    /// Fire times up to here are none of this schedule's: it was made, changed or enabled then.
    var since: Date
    /// The last fire time that was dealt with, whatever came of it.
    var lastFire: Date?
    /// Newest last.
    var history: [ScheduleRun] = []

    /// Fire times after this one are open. It may lie a little ahead of a clock that was set back: those fires
    /// happened.
    var handledThrough: Date { max(since, lastFire ?? since) }

    /// So far ahead, in seconds, it tells of a clock that was wrong.
    static let believable: TimeInterval = 86_400

    /// Begins anew from `now` if the state was written by a clock far ahead, or nothing would fire until then. Fire
    /// times that come round again have the same job ids, so nothing runs twice.
    /// - Returns: whether it did.
    mutating func correct(now: Date) -> Bool {
        guard handledThrough > now.addingTimeInterval(Self.believable) else { return false }
        since = now
        lastFire = nil
        return true
    }

    mutating func record(_ run: ScheduleRun) {
        history.removeAll { $0.fireTime == run.fireTime && $0.jobID == run.jobID }
        history.append(run)
        history.removeFirst(max(0, history.count - Self.historyLimit))
    }

    var json: JSON {
        var object: JSONObject = ["since": .string(RFC3339.string(since))]
        object["timing"] = timing.map { .string($0) }
        object["last_fire"] = lastFire.map { .string(RFC3339.string($0)) }
        if !history.isEmpty { object["history"] = .array(history.map(\.json)) }
        return .object(object)
    }

    init(timing: String? = nil, since: Date) {
        self.timing = timing
        self.since = since
    }

    init(json: JSON, path: String) throws(FieldError) {
        var reader = try ObjectReader(json, path: path)
        since = try reader.require(try reader.time("since"), "since")
        timing = try reader.string("timing")
        lastFire = try reader.time("last_fire")
        for item in reader.json("history")?.array ?? [] {
            history.append(try ScheduleRun(json: item, path: "\(path).history"))
        }
    }
}

struct UserSchedules: Sendable {
    /// Format of schedules.json.
    static let version = 1

    /// The user's own, in the order they were made.
    var own: [Schedule] = []
    var states: [String: ScheduleState] = [:]
    /// Whose states these are; another incarnation means the file was copied from another user.
    var incarnation: String?
    /// The version of the preferences the derived states were brought in line with.
    var configVersion: Int?

    /// Brings the states of derived schedules in line with the preferences. A schedule whose timing is new counts
    /// from the change of the preferences, so moving 09:00 to 08:00 at 08:30 does not make up for today's 08:00.
    /// - Returns: whether anything has to be stored.
    mutating func align(with config: UserConfig, derived: [Schedule], now: Date) -> Bool {
        var isChanged = false
        if incarnation != config.incarnation {
            if incarnation != nil { states = [:] }
            incarnation = config.incarnation
            configVersion = nil
            isChanged = true
        }
        for schedule in own where states[schedule.id] == nil {
            states[schedule.id] = ScheduleState(since: max(schedule.createdAt, config.createdAt))
            isChanged = true
        }
        // The same preferences with another timing: the server's default time zone was changed.
        let since = configVersion == config.version ? now : min(now, config.updatedAt)
        for schedule in derived where states[schedule.id]?.timing != schedule.timing {
            var state = states[schedule.id] ?? ScheduleState(since: since)
            state.timing = schedule.timing
            state.since = since
            states[schedule.id] = state
            isChanged = true
        }
        for id in states.keys where states[id]?.correct(now: now) == true { isChanged = true }
        for id in Schedule.derivedIDs where states[id]?.timing != nil && !derived.contains(where: { $0.id == id }) {
            states[id]?.timing = nil
            isChanged = true
        }
        if isChanged { configVersion = config.version }
        return isChanged
    }

    // MARK: - JSON

    var json: JSON {
        var object: JSONObject = ["version": JSON(Self.version)]
        object["incarnation"] = incarnation.map { .string($0) }
        object["config_version"] = configVersion.map { JSON($0) }
        object["schedules"] = .array(own.map(\.storedJSON))
        object["states"] = .object(JSONObject(states.sorted { $0.key < $1.key }.map { ($0.key, $0.value.json) }))
        return .object(object)
    }

    init() {}

    /// Members it has no name for are left alone where they are: a hand may have written a note there.
    init(json: JSON) throws(FieldError) {
        var reader = try ObjectReader(json)
        let version = try reader.require(try reader.int("version"), "version")
        guard version == Self.version else { throw reader.error("version", "is \(version), not \(Self.version)") }
        incarnation = try reader.string("incarnation")
        configVersion = try reader.int("config_version")
        for (index, item) in (reader.json("schedules")?.array ?? []).enumerated() {
            let schedule = try Schedule(stored: item, path: "schedules[\(index)]")
            guard !own.contains(where: { $0.id == schedule.id }), !Schedule.derivedIDs.contains(schedule.id) else {
                throw reader.error("schedules[\(index)].id", "is there twice")
            }
            own.append(schedule)
        }
        for (id, item) in reader.json("states")?.object ?? [:] {
            states[id] = try ScheduleState(json: item, path: "states.\(id)")
        }
    }
}
