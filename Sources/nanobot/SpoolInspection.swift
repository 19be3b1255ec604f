// Reads a whole spool and says what does not agree (DESIGN §3, the by-hand half of invariant 16). Reads only, except
// that it takes the lock of a file in running/ for a moment to learn whether anybody holds it. The spool may be in use:
// a listing is no snapshot, so whatever looks wrong is looked at again before it counts. One thread, blocking.
// Failure: FileError or SpoolError when the disk refuses; what cannot be read is a finding. Records, order files and
// marks are in SpoolInspection+Records.swift.

import DurableFiles
import Foundation
import Jobs
import Spool
import Tenants
import TextFormats

struct SpoolInspection {
    /// A job file and where it lies.
    struct Placement {
        var name: JobFileName
        var folder: Folder
        /// Relative to the spool.
        var path: String
    }

    let spool: JobSpool
    /// False: done/ and the records of ended jobs are left out.
    let withEnded: Bool
    private(set) var findings: [SpoolFinding] = []
    var recordCount = 0
    private(set) var placements: [Placement] = []
    private let progress: (Int, Int) -> Void

    /// Jobs between two reports of progress.
    private static let progressStep = 500

    init(spool: JobSpool, withEnded: Bool, progress: @escaping (_ done: Int, _ all: Int) -> Void) {
        self.spool = spool
        self.withEnded = withEnded
        self.progress = progress
    }

    var files: any FileSystem { spool.files }
    var jobCount: Int { placements.count }
    var problems: [SpoolFinding] { findings.filter(\.isProblem) }
    var notes: [SpoolFinding] { findings.filter { !$0.isProblem } }

    mutating func run() throws {
        for folder in try spool.closedFolders() { closed(folder.rawValue) }
        // What is in them would be taken for lost.
        guard findings.isEmpty else { return }
        try collect()
        try checkPlaces()
        for (index, placement) in placements.enumerated() {
            if index % SpoolInspection.progressStep == 0 { progress(index, placements.count) }
            try check(placement)
        }
        try checkRecords(known: Set(placements.map(\.name.id)))
        try checkOrderFiles()
        try checkOtherFolders()
    }

    mutating func problem(_ code: String, _ path: String, _ detail: String, repair: SpoolFinding.Repair? = nil) {
        findings.append(SpoolFinding(code: code, path: path, detail: detail, isProblem: true, repair: repair))
    }

    mutating func note(_ code: String, _ path: String, _ detail: String) {
        findings.append(SpoolFinding(code: code, path: path, detail: detail, isProblem: false))
    }

    /// What keeps the place of a file or folder of ours.
    mutating func wrongKind(_ path: String, _ what: String) {
        problem(
            "not_a_file", path, "is \(what); move it away, or let --repair put it into aside/", repair: .setAside)
    }

    private mutating func closed(_ path: String) {
        problem("unreadable", path, "may not be looked into: give its owner the rights back (chmod u+rwx)")
    }

    func full(_ path: String) -> String { "\(spool.layout.root)/\(path)" }

    /// The entries of a folder; none when it went away. What is no folder, or may not be looked into, is a problem of its own
    /// and keeps nobody from the rest.
    mutating func entries(_ path: String, withTemporaries: Bool = false) throws(FileError) -> [DirectoryEntry] {
        do throws(FileError) {
            return try files.list(full(path)).filter { withTemporaries || !TemporaryNames.isTemporary($0.name) }
        } catch {
            switch error.code {
            case .notFound: break
            case .notDirectory, .symlink: wrongKind(path, "no folder, where a folder is expected")
            case .permission: closed(path)
            default: throw error
            }
            return []
        }
    }

    func isThere(_ path: String) throws(FileError) -> Bool { try files.exists(full(path)) }

    // MARK: - Names

    private mutating func collect() throws {
        for entry in try entries("queued") {
            let path = "queued/\(entry.name)"
            guard entry.kind == .directory, !entry.name.hasPrefix(".") else {
                take(entry, .queued, path)
                continue
            }
            for inner in try entries(path) { take(inner, .queued, "\(path)/\(inner.name)") }
        }
        for folder in [Folder.running, .dead] {
            for entry in try entries(folder.rawValue) { take(entry, folder, "\(folder.rawValue)/\(entry.name)") }
        }
        guard withEnded else { return }
        for day in try entries("done") {
            guard day.kind == .directory else {
                problem("foreign_file", "done/\(day.name)", "is none of ours; move it away")
                continue
            }
            for shard in try entries("done/\(day.name)") {
                let folder = "done/\(day.name)/\(shard.name)"
                for entry in try entries(folder) { take(entry, .done, "\(folder)/\(entry.name)") }
            }
        }
    }

    private mutating func take(_ entry: DirectoryEntry, _ folder: Folder, _ path: String) {
        guard entry.kind == .regular else {
            wrongKind(path, "a \(entry.kind.rawValue), not a file")
            return
        }
        guard let name = JobFileName(entry.name) else {
            if folder == .queued {
                noteForeign(entry.name, path)
            } else {
                problem("foreign_file", path, "is no job file's name; move it away, or into incoming/ if it is a job")
            }
            return
        }
        placements.append(Placement(name: name, folder: folder, path: path))
        checkStamps(name, folder, path)
    }

