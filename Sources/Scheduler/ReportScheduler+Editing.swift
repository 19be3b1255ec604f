// Making, changing, removing and running a user's schedules: for the API, the command line and the agent's tool.
// Any thread, also in a process without a running scheduler; blocking. Each change is one atomic replacement of
// schedules.json; other processes' schedulers learn of it by `ChangeMarks`.

import Foundation
import Jobs
import Logging
import Spool
import Tenants
import TextFormats

extension ReportScheduler {
    /// Makes a schedule from {kind?, expression, timezone?, job, enabled?, misfire?, overlap?}.
    /// - Parameter id: chosen by the caller, so that making it again changes nothing (the agent derives it from job
    ///   and step); nil for a random one.
    /// - Throws: `.invalidField`, `.invalidExpression`, `.invalidTimeZone`, `.userNotFound`, `.tooMany`, `.conflict`
    ///   (the id is taken by a schedule of other content), `.storage`.
    public func create(_ user: UserID, _ json: JSON, id: String? = nil) throws(ScheduleError) -> ScheduleView {
        let request = try ScheduleRequest(json, user: user)
        let config = try config(of: user)
        guard let expression = try request.parsedExpression() else {
            throw ScheduleError(.invalidField, "is required", field: "expression")
        }
        guard let job = request.job else { throw ScheduleError(.invalidField, "is required", field: "job") }
        if let id { try check(id: id) }
        let made = Schedule(
            id: id ?? Self.randomID(), expression: expression, timezone: request.timezone ?? config.timeZone,
            isEnabled: request.isEnabled ?? true, job: job, misfire: request.misfire ?? .latest,
            overlap: request.overlap ?? .skip, createdAt: now(), source: .user)
        var result = made
        var existing: Schedule?
        // Taken with the change: reading it back could fail after the change was made.
        var state: ScheduleState?
        try change(user) { (schedules: inout UserSchedules) throws(ScheduleError) in
            existing = schedules.own.first { $0.id == made.id }
            if let existing {
                guard existing.timing == made.timing, existing.job == made.job else {
                    throw ScheduleError(.conflict, "the id \(made.id) is taken by another schedule", field: "id")
                }
                result = existing
                state = schedules.states[existing.id]
                return false
            }
            // Checked here and not before: asking again for a one-time schedule that has fired is no error.
            try check(made, user: user)
            guard schedules.own.count < options.schedulesPerUser else {
                throw ScheduleError(
                    .tooMany, "a user has at most \(options.schedulesPerUser) schedules; remove one first")
            }
            schedules.own.append(made)
            schedules.states[made.id] = ScheduleState(since: made.createdAt)
            state = schedules.states[made.id]
            return true
        }
        return view(result, state)
    }

    /// Changes the members that are given; the others stay. A changed timing counts from now.
    /// - Throws: as `create`, and `.notFound`, `.derived`.
    public func update(_ user: UserID, _ id: String, _ json: JSON) throws(ScheduleError) -> ScheduleView {
        try refuseDerived(id, "cannot be changed")
        let request = try ScheduleRequest(json, user: user)
        let expression = try request.parsedExpression()
        let time = now()
        var result: (schedule: Schedule, state: ScheduleState?)?
        try change(user) { (schedules: inout UserSchedules) throws(ScheduleError) in
            guard let index = schedules.own.firstIndex(where: { $0.id == id }) else { throw Self.notFound(id) }
            let before = schedules.own[index]
            var changed = before
            if let expression { changed.expression = expression }
            changed.timezone = request.timezone ?? before.timezone
            changed.isEnabled = request.isEnabled ?? before.isEnabled
            changed.misfire = request.misfire ?? before.misfire
            changed.overlap = request.overlap ?? before.overlap
            changed.job = request.job ?? before.job
            let isNewTiming = changed.timing != before.timing
            if isNewTiming || request.job != nil { try check(changed, user: user, mustFire: isNewTiming) }
            schedules.own[index] = changed
            if isNewTiming || (changed.isEnabled && !before.isEnabled) { schedules.states[id]?.since = time }
            result = (changed, schedules.states[id])
            return true
        }
        guard let result else { throw Self.notFound(id) }
        return view(result.schedule, result.state)
    }

    /// Pauses a schedule or lets it go on; what it missed meanwhile is not made up for.
    public func setEnabled(_ user: UserID, _ id: String, _ isEnabled: Bool) throws(ScheduleError) -> ScheduleView {
        try update(user, id, ["enabled": .bool(isEnabled)])
    }

