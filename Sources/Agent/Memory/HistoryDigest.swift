// The newest entries of memory/history.jsonl (consolidated history) as a section of the prompt. Reads only the file's
// end; lines that cannot be read are left out. Any thread.
import DurableFiles
import Foundation
import Tenants
import TextFormats

struct HistoryDigest {
    static let maxEntries = 50
    static let maxCharacters = 16_000
    /// Bytes read from the end of the file.
    private static let tailBytes = 256 << 10

    let directory: SealedDirectory

    /// "- 2026-11-23 09:12: …" lines, oldest first; empty when there is no history.
    /// - Parameters:
    ///   - summary: what the prompt has of the conversation already: those paragraphs are left out here.
    ///   - session: that conversation.
    func text(besides summary: String? = nil, of session: SessionID = .standard) throws(FileError) -> String {
        let bytes = try tail()
        var lines: [String] = []
        var used = 0
        for line in bytes.split(separator: UInt8(ascii: "\n")).reversed() {
            // A line somebody damaged must not keep the others from being read.
            guard let json = try? JSON.parse(Array(line)), var content = json["content"]?.string else { continue }
            if let summary, json["session"]?.string == session.rawValue {
                content = content.components(separatedBy: "\n\n").filter { !summary.contains($0) }.joined(separator: "\n\n")
            }
            guard !content.isEmpty else { continue }
            let time = json["timestamp"]?.string.map { "\($0): " } ?? ""
            let entry = "- \(time)\(content)"
            used += entry.count + 1
            guard lines.count < Self.maxEntries, used <= Self.maxCharacters else { break }
            lines.append(entry)
        }
        return lines.reversed().joined(separator: "\n")
    }

    private func tail() throws(FileError) -> ArraySlice<UInt8> {
        do {
            let size = try directory.status(Workspace.history).size
            let start = max(0, size - Self.tailBytes)
            let bytes = try directory.read(Workspace.history, from: start, count: Self.tailBytes)
            guard start > 0 else { return bytes[...] }
            // The first line of a tail is a part of one.
            return bytes.drop { $0 != UInt8(ascii: "\n") }
        } catch {
            if error.code == .notFound { return [] }
            throw error
        }
    }
}
