// Decides when a file in a drop folder is whole: after a close or move event, or when it has not changed for 2 s where
// no event came. A pure state machine; the drop box feeds it events and sightings, under its lock.

import DurableFiles
import Foundation

struct DropCandidates {
    /// Seconds without a change after which a file no event told of is taken as whole.
    static let quietTime: TimeInterval = 2
    /// The same for a file that was seen being opened or written but not closed. Its close event is due; only when
    /// that was lost, or the file was linked in rather than written, does this run out.
    static let openQuietTime: TimeInterval = 30

    private struct Sighting {
        var size: Int
        var modified: Date
        var inode: UInt64
        var since: Date
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

    mutating func isWhole(_ name: FileName, _ status: FileStatus, now: Date) -> Bool {
        // An empty file was most likely only touched: its content comes with a second open.
        if closed.contains(name), status.size > 0 { return true }
        let sighting = Sighting(size: status.size, modified: status.modified, inode: status.inode, since: now)
        guard let known = sightings[name], known.size == sighting.size, known.modified == sighting.modified,
            known.inode == sighting.inode, known.since <= now
        else {
            sightings[name] = sighting
            return false
        }
        let wait = open.contains(name) ? Self.openQuietTime : Self.quietTime
        return now.timeIntervalSince(known.since) >= wait
    }

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
