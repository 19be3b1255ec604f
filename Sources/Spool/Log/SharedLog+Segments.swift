// The files of the shared log: taken when the current one is full, made ahead where there is none to be used again.
// `take` belongs to the one who writes, `prepare` to the thread that makes checkpoints.

import DurableFiles
import Foundation

extension SharedLog {
    /// A segment ready to be written: the spare one, or a new one.
    func take() throws(FileError) -> Segment {
        condition.lock()
        let spare = state.spares.popLast()?.number
        state.hasAskedForSpare = false
        state.isSpareRefused = false
        condition.unlock()
        guard let spare else { return try begin(make()) }
        do throws(FileError) {
            return try begin(spare)
        } catch {
            // Somebody has removed it.
            guard error.code == .notFound else { throw error }
            return try begin(make())
        }
    }

    private func begin(_ number: Int) throws(FileError) -> Segment {
        let nonce = UInt64.random(in: 1...UInt64(Int64.max))
        do throws(FileError) {
            return try begin(number, nonce, [.read, .write, .direct])
        } catch {
            // Not every file system writes past the page cache.
            guard error.code == .invalid || error.code == .unsupported else { throw forgotten(number, error) }
            do throws(FileError) {
                return try begin(number, nonce, [.read, .write])
            } catch {
                throw forgotten(number, error)
            }
        }
    }

    /// A segment that cannot be begun stands in no list any more.
    private func forgotten(_ number: Int, _ error: FileError) -> FileError {
        // What stays is removed by the next start.
        try? files.remove(path(number))
        return error
    }

    /// Opens a segment and makes its first page durable: a frame that is written with O_DSYNC covers nothing but itself.
    private func begin(_ number: Int, _ nonce: UInt64, _ flags: OpenFlags) throws(FileError) -> Segment {
        let descriptor = try files.open(path(number), flags, mode: 0o640)
        LogSegment.fill(buffer, headWith: nonce)
        do throws(FileError) {
            try buffer.write(to: descriptor, at: 0, files, path: path(number))
            try files.dataSync(descriptor, path: path(number))
        } catch {
            files.closeQuietly(descriptor)
            throw error
        }
        return Segment(number: number, descriptor: descriptor, nonce: nonce)
    }

    /// The current segment is half full and there is none to follow it. With the lock held.
    var needsSpare: Bool {
        guard let current = state.current, !state.isSpareRefused else { return false }
        return current.offset > bounds.segment / 2 && state.spares.isEmpty
    }

    /// A segment to follow the current one: whoever fills that up would otherwise make it while all others wait.
    func prepare() throws(FileError) {
        // `close` waits for it, and nothing is made behind it.
        checkpointing.lock()
        defer { checkpointing.unlock() }
        guard condition.withLock({ needsSpare && !state.isClosed }) else { return }
        do throws(FileError) {
            let number = try make()
            condition.withLock { state.spares.append((number, 0)) }
        } catch {
            condition.withLock { state.isSpareRefused = true }
            throw error
        }
    }

    /// A new segment, on disk.
    private func make() throws(FileError) -> Int {
        let number = condition.withLock {
            defer { state.nextSegment += 1 }
            return state.nextSegment
        }
        do throws(FileError) {
            try LogSegment.create(path(number), bytes: bounds.segment, files)
        } catch {
            guard error.code == .notFound || error.code == .notDirectory, try returnToPlace() else { throw error }
            try LogSegment.create(path(number), bytes: bounds.segment, files)
        }
        return number
    }

    // MARK: - A log whose folder was removed

    /// Makes the log's folder and its lock again where somebody has removed them from under a living process. What was
    /// committed since into segments without a name a power cut may take until the next checkpoint.
    /// - Returns: false when all is in its place.
    func returnToPlace() throws(FileError) -> Bool {
        placing.lock()
        defer { placing.unlock() }
        let path = "\(folder)/lock"
        let mine = try files.status(of: lock.raw, path: path)
        if let named = try? files.status(path), named.inode == mine.inode, named.device == mine.device { return false }
        try files.ensureDirectory("\(root)/log", mode: 0o750)
        // No other process shall take the new folder for an orphan before its lock is held.
        let replay = "\(root)/log/.replay"
        let guardian = OpenDescriptor(try files.open(replay, [.read, .write, .create], mode: 0o640), files)
        defer { withExtendedLifetime(guardian) {} }
        try files.waitForLock(replay) { () throws(FileError) in try files.tryLock(guardian.raw, path: replay) }
        try files.ensureDirectory(folder, mode: 0o750)
        let new = OpenDescriptor(try files.open(path, [.read, .write, .create], mode: 0o640), files)
        guard try files.tryLock(new.raw, path: folder) else {
            throw FileError(code: .wouldBlock, operation: "flock", path: folder)
        }
        lock = new
        return true
    }

    /// The segments that were made ahead are gone with the folder. With the lock held.
    func forgetPlaces() {
        state.spares = []
        state.hasAskedForSpare = false
    }

    func removeIfThere(_ path: String) throws(FileError) { _ = try ifThere { () throws(FileError) in try files.remove(path) } }

    /// - Returns: false when there is no such file.
    func ifThere(_ body: () throws(FileError) -> Void) throws(FileError) -> Bool {
        do throws(FileError) {
            try body()
            return true
        } catch {
            guard error.code == .notFound else { throw error }
            return false
        }
    }
}
