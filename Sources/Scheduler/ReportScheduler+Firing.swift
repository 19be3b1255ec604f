// From a user's schedules to jobs in the queue. Called from `tick`, under the user's schedule lock while anything is
// due, so that two schedulers record one after the other. Deciding is FirePlan's.

import Foundation
import Jobs
import Logging
import Spool
import Tenants
import TextFormats

extension ReportScheduler {
    /// What became of one look at a user.
    struct Work {
        /// The next fire time of any of the user's schedules.
        var next: Date?
        var didStore = false
        /// Set when the queue refused for now: seconds to wait at least.
        var retryAfter: TimeInterval?
        /// By schedule, the fire time that has to be tried again.
        var attempted: [String: Date] = [:]
    }

    private enum Outcome {
        case done(ScheduleRun)
        case later(JobError)
    }

    func evaluate(
        _ config: UserConfig, _ workspace: Workspace, attempted: [String: Date], time: Date
    ) throws(ScheduleError) -> Work {
        let derived = try Schedule.derived(from: config)
        var schedules = try store.load(workspace)
        var work = Work()
        let isAligned = !schedules.align(with: config, derived: derived, now: time)
        let plans = (derived + schedules.own).map { plan($0, schedules, attempted: attempted, time: time) }
        if isAligned, plans.allSatisfy({ $0.fires.isEmpty && $0.missed == nil }) {
            work.next = plans.compactMap(\.next).min()
            return work
        }
        try store.change(workspace) { (current: inout UserSchedules) throws(ScheduleError) in
            var isChanged = current.align(with: config, derived: derived, now: time)
            for schedule in derived + current.own {
                let plan = plan(schedule, current, attempted: attempted, time: time)
                isChanged = carryOut(plan, of: schedule, config, &current, &work) || isChanged
                if let next = plan.next { work.next = min(work.next ?? next, next) }
            }
            work.didStore = isChanged
            return isChanged
        }
        return work
    }

    func plan(
        _ schedule: Schedule, _ schedules: UserSchedules, attempted: [String: Date], time: Date
    ) -> FirePlan {
        guard schedule.isEnabled else { return FirePlan() }
        do {
            let handled = schedules.states[schedule.id]?.handledThrough ?? time
            return FirePlan(
                schedule, in: try zones.rules(schedule.timezone), handledThrough: handled,
                attempted: attempted[schedule.id], now: time)
        } catch {
            // Zone data can go missing with an update of the system; the other schedules go on.
            logger.error(
                "a schedule cannot fire", metadata: ["schedule.id": "\(schedule.id)", "error": "\(error)"])
            return FirePlan()
        }
    }

    /// - Returns: whether the state changed.
    private func carryOut(
        _ plan: FirePlan, of schedule: Schedule, _ config: UserConfig, _ schedules: inout UserSchedules,
        _ work: inout Work
    ) -> Bool {
        guard var state = schedules.states[schedule.id] else { return false }
        let before = state
        if let missed = plan.missed { miss(missed, of: schedule, config, &state) }
        for fire in plan.fires {
            switch submit(fire, of: schedule, config, state) {
            case .done(let run):
                state.record(run)
                state.lastFire = fire.time
                if fire.isLate, run.status == .submitted { options.onMisfire(.late) }
            case .later(let error):
                work.attempted[schedule.id] = fire.time
                work.retryAfter = max(work.retryAfter ?? 0, TimeInterval(error.retryAfter ?? 0))
            }
            // Later fires wait their turn, or the record would pass over the one that is still open.
            if work.attempted[schedule.id] != nil { break }
        }
        schedules.states[schedule.id] = state
        return state != before
    }

