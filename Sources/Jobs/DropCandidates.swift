// Decides when a file in a drop folder is whole: after a close or move event, or when it has not changed for 2 s where
// no event came or where the closed file held no job. A pure state machine; the drop box feeds it events and sightings,
// under its lock.

import DurableFiles
import Foundation

struct DropCandidates {
    /// Seconds without a change after which a file no event told of is taken as whole.
    static let quietTime: TimeInterval = 2
    /// The same for a file that was seen being opened or written but not closed. Its close event is due; only when
    /// that was lost, or the file was linked in rather than written, does this run out.
    static let openQuietTime: TimeInterval = 30

    /// What is known of a file at a look.
    enum Readiness {
        case incomplete
        /// It was closed or moved in: most writers are finished then, but some save a second time.
        case closed
        /// It has not changed for its quiet time.
        case unchanged
    }

    private struct Sighting {
        var size: Int
        var modified: Date
        var inode: UInt64
        var since: Date

        init(_ status: FileStatus, since: Date) {
            (size, modified, inode) = (status.size, status.modified, status.inode)
            self.since = since
        }

        func isOf(_ status: FileStatus, at now: Date) -> Bool {
            size == status.size && modified == status.modified && inode == status.inode && since <= now
        }
    }

    private var sightings: [FileName: Sighting] = [:]
    private var closed: Set<FileName> = []
    private var open: Set<FileName> = []

    /// True while some file is only waiting for its quiet time.
    var isWaiting: Bool { !sightings.isEmpty }

    mutating func sawClose(_ name: FileName) {
        closed.insert(name)
        open.remove(name)
    }

    mutating func sawWriting(_ name: FileName) {
        open.insert(name)
        closed.remove(name)
    }

    /// Events were lost: whatever was known from them may be out of date.
    mutating func lostEvents() {
        closed.removeAll()
        open.removeAll()
    }

    mutating func readiness(_ name: FileName, _ status: FileStatus, now: Date) -> Readiness {
        // An empty file was most likely only touched: its content comes with a second open.
        if closed.contains(name), status.size > 0 { return .closed }
        guard let known = sightings[name], known.isOf(status, at: now) else {
            sightings[name] = Sighting(status, since: now)
            return .incomplete
        }
        let wait = open.contains(name) ? Self.openQuietTime : Self.quietTime
        return now.timeIntervalSince(known.since) >= wait ? .unchanged : .incomplete
    }

    mutating func isWhole(_ name: FileName, _ status: FileStatus, now: Date) -> Bool {
        readiness(name, status, now: now) != .incomplete
    }

    /// The closed file holds no job, perhaps because its writer opens it a second time: from here on the next close, or its
    /// quiet time, decides.
    mutating func doubt(_ name: FileName, _ status: FileStatus, now: Date) {
        closed.remove(name)
        if sightings[name]?.isOf(status, at: now) != true { sightings[name] = Sighting(status, since: now) }
    }

    func knows(_ name: FileName) -> Bool { sightings[name] != nil }

    mutating func forget(_ name: FileName) {
        sightings[name] = nil
        closed.remove(name)
        open.remove(name)
    }

    /// Forgets all files but these.
    mutating func keep(only names: Set<FileName>) {
        sightings = sightings.filter { names.contains($0.key) }
        closed.formIntersection(names)
        open.formIntersection(names)
    }
}
