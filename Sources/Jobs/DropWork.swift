// One pass over the drop box: finish what is in admitting/, then take in what is whole in incoming/.
// State of one DropBox, used under its lock. Failure: never; what cannot be done now is done in a later pass.

import DurableFiles
import Foundation
import Spool

struct DropWork {
    /// Files renamed to admitting/ in one pass; they share the two folder syncs.
    static let batchSize = 256
    /// Seconds between looks when nothing is known to be coming: the safety net where events do not reach us.
    static let idleLook: TimeInterval = 2
    /// Seconds between looks while a file is waiting for its quiet time.
    static let busyLook: TimeInterval = 0.5
    /// Seconds after which a file another process put into admitting/ counts as left behind.
    static let foreignGrace: TimeInterval = 5
    private static let firstDelay: TimeInterval = 1
    private static let longestDelay: TimeInterval = 60

    private struct Retry {
        var next: Date
        var delay: TimeInterval
    }

    let layout: SpoolLayout
    let files: any FileSystem
    let intake: DropIntake
    let notify: @Sendable (DropNotice) -> Void

    var incoming = DropCandidates()
    var queued = DropCandidates()
    private var retries: [FileName: Retry] = [:]
    /// Files in admitting/ that hold no job and may have changed just now.
    private var unsettled = DropCandidates()
    /// Those of them for which no step was taken.
    private var unanswered: Set<FileName> = []
    private var reported: Set<FileName> = []
    /// Files whose names are not UTF-8, as last reported.
    private var unreadable = 0
    private var blocked: Retry?
    private var isFirstPass = true
    private var isFailing = false

    init(
        layout: SpoolLayout, files: any FileSystem, intake: DropIntake,
        notify: @escaping @Sendable (DropNotice) -> Void
    ) {
        self.layout = layout
        self.files = files
        self.intake = intake
        self.notify = notify
    }

    /// - Returns: seconds until the next look is worth while; 0 when there is more to do now.
    mutating func pass(now: Date) -> TimeInterval {
        do throws(FileError) {
            let isRecovery = isFirstPass
            try finishAdmitting(now: now, isRecovery: isRecovery)
            isFirstPass = false
            let more = try takeIn(now: now)
            isFailing = false
            return more ? 0 : nextLook(now)
        } catch {
            if !isFailing { notify(.failing(reason: error.description)) }
            isFailing = true
            return Self.idleLook
        }
    }

    private func nextLook(_ now: Date) -> TimeInterval {
        var look = incoming.isWaiting || queued.isWaiting ? Self.busyLook : Self.idleLook
        for retry in retries.values { look = min(look, retry.next.timeIntervalSince(now)) }
        return max(0.05, look)
    }

    // MARK: - admitting/

    private mutating func finishAdmitting(now: Date, isRecovery: Bool) throws(FileError) {
        let entries = try files.list(layout.path(.admitting)).map(\.name).filter { !$0.hasPrefix(".") }
        let present = Set(entries.map { FileName($0) })
        if isRecovery, !entries.isEmpty {
            // The process that renamed them here may have died before it synced that: after a power cut they would
            // be in incoming/ again, and get a second id, although the first has been answered for.
            try files.syncDirectory(layout.path(.admitting))
            try files.syncDirectory(layout.path(.incoming))
        }
        retries = retries.filter { present.contains($0.key) }
        unsettled.keep(only: present)
        unanswered.formIntersection(present)
        for entry in entries.sorted() {
            if entry.hasSuffix(".name"), JobID(String(entry.dropLast(5))) != nil {
                removeOrphanNote(entry, present, now)
                continue
            }
            guard var file = AdmittingFile(entry: entry) else {
                reportLeft(.admitting, entry, "its name is none the service gives; move it to incoming/")
                continue
            }
            let key = FileName(entry)
            if !isRecovery, retries[key] == nil {
                retries[key] = Retry(next: now.addingTimeInterval(Self.foreignGrace), delay: Self.firstDelay)
            }
            if let retry = retries[key], retry.next > now { continue }
            if let note = file.noteEntry { file.name = try keptName(note) ?? "\(file.id).json" }
            try finish(file, now)
        }
    }

    private mutating func finish(_ file: AdmittingFile, _ now: Date) throws(FileError) {
        let key = FileName(file.entry)
        var settled: FileStatus?
        // Gone: `finish` finds that out.
        if unsettled.knows(key), let status = try? files.status(layout.path(.admitting, file.entry)) {
            guard unsettled.isWhole(key, status, now: now) else { return wait(key, now) }
            settled = status
        }
        let isRepeat = unanswered.remove(key) == nil
        settle(file, intake.finish(file, expected: nil, settled: settled, isRepeat: isRepeat), now, isRepeat: isRepeat)
    }

