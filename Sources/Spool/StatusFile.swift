// The append-only record of one job, open. Only the holder of its lock appends; anybody may read.
// A StatusFile stays on the thread that opened it. Failure: SpoolError.storage.

import DurableFiles
import Foundation
import TextFormats

final class StatusFile {
    let id: JobID
    let path: String
    let files: any FileSystem
    private(set) var descriptor: Int32
    /// Where the next line goes. Known after `readAll` or `open(creating:)`.
    private(set) var size = 0
    private var isTorn = false
    /// Where synced lines become durable; nil: in the file itself.
    var log: SharedLog?
    /// Written lines that become durable with the next synced one.
    private var deferred: [LogRecord] = []
    private var deferredBytes = 0
    private static let deferredLimit = 1 << 20
    /// The folder's entry is known to be on disk: it may stand in another process's log only.
    private var isNameSynced = false

    private init(id: JobID, path: String, descriptor: Int32, files: any FileSystem) {
        self.id = id
        self.path = path
        self.descriptor = descriptor
        self.files = files
    }

    deinit { close() }

    /// Closing drops the lock.
    func close() {
        guard descriptor >= 0 else { return }
        files.closeQuietly(descriptor)
        descriptor = -1
    }

    enum Opened {
        case locked(StatusFile)
        /// Another open file holds the lock, or the file was replaced meanwhile.
        case busy
        case absent
    }

    /// Opens an existing status file and takes its lock.
    ///
    /// - Parameters:
    ///   - wait: for a lock that is held for a moment, as `LockWait.current` says.
    ///   - flags: without `.append` only for putting bytes back where they stood.
    /// What is there and is no file is set aside: a record that is lost begins again.
    static func openLocked(
        _ id: JobID, in folders: SpoolFolders, wait: Bool = false, flags: OpenFlags = [.read, .write, .append]
    ) throws(SpoolError) -> Opened {
        let path = folders.layout.statusPath(id)
        do throws(SpoolError) {
            return try openLocked(id, path, folders.files, wait: wait, flags: flags)
        } catch {
            guard let cause = error.file else { throw error }
            if cause.code == .notDirectory { return .absent }
            guard try stored(id, { () throws(FileError) in try folders.clear(path, after: cause) }) else { throw error }
            return .absent
        }
    }

    static func openLocked(
        _ id: JobID, _ path: String, _ files: any FileSystem, wait: Bool = false,
        flags: OpenFlags = [.read, .write, .append]
    ) throws(SpoolError) -> Opened {
        let descriptor: Int32
        do throws(FileError) {
            descriptor = try files.open(path, flags)
        } catch {
            if error.code == .notFound { return .absent }
            throw SpoolError(error, id: id)
        }
        let file = StatusFile(id: id, path: path, descriptor: descriptor, files: files)
        return try file.takeLock(wait: wait) ? .locked(file) : .busy
    }

    /// Admits the id: creates the file, which must not exist, and takes its lock.
    /// - Returns: `.busy` when the name is taken, or somebody locked the new file before we could.
    static func create(_ id: JobID, _ path: String, _ files: any FileSystem) throws(SpoolError) -> Opened {
        let descriptor: Int32
        do throws(FileError) {
            descriptor = try files.open(path, [.read, .write, .append, .create, .exclusive], mode: 0o640)
        } catch {
            if error.code == .exists { return .busy }
            if error.code == .notFound || error.code == .notDirectory { return .absent }
            throw SpoolError(error, id: id)
        }
        let file = StatusFile(id: id, path: path, descriptor: descriptor, files: files)
        return try file.takeLock(wait: false) ? .locked(file) : .busy
    }

    /// The lock is on the open file: what counts is that the path still names it.
    private func takeLock(wait: Bool) throws(SpoolError) -> Bool {
        try stored(id) { () throws(FileError) in
            if wait {
                try files.waitForLock(path) { () throws(FileError) in try files.tryLock(descriptor, path: path) }
            } else {
                guard try files.tryLock(descriptor, path: path) else { return false }
            }
            let mine = try files.status(of: descriptor, path: path)
            guard mine.kind == .regular else { throw FileError(code: .invalid, operation: "open", path: path) }
            size = mine.size
            return try isInPlace(mine)
        }
    }

    /// Whether the path still names the file whose lock we hold: nobody removed or replaced the record.
    func isInPlace() throws(SpoolError) -> Bool {
        try stored(id) { () throws(FileError) in
            try isInPlace(try files.status(of: descriptor, path: path))
        }
    }