    private func miss(_ time: Date, of schedule: Schedule, _ config: UserConfig, _ state: inout ScheduleState) {
        let id = Self.fireID(of: schedule.id, at: time, config)
        // It may have been submitted right before a crash. If the queue can't say, missed is what it looks like.
        let wasSubmitted = (try? queue.state(of: id)) != nil
        state.record(
            wasSubmitted
                ? ScheduleRun(fireTime: time, jobID: id.description, status: .submitted)
                : ScheduleRun(
                    fireTime: time, jobID: nil, status: .missed, detail: "its time passed while no scheduler ran"))
        state.lastFire = time
        if !wasSubmitted { options.onMisfire(.passedOver) }
    }

    private func submit(
        _ fire: FirePlan.Fire, of schedule: Schedule, _ config: UserConfig, _ state: ScheduleState
    ) -> Outcome {
        let id = Self.fireID(of: schedule.id, at: fire.time, config)
        let submitted = ScheduleRun(fireTime: fire.time, jobID: id.description, status: .submitted)
        do {
            // Fires that are made up for queue up behind each other: that is what `all` asks for.
            let mayQueue = schedule.overlap == .queue || (fire.isLate && schedule.misfire == .all)
            if !mayQueue, let live = try liveJob(of: state, except: id) {
                return .done(skipped(fire.time, "the job of the fire before, \(live), has not ended"))
            }
            try queue.submit(fire: try request(for: schedule, at: fire.time, config).with(id: id))
            return .done(submitted)
        } catch {
            switch error.kind {
            // Submitted before a crash, and the schedule was edited since: it did fire.
            case .conflict: return .done(submitted)
            case .sessionBusy: return .done(skipped(fire.time, error.detail))
            case _ where error.isPassing: return .later(error)
            default:
                logger.error(
                    "a scheduled job was refused",
                    metadata: [
                        "user.id": "\(config.userID)", "schedule.id": "\(schedule.id)", "error": "\(error)",
                    ])
                return .done(
                    ScheduleRun(
                        fireTime: fire.time, jobID: nil, status: .failed, detail: "\(error.code): \(error.detail)"))
            }
        }
    }

    private func skipped(_ time: Date, _ why: String) -> ScheduleRun {
        ScheduleRun(fireTime: time, jobID: nil, status: .skipped, detail: why)
    }

    /// The last job of the schedule, if it has not ended.
    private func liveJob(of state: ScheduleState, except own: JobID) throws(JobError) -> JobID? {
        guard let text = state.history.last(where: { $0.jobID != nil })?.jobID, let last = JobID(text), last != own,
            let found = try queue.state(of: last), !found.isFinal
        else { return nil }
        return last
    }

    /// The job of a fire, without an id.
    func request(for schedule: Schedule, at time: Date, _ config: UserConfig) throws(JobError) -> JobRequest {
        let key = "\(config.userID)|\(schedule.id)"
        let offset = options.jitter == 0 ? 0 : Spread.value(of: key, below: options.jitter + 1)
        return try Self.request(schedule.job, user: config.userID, schedule: schedule.id, time: time, offset: offset)
    }

    /// - Parameter offset: seconds after `time` at which the job may start.
    static func request(
        _ template: JSON, user: UserID, schedule: String, time: Date, offset: Int = 0
    ) throws(JobError) -> JobRequest {
        var job = template.object ?? [:]
        job["user_id"] = .string(user.rawValue)
        var metadata = job["metadata"]?.object ?? [:]
        metadata["schedule_id"] = .string(schedule)
        metadata["fire_time"] = .string(RFC3339.string(time))
        job["metadata"] = .object(metadata)
        if offset > 0 { job["run_at"] = .string(RFC3339.string(time.addingTimeInterval(TimeInterval(offset)))) }
        return try JobRequest.parse(.object(job), now: time, allowAnyID: true)
    }

    /// The same for everyone who works it out: that a fire happens once rests on it.
    static func fireID(of schedule: String, at time: Date, _ config: UserConfig) -> JobID {
        let name = "\(config.userID)|\(config.incarnation)|\(schedule)|\(RFC3339.string(time))"
        return JobID.derived(from: Fingerprint.sha256(Array(name.utf8)), time: time)
    }
}