    private mutating func wait(_ key: FileName, _ now: Date) {
        retries[key] = Retry(next: now.addingTimeInterval(DropCandidates.quietTime), delay: Self.firstDelay)
    }

    /// Begins the quiet time of a file in admitting/.
    private mutating func doubt(_ file: AdmittingFile, _ now: Date) {
        let key = FileName(file.entry)
        // Gone: the next look finds that out.
        if let status = try? files.status(layout.path(.admitting, file.entry)) {
            unsettled.doubt(key, status, now: now)
        }
        wait(key, now)
    }

    private func keptName(_ note: String) throws(FileError) -> String? {
        do {
            let bytes = try files.readFile(layout.path(.admitting, note), maxBytes: DropName.maxBytes)
            let name = String(decoding: bytes, as: UTF8.self)
            return name.contains("/") || !DropName.isJob(name) ? nil : name
        } catch {
            if error.code == .notFound || error.code == .tooLarge { return nil }
            throw error
        }
    }

    /// A name written down for a file that never arrived: the process died in between.
    private func removeOrphanNote(_ note: String, _ present: Set<FileName>, _ now: Date) {
        let path = layout.path(.admitting, note)
        guard !present.contains(FileName("\(note.dropLast(5))~")), let status = try? files.status(path),
            now.timeIntervalSince(status.modified) > 60
        else { return }
        // Left for the next pass where it cannot be removed now.
        try? files.remove(path)
    }

    private mutating func settle(
        _ file: AdmittingFile, _ result: DropIntake.Result, _ now: Date, isRepeat: Bool
    ) {
        let key = FileName(file.entry)
        let name = DropName.escaped(file.name)
        switch result {
        case .accepted(let job):
            notify(.accepted(name: name, id: job.id, isNew: job.isNew))
            blocked = nil
        case .acceptedAndChanged(let job):
            notify(.accepted(name: name, id: job.id, isNew: job.isNew))
            blocked = nil
            return doubt(file, now)
        case .doubtful:
            if !isRepeat { unanswered.insert(key) }
            return doubt(file, now)
        case .separated(let next):
            unsettled.forget(key)
            retries[key] = nil
            return settle(next, intake.finish(next, expected: nil, isRepeat: false), now, isRepeat: false)
        case .rejected(let error): notify(.rejected(name: name, code: error.code, detail: error.description))
        case .gone: break
        case .later(let error):
            let known = retries[key]
            if known == nil { notify(.delayed(name: name, reason: error.description)) }
            retries[key] = later(known, now)
            // One user's full queue is no reason to keep the others waiting; a full disk is.
            if !error.isOfOneUser { blocked = later(blocked, now) }
            return
        }
        unsettled.forget(key)
        retries[key] = nil
    }

    private func later(_ known: Retry?, _ now: Date) -> Retry {
        let delay = known.map { min($0.delay * 2, Self.longestDelay) } ?? Self.firstDelay
        return Retry(next: now.addingTimeInterval(delay), delay: delay)
    }

    // MARK: - incoming/

    /// - Returns: true when there were more whole files than one pass takes.
    private mutating func takeIn(now: Date) throws(FileError) -> Bool {
        if let blocked, blocked.next > now { return false }
        let names = try files.list(layout.path(.incoming)).map(\.name).filter { !DropName.isHidden($0) }
        let present = Set(names.map { FileName($0) })
        incoming.keep(only: present)
        forgetReports(.incoming, present)
        try reportUnreadable()
        var whole: [Whole] = []
        for name in names {
            guard let status = candidate(name) else { continue }
            switch incoming.readiness(FileName(name), status, now: now) {
            case .incomplete: break
            case .closed: whole.append(Whole(name: name, status: status, isSettled: false))
            case .unchanged: whole.append(Whole(name: name, status: status, isSettled: true))
            }
        }
        // In the order they were written: chats of one session are answered in that order.
        whole.sort { ($0.status.modified, $0.name) < ($1.status.modified, $1.name) }
        var looked = 0
        var batch: [Whole] = []
        for file in whole {
            guard batch.count < Self.batchSize else { break }
            looked += 1
            if file.isSettled || intake.holdsJob(layout.path(.incoming, file.name)) {
                batch.append(file)
            } else {
                // Left under its own name, where a program that appends or saves a second time finds it.
                incoming.doubt(FileName(file.name), file.status, now: now)
            }
        }
        try take(batch, now)
        return looked < whole.count
    }

    /// A file of incoming/ that can be taken.
    private struct Whole {
        var name: String
        var status: FileStatus
        /// It has not changed for its quiet time.
        var isSettled: Bool
    }

