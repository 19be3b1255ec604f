// The write-ahead log of one process: what many threads have just written into files becomes durable by one fdatasync of
// one file (group commit), instead of several syncs for each job. The files are there, unsynced, before anybody is
// answered: the log adds durability, not visibility. docs/decisions/0007-shared-log.md says why.
//
//   spool/log/<writer>/lock           held (flock) as long as the process lives
//   spool/log/<writer>/<n>.wal        segments: one is written, others are full and wait for their checkpoint, or spare
//
// A segment goes only after a syncfs that began after its last frame: then all files it speaks of are on disk. A failed
// fdatasync fails its batch and retires the segment: it is never written again, and kept until a checkpoint succeeds.
// Any thread. Failure: FileError from `commit`, after which nobody knows whether the batch is on disk.

import DurableFiles
import Foundation
import Synchronization

final class SharedLog: Sendable {
    struct Bounds: Sendable {
        /// Bytes of a segment.
        var segment = 8 << 20
        /// Bytes of records one caller may commit at once; more is synced file by file instead.
        var commit = 4 << 20
        /// Full segments that are checkpointed together: what is written into a file three times in a second then goes
        /// to the disk once. More would make a replay longer.
        var full = 4
        /// Segments waiting for their checkpoint before commits have to wait too.
        var waiting = 32
        /// Segments kept to be used again while the log is busy; at rest there is one.
        var spares = 5
        /// Seconds without a commit after which what there is is checkpointed: a short log is a short replay.
        var rest: TimeInterval = 3
        /// Seconds between checkpoints while commits go on.
        var interval: TimeInterval = 60
        /// Whether a thread makes checkpoints when they are due; false: whoever wants one asks for it.
        var isAutomatic = true
    }

    /// A commit that failed, and whether its records may be on disk all the same.
    struct Failure: Error {
        var cause: FileError
        var isKnown: Bool
    }

    /// How a commit beside other work has ended.
    struct Outcome {
        /// The records are not on disk, or nobody knows.
        var failure: Failure?
        /// The work has failed.
        var refusal: SpoolError?
        /// The work has failed and the records may be in the log all the same: they could not be taken back.
        var isInDoubt = false
    }

    /// A thread in `commit`. Woken once for each thing it waits for, and nobody else with it.
    /// `@unchecked Sendable`: what is in it is written before the semaphore is signalled and read after it.
    final class Waiter: @unchecked Sendable {
        let bytes: [UInt8]
        let bell = DispatchSemaphore(value: 0)
        /// It is this thread's turn to write.
        var isWriter = false
        var failure: Failure?

        init(_ bytes: [UInt8]) { self.bytes = bytes }
    }

    struct Segment {
        var number: Int
        var descriptor: Int32
        var nonce: UInt64
        var offset = LogSegment.page
        var frames = 0
    }

    struct State {
        var current: Segment?
        /// Checkpointed segments to be used again, and how far the last use of each has left something behind.
        var spares: [(number: Int, used: Int)] = []
        /// Those written no more, and how far they were.
        var retired: [(number: Int, used: Int, isFaulty: Bool)] = []
        var nextSegment = 1
        /// Those who wait, in order; the first one writes, for as many as fit into a frame.
        var pending: [Waiter] = []
        var isWriting = false
        /// Segments whose checkpoint has failed: kept until the next start.
        var distrusted: [Int] = []
        /// The mark that says so is not on disk yet.
        var needsMark = false
        /// A segment whose sync failed is among the retired ones: not to wait for others.
        var isFaulty = false
        /// The writer waits for a checkpoint to make room.
        var isHeldUp = false
        /// The thread that makes checkpoints has been told that a segment will be needed.
        var hasAskedForSpare = false
        /// It could not make one: not tried again for this segment, as on a disk nearly full every try takes what is left.
        var isSpareRefused = false
        /// A checkpoint waits for the writer to let the current segment go.
        var wantsRetirement = false
        var isClosed = false
        /// When the log got its first frame since the last checkpoint, and its last one.
        var firstCommit: Date?
        var lastCommit = Date.distantPast
        /// Writes that go on while their thread does something else have been refused here.
        var isOverlapRefused = false
        /// Bytes of the largest frame whose write into the current segment failed: it may stand behind the last good one.
        var failedFrame = 0
    }