    /// A host that lost its network may have lost its locks with it, and is told so by nobody. Whoever held this one
    /// meanwhile has written a line: then the file does not end where we left it. On a local file system locks stay.
    private func checkHolding() throws(SpoolError) {
        guard files.isShared else { return }
        let isHeld = try stored(id) { () throws(FileError) in
            guard try files.tryLock(descriptor, path: path) else { return false }
            if isTorn { return true }
            return try files.status(of: descriptor, path: path).size == size
        }
        guard isHeld else {
            throw SpoolError(.takenOver, "The lock on \(path) was lost, and another process has gone on.", id: id)
        }
    }

    private func isInPlace(_ mine: FileStatus) throws(FileError) -> Bool {
        do throws(FileError) {
            let named = try files.status(path)
            return named.inode == mine.inode && named.device == mine.device
        } catch {
            if error.code == .notFound { return false }
            throw error
        }
    }

    // MARK: Appending (lock holder only)

    enum Durability {
        /// Lost in a power cut, perhaps, and nobody minds.
        case none
        /// On disk no later than the next line that is.
        case withNext
        /// On disk before `append` returns.
        case now
    }

    /// Appends one line. When the disk is full the torn part is cut off again, so that the next line starts clean.
    /// - Throws: `.takenOver` on a shared file system when the lock was lost meanwhile; `.storage`.
    func append(_ line: StatusLine, _ durability: Durability) throws(SpoolError) {
        try append(encoded: line.encoded(), durability)
    }

    /// The same with the line's bytes.
    func append(encoded line: [UInt8], _ durability: Durability) throws(SpoolError) {
        try checkHolding()
        let bytes = try write(line)
        guard durability != .none else { return }
        deferred.append(.lines(id, offset: size - bytes.count, isFirst: size == bytes.count, bytes))
        deferredBytes += bytes.count
        if durability == .now || deferredBytes > Self.deferredLimit { try makeDurable() }
    }

    /// Does the step, then appends the line, which is on disk when this returns. With a log both are done while the disk
    /// writes, if nobody else is writing; when one of them fails the line counts nowhere.
    /// - Parameter step: commits nothing itself.
    func append(_ line: StatusLine, after step: () throws(SpoolError) -> Void) throws(SpoolError) {
        // Where another host may have gone on, or the line's place is not known, nothing may be ahead of the file.
        guard let log, !isTorn, !files.isShared else {
            try step()
            return try append(line, .now)
        }
        let bytes = line.encoded()
        let records = deferred + [.lines(id, offset: size, isFirst: size == 0, bytes)]
        let outcome = log.commit(records) { () throws(SpoolError) in
            try step()
            _ = try write(bytes)
        }
        if let refusal = outcome.refusal { throw refusal }
        deferred = []
        deferredBytes = 0
        if outcome.failure != nil { try syncWithName() }
    }

    /// - Returns: what was written: the line, perhaps with a newline in front.
    private func write(_ line: [UInt8]) throws(SpoolError) -> [UInt8] {
        var bytes = line
        // A torn part that could not be cut off ends here, so that it does not spoil this line.
        if isTorn { bytes.insert(0x0A, at: 0) }
        do throws(FileError) {
            try files.writeAll(descriptor, bytes, path: path)
        } catch {
            do throws(FileError) {
                try files.truncate(descriptor, to: size, path: path)
            } catch {
                isTorn = true
            }
            throw SpoolError(error, id: id)
        }
        isTorn = false
        size += bytes.count
        return bytes
    }

    /// By the shared log, if there is one; where that fails, in the file itself.
    private func makeDurable() throws(SpoolError) {
        let records = deferred
        deferred = []
        deferredBytes = 0
        guard let log else { return try syncWithName() }
        do throws(SharedLog.Failure) {
            try log.commit(records)
        } catch {
            try syncWithName()
        }
    }

    /// The job may have been admitted through a log, ours or another process's, that has not been checkpointed since:
    /// then a power cut takes the name, and what was synced under it with it.
    private func syncWithName() throws(SpoolError) {
        try sync()
        guard !isNameSynced else { return }
        try stored(id) { () throws(FileError) in try files.syncDirectory(PathParts.split(path).folder) }
        isNameSynced = true
    }

    /// All that stands in the file.
    func writtenBytes() throws(SpoolError) -> [UInt8] {
        try stored(id) { () throws(FileError) in try files.readRange(descriptor, from: 0, count: size, path: path) }
    }