    /// The status of a file that may be taken when it is whole; nil for everything else.
    private mutating func candidate(_ name: String) -> FileStatus? {
        // Gone by now, or not to be asked about: the next pass looks again.
        guard let status = try? files.status(layout.path(.incoming, name)) else { return nil }
        let reason: String? =
            switch status.kind {
            case .directory: "it is a folder"
            case .symlink: "it is a symbolic link; copy the file itself"
            case .fifo: "it is a pipe"
            case .other: "it is no regular file"
            case .regular where status.links != 1: "it has \(status.links) names (hard links); copy it instead"
            case .regular where !DropName.isJob(name): "its name does not end in .json"
            case .regular: nil
            }
        guard let reason else { return status }
        reportLeft(.incoming, name, reason)
        return nil
    }

    private mutating func take(_ whole: [Whole], _ now: Date) throws(FileError) {
        var taken: [(file: AdmittingFile, from: Whole)] = []
        for file in whole {
            incoming.forget(FileName(file.name))
            if let moved = try move(file.name, now) { taken.append((moved, file)) }
        }
        guard !taken.isEmpty else { return }
        do {
            // Before anything is submitted: after a power cut the file is in admitting/ with its id, not in incoming/
            // where it would get a second one.
            try files.syncDirectory(layout.path(.admitting))
            try files.syncDirectory(layout.path(.incoming))
        } catch {
            for (file, _) in taken {
                settle(file, .later(JobError(error, jobID: file.id)), now, isRepeat: false)
            }
            return
        }
        for (file, from) in taken {
            let result = intake.finish(
                file, expected: from.status, settled: from.isSettled ? from.status : nil, isRepeat: false)
            settle(file, result, now, isRepeat: false)
        }
    }

    /// incoming/ → admitting/ under a new id. - Returns: nil when it is gone or has to stay.
    private mutating func move(_ name: String, _ now: Date) throws(FileError) -> AdmittingFile? {
        let file = AdmittingFile(id: JobID.make(now: now), name: name)
        do {
            if let note = file.noteEntry {
                try files.createFile(layout.path(.admitting, note), Array(name.utf8))
            }
            try files.rename(layout.path(.incoming, name), layout.path(.admitting, file.entry), replace: false)
            return file
        } catch {
            if error.code == .notFound { return nil }
            guard !error.isPassing else { throw error }
            // One file that cannot be moved must not stand in the way of the others.
            reportLeft(.incoming, name, "the service cannot move it: \(error)")
            return nil
        }
    }

    // MARK: - queued/

    /// A file put into queued/ under a name of its own goes to incoming/, whose rules then hold for it.
    /// - Parameter path: in queued/ or in a folder inside it.
    mutating func adopt(_ path: String, now: Date) {
        let name = PathParts.split(path).name
        // Gone by now, or not to be asked about: it is named again by the next search.
        guard let status = try? files.status(path), !DropName.isHidden(name) else { return }
        guard status.kind == .regular, DropName.isJob(name) else {
            return reportLeft(.queued, name, "it is no job file; job files end in .json")
        }
        guard queued.isWhole(FileName(path), status, now: now) else { return }
        queued.forget(FileName(path))
        do throws(FileError) {
            do throws(FileError) {
                try files.rename(path, layout.path(.incoming, name), replace: false)
            } catch {
                guard error.code == .exists else { throw error }
                let numbered = DropName.numbered(name, JobID.make(now: now))
                try files.rename(path, layout.path(.incoming, numbered), replace: false)
            }
        } catch {
            notify(.delayed(name: DropName.escaped(name), reason: error.description))
        }
    }

    // MARK: - Reports

    /// Such names cannot be told apart in a log or a receipt, so they are only counted.
    private mutating func reportUnreadable() throws(FileError) {
        let count = try files.unreadableNames(layout.path(.incoming))
        if count > unreadable {
            notify(.left(name: "incoming/", reason: "\(count) files have names that are not UTF-8; rename them"))
        }
        unreadable = count
    }

    private mutating func reportLeft(_ folder: Folder, _ name: String, _ reason: String) {
        guard reported.insert(FileName("\(folder.rawValue)/\(name)")).inserted else { return }
        notify(.left(name: "\(folder.rawValue)/\(DropName.escaped(name))", reason: reason))
    }

    /// What has gone may come again, and is then said again.
    private mutating func forgetReports(_ folder: Folder, _ present: Set<FileName>) {
        let prefix = Array("\(folder.rawValue)/".utf8)
        reported = reported.filter { report in
            !report.bytes.starts(with: prefix)
                || present.contains(FileName(bytes: Array(report.bytes.dropFirst(prefix.count))))
        }
    }
}