    /// - Returns: false when there was no such schedule.
    /// - Throws: `.derived` for one that follows from the preferences.
    @discardableResult
    public func remove(_ user: UserID, _ id: String) throws(ScheduleError) -> Bool {
        try refuseDerived(id, "cannot be removed")
        var wasThere = false
        try change(user) { (schedules: inout UserSchedules) throws(ScheduleError) in
            wasThere = schedules.own.contains { $0.id == id }
            schedules.own.removeAll { $0.id == id }
            schedules.states[id] = nil
            return wasThere
        }
        return wasThere
    }

    /// Submits the schedule's job now, paused or not, under a new id; its fire times stay as they are.
    /// - Parameter requestID: the HTTP request that asks for it.
    /// - Throws: `.notFound`, `.job` with the queue's reason.
    public func runNow(_ user: UserID, _ id: String, requestID: String? = nil) throws(ScheduleError) -> JobID {
        let config = try config(of: user)
        let schedule = try schedule(user, id)
        let time = now()
        let job = JobID.make(now: time)
        do {
            let request = try Self.request(schedule.job, user: user, schedule: id, time: time)
            try queue.submit(fire: request.with(id: job).with(requestID: requestID))
        } catch {
            throw ScheduleError(
                .job, error.detail, field: error.field, jobCode: error.code, retryAfter: error.retryAfter)
        }
        let derived = try Schedule.derived(from: config)
        do {
            try change(user) { (schedules: inout UserSchedules) throws(ScheduleError) in
                _ = schedules.align(with: config, derived: derived, now: time)
                schedules.states[id]?.record(
                    ScheduleRun(fireTime: time, jobID: job.description, status: .submitted))
                return schedules.states[id] != nil
            }
        } catch {
            // The job is in the queue: saying "failed" now would have it submitted twice.
            logger.error(
                "a run was not recorded in the schedule's history",
                metadata: ["user.id": "\(user)", "schedule.id": "\(id)", "job.id": "\(job)", "error": "\(error)"])
        }
        return job
    }

    /// Notes from when on changed preferences count, which matters where no scheduler runs to see each change. Call it
    /// after a change, on any thread; it stores something only if a report schedule's timing changed.
    public func preferencesChanged(_ config: UserConfig) {
        do {
            let derived = try Schedule.derived(from: config)
            let time = now()
            try store.change(try workspace(of: config.userID)) { (schedules: inout UserSchedules) in
                schedules.align(with: config, derived: derived, now: time)
            }
        } catch {
            // The preferences stand, and schedules follow from them; the next look at the user notes it.
            logger.warning(
                "changed preferences are noted later", metadata: ["user.id": "\(config.userID)", "error": "\(error)"])
        }
    }

    // MARK: -

    private func change(
        _ user: UserID, _ body: (inout UserSchedules) throws(ScheduleError) -> Bool
    ) throws(ScheduleError) {
        let workspace = try workspace(of: user)
        changes.mark(user)
        try store.change(workspace, body)
        changes.mark(user)
        userChanged(user)
    }

    /// - Parameter mustFire: refuse a timing that never fires again.
    private func check(_ schedule: Schedule, user: UserID, mustFire: Bool = true) throws(ScheduleError) {
        let zone = try zones.rules(schedule.timezone)
        let time = now()
        if mustFire, schedule.expression.next(after: time, in: zone, anchor: schedule.anchor) == nil {
            throw ScheduleError(
                .invalidExpression,
                schedule.expression.kind == .at ? "lies in the past" : "never fires: there is no such day",
                field: "expression")
        }
        do {
            _ = try Self.request(schedule.job, user: user, schedule: schedule.id, time: time)
        } catch {
            throw ScheduleError(
                .invalidField, error.detail, field: error.field.map { "job.\($0)" } ?? "job", jobCode: error.code)
        }
    }

    private func check(id: String) throws(ScheduleError) {
        guard Schedule.isWellFormed(id: id), !Schedule.derivedIDs.contains(id) else {
            throw ScheduleError(
                .invalidField, "must be 1 to 64 of a-z, 0-9, _ and -, and not the id of a report schedule", field: "id")
        }
    }

    private func refuseDerived(_ id: String, _ what: String) throws(ScheduleError) {
        guard Schedule.derivedIDs.contains(id) else { return }
        throw ScheduleError(
            .derived,
            "\(id) follows from the preferences and \(what) by itself; change report_frequency, report_time, "
                + "report_weekday or timezone there")
    }

    static func notFound(_ id: String) -> ScheduleError {
        ScheduleError(.notFound, "there is no schedule \(id.prefix(Schedule.maxIDLength))")
    }

    /// Ten letters and digits: 51 bits, for at most some dozens of schedules per user.
    private static func randomID() -> String {
        let letters = Array("abcdefghijkmnpqrstuvwxyz23456789")
        return String((0..<10).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }
}
