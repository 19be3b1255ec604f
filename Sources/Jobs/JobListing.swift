// Walks the ids of all jobs, newest first, reading no more folders than needed: what is alive first, then one day of
// finished jobs after the other. Used by one call of JobClient.list, on its thread. Failure: JobError `storage`.

import Foundation
import Spool
import Tenants
import TextFormats

struct JobListing {
    private let spool: JobSpool
    private let filter: JobFilter
    private let after: JobID?
    private var isStarted = false
    /// Live jobs and dead letters not yet given, oldest first: taken from the end.
    private var live: [JobID] = []
    /// Days not yet looked at, oldest first.
    private var days: [String] = []
    /// Of the day in hand, oldest first.
    private var finished: [JobID] = []
    private var last: JobID?

    init(spool: JobSpool, filter: JobFilter, after: JobID?) {
        self.spool = spool
        self.filter = filter
        self.after = after
    }

    /// - Returns: nil at the end. No id comes twice, though a job may move while the folders are read.
    mutating func next() throws(JobError) -> JobID? {
        if !isStarted { try start() }
        while let id = try newest() {
            guard id != last else { continue }
            last = id
            return id
        }
        return nil
    }

    private mutating func start() throws(JobError) {
        isStarted = true
        // In the order in which a job moves, so that one that moves meanwhile is met at least once.
        for folder in liveFolders { live += select(try call { () throws(SpoolError) in try spool.names(in: folder) }) }
        live.sort()
        guard filter.state.map(\.isFinal) ?? true else { return }
        let limit = after?.day
        let all = try call { () throws(SpoolError) in try spool.doneDays() }
        // Days are those of the ids, as text in the order of time.
        let earliest = filter.since.map { RFC3339.day(Int64(($0.timeIntervalSince1970 * 1_000).rounded(.down))) }
        let latest = filter.until.map { RFC3339.day(Int64(($0.timeIntervalSince1970 * 1_000).rounded(.down))) }
        days = all.filter { day in
            limit.map { day <= $0 } ?? true && earliest.map { day >= $0 } ?? true && latest.map { day <= $0 } ?? true
        }.sorted()
    }

    private var liveFolders: [Folder] {
        switch filter.state {
        case nil: return [.queued, .running, .dead]
        case .queued: return [.queued]
        case .running: return [.queued, .running]
        case .failed: return [.dead]
        case .completed, .cancelled: return []
        }
    }

    private mutating func newest() throws(JobError) -> JobID? {
        // A live job of the same day or later comes before finished days are even listed.
        while finished.isEmpty, let day = days.last, live.last.map({ $0.day <= day }) ?? true {
            days.removeLast()
            finished = select(try call { () throws(SpoolError) in try spool.doneNames(day: day) }).sorted()
        }
        switch (live.last, finished.last) {
        case (let alive?, let done?): return alive >= done ? live.removeLast() : finished.removeLast()
        case (.some, nil): return live.removeLast()
        case (nil, .some): return finished.removeLast()
        case (nil, nil): return nil
        }
    }

    private func select(_ names: [JobFileName]) -> [JobID] {
        names.compactMap { name in
            if let user = filter.user, name.user != user.rawValue { return nil }
            if let kind = filter.kind, name.lane != kind.lane { return nil }
            if let after, name.id >= after { return nil }
            if let since = filter.since, name.id.time < since { return nil }
            if let until = filter.until, name.id.time >= until { return nil }
            return name.id
        }
    }

    private func call<Value>(_ body: () throws(SpoolError) -> Value) throws(JobError) -> Value {
        do {
            return try body()
        } catch {
            throw JobError(error, nil)
        }
    }
}
