// The status file as a stream of lines with byte offsets, for server-sent events that can be resumed.
// Reads only; any thread.

import DurableFiles
import Foundation
import TextFormats

/// Lines of a status file from some offset on.
public struct StatusChunk: Sendable {
    public struct Line: Sendable {
        public var type: LineType
        public var fields: JSONObject
        /// The offset just behind this line: where a reader who has seen it goes on.
        public var next: Int
        /// The claim under which it was written, as in "2-a1b2"; "0" before the first.
        public var epoch: String
        /// Present on lines of type `status`.
        public var status: StatusRecord?
    }

    public var lines: [Line]
    /// Where to go on.
    public var next: Int
    /// The epoch in force there.
    public var epoch: String
    /// The position asked for does not exist (any more): these lines are the replay from the beginning.
    public var isReset: Bool
}

extension JobSpool {
    /// Bytes read at once by `lines`.
    static let chunkSize = 1 << 20

    /// Whole lines that check, from `offset` on.
    ///
    /// - Parameters:
    ///   - offset: 0, or `next` of an earlier chunk or line.
    ///   - epoch: the epoch that stood beside that offset; nil trusts the offset.
    /// - Returns: nil when there is no status file.
    public func lines(_ id: JobID, from offset: Int, epoch: String?) throws(SpoolError) -> StatusChunk? {
        let path = layout.statusPath(id)
        let descriptor: Int32
        do throws(FileError) {
            descriptor = try files.open(path, [.read, .nonBlocking])
        } catch {
            if error.code == .notFound { return nil }
            throw SpoolError(error, id: id)
        }
        defer { files.closeQuietly(descriptor) }
        return try stored(id) { () throws(FileError) -> StatusChunk in
            guard offset > 0, let epoch else {
                return try chunk(descriptor, from: max(0, offset), epoch: epoch ?? "0", path)
            }
            // Offsets come from clients: one beyond the file must not cost memory.
            let size = try files.status(of: descriptor, path: path).size
            guard offset <= size, try epochInForce(descriptor, at: offset, path) == epoch else {
                var replay = try chunk(descriptor, from: 0, epoch: "0", path)
                replay.isReset = true
                return replay
            }
            return try chunk(descriptor, from: offset, epoch: epoch, path)
        }
    }

    private func chunk(_ descriptor: Int32, from offset: Int, epoch: String, _ path: String) throws(FileError)
        -> StatusChunk
    {
        let bytes = try files.readRange(descriptor, from: offset, count: JobSpool.chunkSize, path: path)
        var result = StatusChunk(lines: [], next: offset, epoch: epoch, isReset: false)
        StatusFile.eachLine(in: bytes[...]) { range in
            result.next = offset + range.upperBound + 1
            guard let line = StatusLine(bytes[range]) else { return }
            let status = StatusRecord(line)
            if let status { result.epoch = status.epochText }
            result.lines.append(
                .init(
                    type: line.type, fields: line.fields, next: result.next, epoch: result.epoch, status: status))
        }
        if result.lines.isEmpty, bytes.count == JobSpool.chunkSize {
            // One line longer than a chunk: read it whole.
            return try longLine(descriptor, from: offset, epoch: epoch, path)
        }
        return result
    }

    private func longLine(_ descriptor: Int32, from offset: Int, epoch: String, _ path: String) throws(FileError)
        -> StatusChunk
    {
        let bytes = try files.readRange(descriptor, from: offset, count: StatusFile.maximumSize, path: path)
        var result = StatusChunk(lines: [], next: offset, epoch: epoch, isReset: false)
        StatusFile.eachLine(in: bytes[...]) { range in
            guard result.lines.isEmpty else { return }
            result.next = offset + range.upperBound + 1
            guard let line = StatusLine(bytes[range]) else { return }
            let status = StatusRecord(line)
            if let status { result.epoch = status.epochText }
            result.lines.append(
                .init(
                    type: line.type, fields: line.fields, next: result.next, epoch: result.epoch, status: status))
        }
        return result
    }

    /// The epoch of the last state before `offset`; nil when `offset` is not behind the end of a line.
    private func epochInForce(_ descriptor: Int32, at offset: Int, _ path: String) throws(FileError) -> String? {
        let bytes = try files.readRange(descriptor, from: 0, count: offset, path: path)
        guard bytes.count == offset, bytes.last == 0x0A else { return nil }
        var epoch = "0"
        StatusFile.eachLine(in: bytes[...]) { range in
            guard bytes[range].starts(with: StatusLine.statusPrefix), let line = StatusLine(bytes[range]),
                let status = StatusRecord(line)
            else { return }
            epoch = status.epochText
        }
        return epoch
    }
}
