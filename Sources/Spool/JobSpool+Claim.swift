// Claiming: lock the status file, check that the job may run, rename queued/ → running/, write the epoch line.

import DurableFiles
import Foundation
import TextFormats

extension JobSpool {
    /// Tries to claim a waiting job without waiting for anybody.
    ///
    /// - Throws: `.storage`; the job is then where it was, or recovered from running/ soon.
    public func claim(_ name: JobFileName) throws(SpoolError) -> ClaimResult {
        guard let file = try lockForClaim(name.id) else { return .busy }
        file.log = log
        guard let source = try queuedPath(name) else {
            removeIfEmpty(file)
            return .gone
        }
        let target = name.claimed
        let history: StatusHistory
        do throws(SpoolError) {
            history = StatusHistory(try file.readAll(repairing: true))
        } catch {
            guard error.file?.code == .tooLarge else { throw error }
            try setAsideOvergrown(file, name, source)
            return .finished
        }

        if let last = history.last, last.state.isFinal, last.run >= target.run {
            try file.sync()
            try moveFinished(name, from: source, final: last)
            return .finished
        }
        if try isCancelled(target.id, run: target.run) {
            try cancelWaiting(file, name, source, history)
            return .finished
        }
        var suspect: SuspectLock?
        if target.crashes > 0 {
            suspect = try SuspectLock.take(folders)
            if suspect == nil { return .isolated }
        }
        var order: OrderFile?
        if let key = name.orderKey {
            switch try orderTurn(key, name.id) {
            case .mine(let opened): order = opened
            case .after(let other): return .blocked(by: other)
            }
        }
        return try take(name, target, source, file, history, Held(order: order, suspect: suspect))
    }

    private func lockForClaim(_ id: JobID) throws(SpoolError) -> StatusFile? {
        let path = layout.statusPath(id)
        switch try StatusFile.openLocked(id, in: folders) {
        case .locked(let file): return file
        case .busy: return nil
        case .absent:
            // Its record was lost, or the file was put here by hand: begin a new record.
            try stored(id) { () throws(FileError) in try ensureShard(.status, id) }
            switch try StatusFile.create(id, path, files) {
            case .locked(let file):
                try stored(id) { () throws(FileError) in try syncer.sync(layout.statusFolder(id)) }
                return file
            case .busy, .absent:
                forgetShard(.status, id)
                return nil
            }
        }
    }

    /// A record begun for a file that is gone would only be litter.
    private func removeIfEmpty(_ file: StatusFile) {
        guard file.size == 0 else { return }
        // Harmless when it stays: retention removes it.
        try? files.remove(file.path)
    }

    private func take(
        _ name: JobFileName, _ target: JobFileName, _ source: String, _ file: StatusFile, _ history: StatusHistory,
        _ held: Held
    ) throws(SpoolError) -> ClaimResult {
        let id = name.id
        let destination = layout.path(.running, target)
        let payload: [UInt8]
        do throws(FileError) {
            payload = try files.readFile(source, maxBytes: JobSpool.maximumPayload)
            if history.last == nil, payload.allSatisfy({ $0 == 0 }) {
                // Only its name outlived a power cut in the middle of its admission: nobody was told of it, for then the
                // log would have put its content back.
                try files.remove(source)
                // Harmless when it stays: retention removes it.
                try? files.remove(file.path)
                return .gone
            }
            try withFolder(layout.path(.running)) { () throws(FileError) in try files.rename(source, destination) }
        } catch {
            if error.code == .notFound { return .gone }
            guard error.isPassing else {
                try setAside(file, name, source, history, error)
                return .finished
            }
            throw SpoolError(error, id: id)
        }
        var status = StatusRecord(state: .running, name: target, at: now())
        status.epoch = history.lastEpoch + 1
        status.tag = Hex.text(UInt64.random(in: 0...0xFFFF), digits: 4)
        status.startedAt = now()
        if history.last == nil {
            // Its submitter died before it could write the `queued` line: this one stands in for it.
            status.facts = history.facts ?? ["user_id": .string(target.user)]
            status.fingerprint = history.fingerprint
        }
        if name.isDead { removeTwin(history) }
        // Counts from a name given by hand win over the record; a retried dead letter begins anew.
        if name.isDead, history.last?.error?.code == "crash_loop" { status.voidsJournal = true }
        do throws(SpoolError) {
            try file.append(status.line, .none)
        } catch {
            // Back where it was; if that fails too it is an orphan and recovered as such.
            try? files.rename(destination, source)
            throw error
        }
        status.voidsJournal = false
        status.facts = nil
        status.fingerprint = nil
        let job = ClaimedJob(
            id: id, user: target.user, lane: target.lane, run: target.run, attempt: target.attempt,
            crashes: target.crashes, epoch: status.epoch, name: target, payload: payload,
            facts: history.facts ?? [:], createdAt: id.time)
        let run = OpenRun(
            spool: self, file: file, held: held, name: target, job: job, status: status,
            replay: name.isDead && history.last?.error?.code == "crash_loop" ? [] : history.journal)
        return .claimed(Claim(run))
    }