    let folder: String
    let root: String
    let files: any FileSystem
    let bounds: Bounds
    /// Held as long as the process lives. Guarded by `placing`.
    nonisolated(unsafe) var lock: OpenDescriptor
    /// Taken last of all locks.
    let placing = NSLock()
    /// Open as long as the log: a failure that another process's syncfs was told of is told to this one as well.
    let rootDescriptor: OpenDescriptor
    let condition = NSCondition()
    /// Guarded by `condition`.
    nonisolated(unsafe) var state = State()
    /// Used by the one who writes only: `isWriting` is handed from thread to thread under `condition`.
    nonisolated(unsafe) let buffer = LogBuffer()
    let checkpointing = NSLock()
    /// Rung when a checkpoint may have become due; not with every commit.
    let bell = NSCondition()
    /// Guarded by `bell`.
    nonisolated(unsafe) var isRung = false

    /// Opens a log of this process's own. The caller holds the replay lock, so that nobody takes the new folder for an
    /// orphan before its lock is held.
    ///
    /// - Parameters:
    ///   - root: the spool.
    ///   - writer: a name no other process uses.
    init(root: String, writer: String, files: any FileSystem, bounds: Bounds = Bounds()) throws(FileError) {
        self.root = root
        self.files = files
        self.bounds = bounds
        folder = "\(root)/log/\(writer)"
        try files.ensureDirectory(folder, mode: 0o750)
        rootDescriptor = OpenDescriptor(try files.open(root, [.read, .directory]), files)
        lock = OpenDescriptor(try files.open("\(folder)/lock", [.read, .write, .create], mode: 0o640), files)
        guard try files.tryLock(lock.raw, path: folder) else {
            throw FileError(code: .wouldBlock, operation: "flock", path: folder)
        }
        do throws(FileError) {
            state.current = try take()
        } catch {
            // No room for a log, or no right to make one: nothing of it shall stay.
            try? files.removeTree(folder)
            throw error
        }
    }

    /// A checkpoint waits for the one who writes.
    var isWaitedFor: Bool { condition.withLock { state.wantsRetirement } }

    /// Commits wait for a checkpoint.
    var isHeldUp: Bool { condition.withLock { state.isHeldUp } }

    func path(_ number: Int) -> String { "\(folder)/\(number).wal" }

    // MARK: - Committing

    /// Returns when the records are on disk.
    func commit(_ records: [LogRecord]) throws(Failure) { try commit(Waiter(bytes(of: records))) }

    /// Does the work that makes the files the records speak of, and makes the records durable. When nobody else is writing
    /// the disk writes meanwhile: one thread alone then waits for the longer of the two and not for both. Otherwise the work
    /// comes first, and a work that fails is not logged.
    ///
    /// The work must not commit anything itself, nor wait for somebody who does. When it fails the records are void: that is
    /// written behind them into the same segment, so that both are there or both are gone, whatever becomes of segments.
    func commit(_ records: [LogRecord], beside work: () throws(SpoolError) -> Void) -> Outcome {
        var outcome = Outcome()
        let waiter = Waiter(bytes(of: records))
        let begun = begin(waiter)
        do throws(SpoolError) {
            try work()
        } catch {
            outcome.refusal = error
        }
        if let begun {
            let isTakenBack = end(begun, waiter, isVoid: outcome.refusal != nil)
            outcome.failure = waiter.failure
            outcome.isInDoubt = outcome.refusal != nil && !isTakenBack
        } else if outcome.refusal == nil {
            do throws(Failure) {
                try commit(waiter)
            } catch {
                outcome.failure = error
            }
        }
        return outcome
    }

    private func bytes(of records: [LogRecord]) -> [UInt8] {
        var bytes: [UInt8] = []
        for record in records { record.append(to: &bytes) }
        return bytes
    }

    /// A frame the disk is writing; its thread is the writer until `end`, so that no checkpoint takes the segment for
    /// one whose files are all there.
    private struct Begun {
        var segment: Segment
        var write: SyncedWrite
    }