    /// Looks at the end of a file that is not read whole, so that the next line starts a line.
    func lookAtEnd() throws(SpoolError) {
        try stored(id) { () throws(FileError) in
            size = try files.status(of: descriptor, path: path).size
            guard size > 0 else { return }
            isTorn = try files.readRange(descriptor, from: size - 1, count: 1, path: path) != [0x0A]
        }
    }

    func sync() throws(SpoolError) {
        try stored(id) { () throws(FileError) in try files.dataSync(descriptor, path: path) }
    }

    /// After a power cut: puts bytes back where they stood. The file must have been opened without `.append`.
    /// What was never synced in between and is gone is filled with empty lines, which readers skip.
    ///
    /// - Parameter always: also what stands there already: it may stand in memory only.
    func putBack(_ bytes: [UInt8], at offset: Int, always: Bool = false) throws(SpoolError) {
        try stored(id) { () throws(FileError) in
            var standing = try files.readRange(descriptor, from: offset, count: bytes.count, path: path)
            // A line that only begins among these bytes may be another's: looked at whole.
            while !standing.isEmpty, standing.count >= bytes.count, standing.last != 0x0A {
                let more = try files.readRange(descriptor, from: offset + standing.count, count: 512, path: path)
                guard !more.isEmpty else { break }
                standing += more.prefix(through: more.firstIndex(of: 0x0A) ?? more.count - 1)
            }
            let before = try files.readRange(descriptor, from: max(0, offset - 1), count: 1, path: path)
            if standing == bytes, !always, offset == 0 || before == [0x0A] { return }
            var isAnother = false
            StatusFile.eachLine(in: standing[...]) { range in
                guard StatusLine.checks(standing[range]) else { return }
                if range.upperBound > bytes.count || bytes[range] != standing[range] { isAnother = true }
            }
            // Good lines of another history: the record was lost and begun anew.
            if isAnother { return }
            let end = try files.status(of: descriptor, path: path).size
            if end < offset {
                try files.writeAll(descriptor, [UInt8](repeating: 0x0A, count: offset - end), at: end, path: path)
            }
            try files.writeAll(descriptor, bytes, at: offset, path: path)
            guard offset > 0 else { return }
            // A file system may keep the size and lose the data: zeros in front would be taken for part of this line.
            if before != [0x0A] { try files.writeAll(descriptor, [0x0A], at: offset - 1, path: path) }
        }
    }

    // MARK: Reading

    /// All lines that check, in order, without the events behind the first state; under the lock also cuts off a torn or
    /// bad end.
    func readAll(repairing: Bool) throws(SpoolError) -> [StatusLine] {
        var (bytes, lines, goodEnd) = try contents(of: descriptor)
        if repairing, goodEnd < bytes.count, files.isShared { (bytes, lines, goodEnd) = try secondLook() }
        size = bytes.count
        if repairing, goodEnd < bytes.count {
            try stored(id) { () throws(FileError) in
                try files.truncate(descriptor, to: goodEnd, path: path)
                try files.dataSync(descriptor, path: path)
            }
            size = goodEnd
        }
        return lines
    }

    private typealias Contents = (bytes: [UInt8], lines: [StatusLine], goodEnd: Int)

    private func contents(of descriptor: Int32) throws(SpoolError) -> Contents {
        let bytes = try stored(id) { () throws(FileError) in
            let bytes = try files.readAll(descriptor, maxBytes: StatusFile.maximumSize, path: path)
            // A shared file system that shows less than there is would have its last lines overlooked.
            if files.isShared, bytes.count < size {
                throw FileError(code: .wouldBlock, operation: "read up to date", path: path)
            }
            return bytes
        }
        var lines: [StatusLine] = []
        var goodEnd = 0
        var hasState = false
        StatusFile.eachLine(in: bytes[...]) { range in
            guard StatusLine.checks(bytes[range]) else { return }
            // Whole by its checksum: never cut off, even if this version cannot read it.
            goodEnd = range.upperBound + 1
            // Behind the first state events are for streams only, and there may be thousands.
            if hasState, bytes[range].starts(with: StatusLine.eventPrefix) { return }
            guard let line = StatusLine(checked: bytes[range]) else { return }
            lines.append(line)
            if line.type == .status { hasState = true }
        }
        return (bytes, lines, goodEnd)
    }

    /// Seconds that a client of a shared file system may hold on to old content (GlusterFS: 1), and some more.
    private static let contentAge: TimeInterval = 2

