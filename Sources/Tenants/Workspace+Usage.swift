// usage.jsonl: one JSON line for each thing that cost something. Any thread, any process. A line is durable when the
// append returns; a line torn by a crash is no entry, and the next append begins on a line of its own.
import DurableFiles
import Foundation
import TextFormats

/// Some entries of usage.jsonl, oldest first.
public struct UsagePage: Sendable {
    public var entries: [JSON]
    /// Where the next page begins, in bytes; nil at the end of what was written so far.
    public var next: Int?
    /// Nothing was ever written there.
    public var isPastEnd = false
}

extension Workspace {
    /// How far back an append looks for its own id, in bytes: some hundred entries.
    private static let repeatWindow = 64 << 10
    /// Longest line, in bytes.
    private static let maximumLine = 64 << 10
    private static let chunk = 256 << 10

    /// Adds a line. An entry with an `id` that one of the last entries has is there already and not added again:
    /// a job that resumes after a crash may say the same twice.
    public func appendUsage(_ entry: JSON) throws(TenantError) {
        let line = entry.bytes() + [UInt8(ascii: "\n")]
        guard line.count <= Self.maximumLine else {
            throw TenantError(
                .invalidField, "A usage entry has at most \(Self.maximumLine >> 10) KiB.", field: "usage")
        }
        do {
            try withLock(.usage) { try appendLocked(line, id: entry["id"]?.string) }
        } catch let error as FileError {
            throw TenantError(error, doing: "write usage.jsonl of \"\(user)\"")
        } catch {
            throw TenantError(.storage, "Could not write usage.jsonl of \"\(user)\": \(error)")
        }
    }

    private func appendLocked(_ line: [UInt8], id: String?) throws(FileError) {
        let tail = try usageTail()
        // Hardly ever: reading all those lines is for when the id stands in one of them somewhere.
        if let id, tail[...].firstRange(ofBytes: JSON.string(id).bytes()) != nil,
            Self.lines(tail).contains(where: { $0["id"]?.string == id })
        {
            return
        }
        let isTorn = !tail.isEmpty && tail.last != UInt8(ascii: "\n")
        try directory.append(Self.usage, isTorn ? [UInt8(ascii: "\n")] + line : line, durable: true)
    }

    private func usageTail() throws(FileError) -> [UInt8] {
        do throws(FileError) {
            let size = try directory.status(Self.usage).size
            let start = max(0, size - Self.repeatWindow)
            return try directory.read(Self.usage, from: start, count: size - start)
        } catch {
            if error.code == .notFound { return [] }
            throw error
        }
    }

    /// Up to about `limit` entries from byte `offset` (0, or `next` of the page before). Lines that are no JSON object
    /// are passed over, and a last line without its newline is not there yet.
    public func usage(from offset: Int = 0, limit: Int = 1_000) throws(TenantError) -> UsagePage {
        var entries: [JSON] = []
        var position = offset
        while entries.count < limit {
            let bytes: [UInt8]
            do throws(FileError) {
                if position > 0, position > (try directory.status(Self.usage).size) {
                    return UsagePage(entries: entries, next: nil, isPastEnd: true)
                }
                bytes = try directory.read(Self.usage, from: position, count: Self.chunk)
            } catch {
                if error.code == .notFound { return UsagePage(entries: [], next: nil, isPastEnd: position > 0) }
                throw TenantError(error, doing: "read usage.jsonl of \"\(user)\"")
            }
            var start = 0
            while entries.count < limit, let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
                if let entry = Self.entry(bytes[start..<end]) { entries.append(entry) }
                start = end + 1
            }
            if start == 0 {
                // Less than a chunk without a newline is the torn end; a whole chunk of it is no line of ours: skip.
                guard bytes.count == Self.chunk else { return UsagePage(entries: entries, next: nil) }
                start = bytes.count
            }
            position += start
        }
        return UsagePage(entries: entries, next: position)
    }

    private static func lines(_ bytes: [UInt8]) -> [JSON] {
        bytes.split(separator: UInt8(ascii: "\n")).compactMap(entry)
    }

    private static func entry(_ line: ArraySlice<UInt8>) -> JSON? {
        // What is no JSON was torn by a crash or spoilt by hand; it is left where it stands.
        guard let json = try? JSON.parse(Array(line)), json.object != nil else { return nil }
        return json
    }
}
