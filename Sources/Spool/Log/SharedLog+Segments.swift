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
        let number: Int
        if let spare { number = spare } else { number = try make() }
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
        try LogSegment.create(path(number), bytes: bounds.segment, files)
        return number
    }
}