    /// - Returns: nil where somebody else is writing, or there is no room just now: `commit` does it then.
    private func begin(_ waiter: Waiter) -> Begun? {
        let space = LogSegment.space(for: waiter.bytes.count)
        condition.lock()
        guard !state.isWriting, !state.isOverlapRefused, waiter.bytes.count <= bounds.commit,
            // What voids the records must find its place behind them.
            let segment = state.current, segment.offset + space + LogSegment.page <= bounds.segment
        else {
            condition.unlock()
            return nil
        }
        state.isWriting = true
        condition.unlock()
        LogSegment.fill(buffer, nonce: segment.nonce, number: segment.frames, parts: [waiter.bytes])
        do throws(FileError) {
            let write = try files.beginSyncedWrite(
                segment.descriptor, buffer.pages, at: segment.offset, path: path(segment.number))
            return Begun(segment: segment, write: write)
        } catch {
            // Nothing was written, or a part that does not check and is written over.
            condition.lock()
            state.failedFrame = max(state.failedFrame, space)
            if !error.isPassing { state.isOverlapRefused = true }
            let next = passOn()
            condition.unlock()
            next?.bell.signal()
            return nil
        }
    }

    /// - Returns: whether it is on disk that the frame is void.
    private func end(_ begun: Begun, _ waiter: Waiter, isVoid: Bool) -> Bool {
        var segment = begun.segment
        var failure: Failure?
        var isTakenBack = false
        do throws(FileError) {
            try files.endSyncedWrite(begun.write, path: path(segment.number))
            segment.offset += buffer.pages.count
            segment.frames += 1
        } catch {
            failure = Failure(cause: error, isKnown: false)
        }
        if isVoid, failure == nil {
            do throws(Failure) {
                let mark = bytes(of: [.void(frame: begun.segment.frames)])
                segment = try write([mark], mark.count, into: segment)
                isTakenBack = true
            } catch {
                // Nothing is written behind it any more: the segment is retired.
                failure = Failure(cause: error.cause, isKnown: false)
            }
        }
        finish([waiter], segment, failure)
        return isTakenBack
    }

    /// Whether a commit would go on just now: its steps, with a page that belongs to no frame and is written over by the next
    /// one. Waits where a commit would wait; a failure retires the segment, as that of a commit does.
    func probe() throws(Failure) { try commit(Waiter([])) }

    private func commit(_ waiter: Waiter) throws(Failure) {
        guard waiter.bytes.count <= bounds.commit else {
            throw Failure(cause: FileError(code: .tooLarge, operation: "log", path: folder), isKnown: true)
        }
        condition.lock()
        state.pending.append(waiter)
        let mustWait = state.isWriting
        state.isWriting = true
        condition.unlock()
        if mustWait { waiter.bell.wait() }
        if !mustWait || waiter.isWriter { writeBatch() }
        if let failure = waiter.failure { throw failure }
    }

    /// Writes what is pending, up to a bound, as one frame, and makes the first of those who came meanwhile the next
    /// writer. The caller is the first who is pending.
    private func writeBatch() {
        condition.lock()
        var size = 0
        var count = 0
        for waiter in state.pending {
            guard count == 0 || size + waiter.bytes.count <= bounds.commit else { break }
            size += waiter.bytes.count
            count += 1
        }
        let batch = Array(state.pending.prefix(count))
        state.pending.removeFirst(count)
        let segment = state.current
        condition.unlock()
        var written = segment
        var failure: Failure?
        do throws(Failure) {
            written = size == 0 ? try touch(segment) : try write(batch.map(\.bytes), size, into: segment)
        } catch {
            failure = error
        }
        finish(batch, written, failure, isProbe: size == 0)
    }

    private func finish(_ batch: [Waiter], _ written: Segment?, _ failure: Failure?, isProbe: Bool = false) {
        condition.lock()
        if let failure {
            let bytes = batch.reduce(0) { $0 + $1.bytes.count }
            state.failedFrame = max(state.failedFrame, LogSegment.space(for: bytes))
            if !failure.isKnown {
                state.isFaulty = true
                retire(isFaulty: true)
            }
        } else {
            state.current = written
            if needsSpare, !state.hasAskedForSpare {
                state.hasAskedForSpare = true
                ring()
            }
            // A probe leaves nothing that a checkpoint would have to make durable.
            if !isProbe {
                state.lastCommit = Date()
                if state.firstCommit == nil {
                    state.firstCommit = state.lastCommit
                    ring()
                }
            }
        }
        let next = passOn()
        condition.unlock()
        next?.bell.signal()
        for waiter in batch { waiter.failure = failure }
        // The first of the batch is the one who writes this.
        for waiter in batch.dropFirst() { waiter.bell.signal() }
    }

