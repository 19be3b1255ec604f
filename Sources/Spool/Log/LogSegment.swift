// One file of the shared log: frames, each a batch that was made durable by one fdatasync. Pure; any thread.
//
// The file is made full of zeros and synced before it is used, so that a frame only overwrites: no size changes, no block
// is allocated, and fdatasync writes the data and nothing else. A frame begins on a page, so no later write touches a
// sector that a finished one has made durable. A segment that was replayed or synced away is used again; the nonce, drawn
// anew each time, tells its frames from what stood there before.
//
//   page 0:  "nanobot-log 1\n", nonce (8 bytes), CRC-32C of the nonce
//   frames:  magic (4), CRC-32C (4) of all that follows, nonce (8), number (8), length of the body (8), body, zeros

import DurableFiles

struct LogSegment {
    static let page = 4_096
    /// Bytes of a frame before its body.
    static let frameHead = 32
    private static let magic: [UInt8] = Array("nbf1".utf8)
    private static let title: [UInt8] = Array("nanobot-log 1\n".utf8)

    /// Pages of a frame with a body of so many bytes, in bytes.
    static func space(for body: Int) -> Int { (frameHead + body + page - 1) / page * page }

    /// Makes the file of a segment, full of zeros and on disk with its name.
    static func create(_ path: String, bytes: Int, _ files: any FileSystem) throws(FileError) {
        do throws(FileError) {
            try files.withFile(path, [.write, .create, .exclusive], mode: 0o640) { file throws(FileError) in
                let zeros = [UInt8](repeating: 0, count: min(bytes, 1 << 20))
                var done = 0
                while done < bytes {
                    let part = zeros.prefix(bytes - done)
                    try files.writeAll(file, Array(part), path: path)
                    done += part.count
                }
                try files.sync(file, path: path)
            }
            try files.syncDirectory(PathParts.split(path).folder)
        } catch {
            // A part of a segment is no use to anybody.
            try? files.remove(path)
            throw error
        }
    }

    /// Puts the first page of a segment into the buffer.
    static func fill(_ buffer: LogBuffer, headWith nonce: UInt64) {
        var number = LogWriter(bytes: [])
        number.number(Int(nonce))
        buffer.clear()
        buffer.append(title + number.bytes + bytes(of: CRC32C.checksum(number.bytes[...])))
        buffer.seal()
    }

    /// - Returns: nil when the file was never used, or its first page is damaged.
    static func nonce(of bytes: [UInt8]) -> UInt64? {
        let end = title.count + 8
        guard bytes.count >= page, bytes.starts(with: title) else { return nil }
        let number = bytes[title.count..<end]
        var reader = LogReader(bytes: number)
        guard let nonce = reader.number(), checksum(in: bytes[end..<end + 4]) == CRC32C.checksum(number) else { return nil }
        return UInt64(nonce)
    }

    /// Puts a frame into the buffer; its body is the parts one after the other.
    static func fill(_ buffer: LogBuffer, nonce: UInt64, number: Int, parts: [[UInt8]]) {
        let length = parts.reduce(0) { $0 + $1.count }
        var head = LogWriter(bytes: magic + [0, 0, 0, 0])
        head.number(Int(nonce))
        head.number(number)
        head.number(length)
        buffer.clear()
        buffer.reserve(space(for: length))
        buffer.append(head.bytes)
        for part in parts { buffer.append(part) }
        let start = magic.count + 4
        buffer.replace(at: magic.count, with: bytes(of: CRC32C.checksum(buffer.bytes(from: start))))
        buffer.seal()
    }

    private static func bytes(of checksum: UInt32) -> [UInt8] {
        withUnsafeBytes(of: checksum.littleEndian) { Array($0) }
    }

    private static func checksum(in bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// What a segment holds.
    struct Content {
        /// Its frames, in order.
        var frames: [(number: Int, body: ArraySlice<UInt8>)] = []
        /// A damaged frame stands before a good one: not the torn end of the last batch, but corruption.
        var isCorrupt = false
    }

    static func content(of bytes: [UInt8]) -> Content {
        var content = Content()
        guard let nonce = nonce(of: bytes) else { return content }
        var offset = page
        var expected: Int?
        var sawBad = false
        while offset + frameHead <= bytes.count {
            guard let frame = frame(at: offset, in: bytes, nonce: nonce) else {
                // Frames begin on pages: what is good behind the bad one is found there.
                sawBad = true
                offset += page
                continue
            }
            if sawBad || frame.number != expected ?? frame.number { content.isCorrupt = true }
            sawBad = false
            expected = frame.number + 1
            content.frames.append(frame)
            offset += space(for: frame.body.count)
        }
        return content
    }

    private static func frame(at offset: Int, in bytes: [UInt8], nonce: UInt64) -> (number: Int, body: ArraySlice<UInt8>)? {
        guard bytes[offset..<offset + 4].elementsEqual(magic) else { return nil }
        var reader = LogReader(bytes: bytes[(offset + 8)...])
        guard let own = reader.number(), UInt64(own) == nonce, let number = reader.number(), let body = reader.blob()
        else { return nil }
        let all = bytes[offset + 8..<body.endIndex]
        guard checksum(in: bytes[offset + 4..<offset + 8]) == CRC32C.checksum(all) else { return nil }
        return (number, body)
    }
}
