// When what the shared log speaks of is durable in its own files, and the log may be let go. `SharedLog` says how it is
// written; `JobSpool` has the thread that asks for checkpoints.

import DurableFiles
import Foundation

extension SharedLog {
    /// Makes everything the log speaks of durable in its own files, then lets the log go.
    ///
    /// - Parameter scrubbing: false leaves old frames in the segments that are used again, which nobody can replay, until
    ///   new ones are written over them or the next checkpoint scrubs: what a user who was deleted has said must go.
    func checkpoint(scrubbing: Bool = true) throws(FileError) {
        checkpointing.lock()
        defer { checkpointing.unlock() }
        let isMoved = try returnToPlace()
        condition.lock()
        if isMoved { forgetPlaces() }
        if state.isWriting {
            state.wantsRetirement = true
            // The writer may be waiting for this very checkpoint.
            condition.broadcast()
            while state.wantsRetirement { condition.wait() }
        } else if let current = state.current, current.frames > 0 || isMoved {
            retire()
        }
        let retired = state.retired
        // Otherwise the log still has to be scrubbed when it is at rest.
        if scrubbing { state.firstCommit = nil }
        state.isFaulty = false
        condition.unlock()
        try markDistrust()
        if !retired.isEmpty {
            do throws(FileError) {
                try files.syncAll(rootDescriptor.raw, path: root)
            } catch {
                try distrust(retired.map(\.number))
                throw error
            }
            do throws(FileError) {
                for segment in retired {
                    try letGo(segment.number, used: min(segment.used, bounds.segment), isFaulty: segment.isFaulty)
                }
            } catch {
                condition.withLock { state.isFaulty = true }
                throw error
            }
        }
        guard scrubbing else { return }
        do throws(FileError) {
            try scrub()
        } catch {
            // Due again at once.
            condition.withLock { state.firstCommit = state.firstCommit ?? state.lastCommit }
            throw error
        }
    }

    /// A syncfs has failed: what it could not write is marked as written, and no later one proves anything of it. These
    /// segments stay until the next start, whose replay writes everything anew that they speak of.
    private func distrust(_ numbers: [Int]) throws(FileError) {
        condition.withLock {
            state.retired.removeAll { numbers.contains($0.number) }
            state.distrusted += numbers
            state.needsMark = true
            condition.broadcast()
        }
        try markDistrust()
    }

    private func markDistrust() throws(FileError) {
        guard condition.withLock({ state.needsMark }) else { return }
        try files.replaceFile("\(folder)/\(SharedLog.distrustMark)", [], mode: 0o640)
        condition.withLock { state.needsMark = false }
    }

    /// In the folder of a log whose files must be written anew by its replay, whatever they seem to hold.
    static let distrustMark = "distrusted"

    /// Keeps a segment to be used again, its first page blank so that none of its frames is replayed any more, or removes
    /// it where there are enough, or where its sync has failed once: what the disk holds of it nobody knows.
    private func letGo(_ number: Int, used: Int, isFaulty: Bool) throws(FileError) {
        var isSpare = !isFaulty && condition.withLock { state.spares.count < bounds.spares }
        if isSpare {
            isSpare = try ifThere { () throws(FileError) in
                try files.withFile(path(number), [.read, .write], mode: 0o640) { (file) throws(FileError) in
                    try files.writeAll(file, [UInt8](repeating: 0, count: LogSegment.page), at: 0, path: path(number))
                    try files.dataSync(file, path: path(number))
                }
            }
        } else {
            try removeIfThere(path(number))
        }
        condition.lock()
        state.retired.removeAll { $0.number == number }
        if isSpare { state.spares.append((number, used)) }
        condition.broadcast()
        condition.unlock()
    }

    /// Of the spare segments one stays, full of zeros.
    private func scrub() throws(FileError) {
        var taken = condition.withLock {
            defer { state.spares = [] }
            return state.spares
        }
        // What fails stays in the list, and is tried again.
        defer { condition.withLock { state.spares += taken } }
        while taken.count > 1, let spare = taken.last {
            try removeIfThere(path(spare.number))
            taken.removeLast()
        }
        guard let spare = taken.first, spare.used > 0 else { return }
        let isThere = try ifThere { () throws(FileError) in
            try files.withFile(path(spare.number), [.read, .write], mode: 0o640) { (file) throws(FileError) in
                try files.writeAll(file, [UInt8](repeating: 0, count: spare.used), at: 0, path: path(spare.number))
                try files.dataSync(file, path: path(spare.number))
            }
        }
        if isThere { taken[0].used = 0 } else { taken.removeFirst() }
    }

    enum Due {
        /// Segments are full: commits go on.
        case full
        /// The log is at rest, or has been written to for long enough.
        case time
        /// No checkpoint, but a segment to follow the current one.
        case segment
        case never
    }

    /// Waits until a checkpoint is due. For the one thread that makes them.
    /// - Returns: `.never` once the log is closed.
    func waitForCheckpoint() -> Due {
        while true {
            condition.lock()
            let (isClosed, isFull, first, last) = (
                state.isClosed, state.isFaulty || state.needsMark || state.retired.count >= bounds.full, state.firstCommit,
                state.lastCommit
            )
            let isShort = needsSpare
            condition.unlock()
            if isClosed { return .never }
            let due = first.map { min(last.addingTimeInterval(bounds.rest), $0.addingTimeInterval(bounds.interval)) }
            if let due, due <= Date() { return .time }
            if isFull { return .full }
            if isShort { return .segment }
            // Foundation's condition cannot wait for the distant future.
            rest(until: due ?? Date().addingTimeInterval(86_400))
        }
    }

    /// Until then, or until the bell rings.
    func rest(until date: Date) {
        bell.lock()
        while !isRung, bell.wait(until: date) {}
        isRung = false
        bell.unlock()
    }
}