    /// The writer has written. With the lock held. - Returns: the next one, whose bell is to be rung without the lock.
    private func passOn() -> Waiter? {
        if state.wantsRetirement {
            retire()
            state.wantsRetirement = false
            condition.broadcast()
        }
        let next = state.pending.first
        state.isWriting = next != nil
        next?.isWriter = true
        return next
    }

    private func write(_ parts: [[UInt8]], _ size: Int, into segment: Segment?) throws(Failure) -> Segment {
        var segment = try room(for: LogSegment.space(for: size), in: segment)
        LogSegment.fill(buffer, nonce: segment.nonce, number: segment.frames, parts: parts)
        try writeBuffer(to: segment)
        segment.offset += buffer.pages.count
        segment.frames += 1
        return segment
    }

    /// For `probe`.
    private func touch(_ segment: Segment?) throws(Failure) -> Segment {
        let segment = try room(for: LogSegment.page, in: segment)
        buffer.clear()
        buffer.append([UInt8](repeating: 0, count: LogSegment.page))
        buffer.seal()
        try writeBuffer(to: segment)
        return segment
    }

    private func writeBuffer(to segment: Segment) throws(Failure) {
        do throws(FileError) {
            try buffer.write(to: segment.descriptor, at: segment.offset, files, path: path(segment.number))
        } catch {
            // A torn frame: it does not check, and the next one is written over it.
            throw Failure(cause: error, isKnown: true)
        }
        do throws(FileError) {
            try files.dataSync(segment.descriptor, path: path(segment.number))
        } catch {
            throw Failure(cause: error, isKnown: false)
        }
    }

    /// The segment, or the next one where it has no room left. Only the one who writes calls this.
    private func room(for space: Int, in segment: Segment?) throws(Failure) -> Segment {
        if let segment, segment.offset + space <= bounds.segment { return segment }
        condition.lock()
        if segment != nil { retire() }
        if state.distrusted.count >= bounds.waiting {
            condition.unlock()
            throw Failure(cause: FileError(code: .io, operation: "syncfs", path: root), isKnown: true)
        }
        // Bounded: what waits for its checkpoint is disk space and time of the next replay.
        while state.retired.count >= bounds.waiting, !state.isClosed {
            // A checkpoint that waits for this writer has what it wants: there is no current segment.
            if state.current == nil, state.wantsRetirement {
                state.wantsRetirement = false
                condition.broadcast()
            }
            state.isHeldUp = true
            condition.wait()
            state.isHeldUp = false
        }
        condition.unlock()
        do throws(FileError) {
            let next = try take()
            condition.lock()
            state.current = next
            condition.unlock()
            return next
        } catch {
            throw Failure(cause: error, isKnown: true)
        }
    }

    func ring() {
        bell.lock()
        isRung = true
        bell.signal()
        bell.unlock()
    }

    /// The current segment is written no more. With the lock held.
    func retire(isFaulty: Bool = false) {
        guard let segment = state.current else { return }
        files.closeQuietly(segment.descriptor)
        state.retired.append((segment.number, segment.offset + state.failedFrame, isFaulty))
        state.failedFrame = 0
        state.current = nil
        ring()
    }

    /// The last checkpoint, then the log is gone. Nobody may commit any more.
    func close() throws(FileError) {
        condition.lock()
        state.isClosed = true
        condition.broadcast()
        condition.unlock()
        ring()
        try checkpoint()
        condition.lock()
        let rest = state.spares.map(\.number) + [state.current?.number].compactMap { $0 }
        if let current = state.current { files.closeQuietly(current.descriptor) }
        state.current = nil
        state.spares = []
        condition.unlock()
        for number in rest { try removeIfThere(path(number)) }
        // The next start has to look at what is left.
        guard condition.withLock({ state.distrusted.isEmpty }) else { return }
        try removeIfThere("\(folder)/lock")
        do throws(FileError) {
            try files.removeDirectory(folder)
        } catch {
            // Somebody who opens the spool takes it for an orphan's just now, and removes it.
            guard error.code == .notEmpty || error.code == .notFound else { throw error }
        }
    }
}