    /// The power may have gone when only one of the two folders of a retried dead letter's rename was on disk: then it is
    /// in both, and the one in dead/ is what is left over.
    private func removeTwin(_ history: StatusHistory) {
        guard let name = history.buriedName.flatMap(JobFileName.init) else { return }
        // Nearly always it is not there.
        try? files.remove(layout.path(.dead, name))
    }

    // MARK: Order

    enum OrderTurn {
        case mine(OrderFile)
        case after(JobID)
    }

    /// Takes the key's run lock if this id is its first that counts.
    private func orderTurn(_ key: OrderKey, _ id: JobID) throws(SpoolError) -> OrderTurn {
        let order = try openOrder(key)
        guard try order.takeRunLock() else {
            return .after(try order.live().first ?? id)
        }
        // A future job joins when it is due: now.
        try order.admit(id)
        var ended: [JobID] = []
        for other in try order.live() {
            if other == id {
                if !ended.isEmpty { try order.end(ended) }
                return .mine(order)
            }
            if try counts(other) { return .after(other) }
            ended.append(other)
        }
        return .mine(order)
    }

    /// Whether an id in an order file may still run: not final, not buried, really admitted, its job file there.
    private func counts(_ id: JobID) throws(SpoolError) -> Bool {
        switch try StatusFile.openLocked(id, in: folders) {
        case .busy: return true
        case .absent: return false
        case .locked(let file):
            // Read back from the end: the record of a job in front may be long.
            guard let last = try file.lastStatus() else { return try find(id) != nil }
            if last.state.isFinal { return false }
            guard let name = last.file.flatMap(JobFileName.init) else { return try find(id) != nil }
            if try queuedPath(name) != nil { return true }
            let isThere = try stored(id) { () throws(FileError) in
                for place in [name.settled, name.settled.finishing] {
                    if try files.exists(layout.path(.running, place)) { return true }
                }
                return false
            }
            // Under its lock and nowhere: removed by hand, unless it was renamed by hand.
            if isThere { return true }
            return try find(id) != nil
        }
    }
}

/// The lines of one status file, sorted into what each reader needs.
struct StatusHistory {
    var last: StatusRecord?
    var lastEpoch = 0
    var facts: JSONObject?
    var fingerprint: String?
    var journal: [JournalLine] = []
    /// A step was completed since the last claim began.
    var hasStepSinceClaim = false
    /// The name under which the job ran when it was last claimed.
    var claimedName: String?
    /// The name under which it was last put into dead/.
    var buriedName: String?

    /// Of a record too large to be read whole: what its last state says.
    init(last: StatusRecord?) {
        self.last = last
        lastEpoch = last?.epoch ?? 0
        facts = last?.facts
    }

    init(_ lines: [StatusLine]) {
        for line in lines {
            switch line.type {
            case .status:
                guard let record = StatusRecord(line) else { continue }
                if record.voidsJournal { journal = [] }
                if record.epoch > lastEpoch || (record.state == .running && record.epoch != last?.epoch) {
                    lastEpoch = max(lastEpoch, record.epoch)
                    hasStepSinceClaim = false
                }
                if record.state == .running { claimedName = record.file }
                if record.state == .failed { buriedName = record.file }
                facts = facts ?? record.facts
                fingerprint = fingerprint ?? record.fingerprint
                last = record
            case .model: add(.model, line)
            case .intent: add(.intent, line)
            case .result: add(.result, line)
            case .event:
                // What a submitter writes before the job file stands; the last one before a state counts.
                guard last == nil, line.fields["event"] == "admitting" else { continue }
                facts = line.fields["job"]?.object
                fingerprint = line.fields["fingerprint"]?.string
            }
        }
    }

    private mutating func add(_ kind: JournalKind, _ line: StatusLine) {
        journal.append(JournalLine(kind: kind, fields: line.fields))
        if kind != .intent { hasStepSinceClaim = true }
    }
}