    /// Only what could be dropped in incoming/ is taken in.
    private mutating func noteForeign(_ name: String, _ path: String) {
        if DropName.isHidden(name) {
            note("foreign_file", path, "is no job file's name, and no service takes in a name like this: rename or move it away")
        } else if !DropName.isJob(name) {
            note("foreign_file", path, "is no job file's name and does not end in .json: no service takes it in; move it away")
        } else {
            note(
                "foreign_file", path,
                "is no job file's name: a running service with a drop box moves it to incoming/ and takes it in from there")
        }
    }

    private mutating func checkStamps(_ name: JobFileName, _ folder: Folder, _ path: String) {
        switch folder {
        case .queued where name.isFinishing:
            problem("wrong_name", path, "ends in .fin, which belongs into running/; move it there")
        case .running where name.isDead:
            problem("wrong_name", path, "is stamped .dead, which belongs into dead/ or queued/")
        case .dead where !name.isDead:
            problem("wrong_name", path, "lacks the stamp .dead: moved to queued/ by hand it would be taken for ended")
        case .done:
            if name.isFinishing || name.isDead { problem("wrong_name", path, "has a stamp, as nothing in done/ has") }
            let expected = "done/\(name.id.day)/\(name.id.shard)/\(PathParts.split(path).name)"
            if path != expected { problem("wrong_folder", path, "belongs at \(expected)") }
        default: break
        }
    }

    // MARK: - Places

    private mutating func checkPlaces() throws {
        let twice = Dictionary(grouping: placements, by: \.name.id).filter { $0.value.count > 1 }
        var gone: Set<String> = []
        for (id, places) in twice.sorted(by: { $0.key < $1.key }) {
            // A job that moved while we listed was met twice; it lies in one place all the same.
            var still: [String] = []
            for place in places {
                if try isThere(place.path) { still.append(place.path) } else { gone.insert(place.path) }
            }
            guard still.count > 1 else { continue }
            problem(
                "two_places", still[0],
                "job \(id) lies also at \(still.dropFirst().joined(separator: ", ")); its record says which is right: "
                    + "nanobot status \(id)")
        }
        placements.removeAll { gone.contains($0.path) }
    }

    // MARK: - One job

    private mutating func check(_ place: Placement) throws {
        try checkContent(place)
        try checkState(place)
    }

    private mutating func checkContent(_ place: Placement) throws {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try files.readFile(full(place.path), maxBytes: JobSpool.maximumPayload)
        } catch {
            // It moved on meanwhile.
            if error.code == .notFound { return }
            problem("unreadable", place.path, "cannot be read: \(error)")
            return
        }
        let job: AdmittedJob
        do throws(JobError) {
            job = try AdmittedJob(payload: bytes, now: spool.now())
        } catch {
            problem("invalid_job", place.path, "is no valid job: \(error)")
            return
        }
        let request = job.request
        var contradictions: [String] = []
        if request.userID.rawValue != place.name.user { contradictions.append("user \(request.userID)") }
        if let id = request.id, id != place.name.id { contradictions.append("id \(id)") }
        if request.kind.lane != place.name.lane { contradictions.append("kind \(request.kind.rawValue)") }
        if request.priority != place.name.priority { contradictions.append("priority \(request.priority)") }
        if !job.incarnation.isEmpty, orderKey(job) != place.name.orderKey { contradictions.append("its session") }
        guard !contradictions.isEmpty else { return }
        let list = contradictions.joined(separator: ", ")
        problem("contradiction", place.path, "the file's content says otherwise than its name: \(list)")
    }

    private func orderKey(_ job: AdmittedJob) -> OrderKey? {
        job.request.sessionID.flatMap {
            OrderKey($0.orderKey(user: job.request.userID, incarnation: job.incarnation))
        }
    }

    /// Whether the folder is the one the record asks for.
    private mutating func checkState(_ place: Placement) throws {
        let record: JobRecord?
        do throws(SpoolError) {
            record = try spool.record(place.name.id)
        } catch {
            guard !error.isPassing else { throw error }
            // The record is named when the records are looked at.
            return
        }
        let isHeld = place.folder == .running ? try spool.isHeld(place.name) ?? true : false
        // Read after the listing: only if the file still lies where it was found do the two belong together.
        guard try isThere(place.path) else { return }
        switch place.folder {
        case .queued: checkQueued(place, record)
        case .running: if !isHeld { checkOrphan(place, record) }
        case .dead:
            if let record, record.state == .failed { return }
            problem(
                "wrong_folder", place.path,
                "lies in dead/, but its record says \(record?.state.rawValue ?? "nothing"); to run it again: "
                    + "nanobot retry \(place.name.id)")
        case .done:
            if let record, record.state == .completed || record.state == .cancelled { return }
            problem(
                "wrong_folder", place.path, "lies in done/, but its record says \(record?.state.rawValue ?? "nothing")")
        default: break
        }
    }

    private mutating func checkQueued(_ place: Placement, _ record: JobRecord?) {
        guard let record else {
            note("no_record", place.path, "has no record yet: whoever claims it begins one")
            return
        }
        guard record.state.isFinal, record.run >= place.name.claimed.run else { return }
        problem(
            "ended_but_queued", place.path, "lies in queued/, but ended as \(record.state.rawValue)",
            repair: .moveEnded(place.name))
    }

    private mutating func checkOrphan(_ place: Placement, _ record: JobRecord?) {
        if let record, record.state.isFinal, record.run >= place.name.run {
            problem(
                "ended_but_running", place.path, "ended as \(record.state.rawValue); only its last move is missing",
                repair: .recoverOrphans)
        } else {
            problem(
                "orphan", place.path, "nobody runs it: its process died. A running service recovers it within a second",
                repair: .recoverOrphans)
        }
    }
}