    /// The end looks torn. A client that knows the new size and still has the old content shows the rest as zeros, and
    /// cutting those off would cut off what another host has written: what its cache holds has to grow old first.
    private func secondLook() throws(SpoolError) -> Contents {
        let condition = NSCondition()
        condition.withLock { _ = condition.wait(until: Date().addingTimeInterval(StatusFile.contentAge)) }
        // Opening anew drops the kernel's pages; the lock stays with the first descriptor.
        let fresh = try stored(id) { () throws(FileError) in try files.open(path, [.read]) }
        defer { files.closeQuietly(fresh) }
        return try contents(of: fresh)
    }

    /// Bytes; a longer file is not read into memory. `RunRecord` stops writing well below it.
    static let maximumSize = 256 << 20

    /// The last state, found from the end without reading the whole file.
    func lastStatus() throws(SpoolError) -> StatusRecord? {
        try stored(id) { () throws(FileError) in
            let size = try files.status(of: descriptor, path: path).size
            return try StatusReader(files: files).lastStatus(descriptor, size: size, path: path)
        }
    }

    /// Calls `body` with the range of each line that ends in a newline, without it.
    static func eachLine(in bytes: ArraySlice<UInt8>, _ body: (Range<Int>) -> Void) {
        bytes.withUnsafeBytes { buffer in
            let first = bytes.startIndex
            var start = 0
            while start < buffer.count, let base = buffer.baseAddress,
                let found = memchr(base + start, 0x0A, buffer.count - start)
            {
                let end = UnsafeRawPointer(found) - base
                if end > start { body(first + start..<first + end) }
                start = end + 1
            }
        }
    }
}

/// Reading without the lock: polls and streams.
struct StatusReader {
    let files: any FileSystem

    /// - Returns: nil when there is no file, or no state in it yet. What is there and is no file holds no record.
    func record(_ id: JobID, _ path: String) throws(SpoolError) -> JobRecord? {
        let descriptor: Int32
        do throws(FileError) {
            descriptor = try files.open(path, [.read, .nonBlocking])
        } catch {
            switch error.code {
            // A link, or a socket, or something else than a folder above it.
            case .notFound, .symlink, .invalid, .notDirectory: return nil
            default: throw SpoolError(error, id: id)
            }
        }
        defer { files.closeQuietly(descriptor) }
        return try stored(id) { () throws(FileError) -> JobRecord? in
            let status = try files.status(of: descriptor, path: path)
            guard status.kind == .regular else { return nil }
            let size = status.size
            guard let last = try lastStatus(descriptor, size: size, path: path) else { return nil }
            let first = last.facts != nil ? last : try firstStatus(descriptor, size: size, path: path)
            return JobRecord(id: id, first: first, last: last, statusSize: size)
        }
    }

    private static let chunk = 16 << 10
    /// Bytes looked through for the last state: more than stream events may fill (`RunRecord.eventLimit`).
    private static let reach = 96 << 20

    /// Scans back from the end, in growing chunks, to the last line that is a state.
    func lastStatus(_ descriptor: Int32, size: Int, path: String) throws(FileError) -> StatusRecord? {
        var count = min(size, StatusReader.chunk)
        while count > 0 {
            let start = size - count
            let bytes = try files.readRange(descriptor, from: start, count: count, path: path)
            var ranges: [Range<Int>] = []
            StatusFile.eachLine(in: bytes[...]) { ranges.append($0) }
            // The first piece may be the end of a line that begins earlier; its checksum then fails.
            for range in ranges.reversed() where bytes[range].starts(with: StatusLine.statusPrefix) {
                if let line = StatusLine(bytes[range]), let record = StatusRecord(line) { return record }
            }
            guard count < size, count < StatusReader.reach else { return nil }
            count = min(size, count * 4)
        }
        return nil
    }

    /// The line that admitted the job: the first one, found near the beginning.
    private func firstStatus(_ descriptor: Int32, size: Int, path: String) throws(FileError) -> StatusRecord? {
        var count = min(size, StatusReader.chunk)
        while count > 0 {
            let bytes = try files.readRange(descriptor, from: 0, count: count, path: path)
            var found: StatusRecord?
            StatusFile.eachLine(in: bytes[...]) { range in
                guard found == nil, bytes[range].starts(with: StatusLine.statusPrefix),
                    let line = StatusLine(bytes[range]), let record = StatusRecord(line), record.facts != nil
                else { return }
                found = record
            }
            if let found { return found }
            guard count < size, count < 1 << 20 else { return nil }
            count = min(size, count * 4)
        }
        return nil
    }
}
