// A part of MEMORY.md where the whole is too long: the newest entries, which are at the end, and the lines between
// the entries (headings, paragraphs of the user). Pure; the same text and bound give the same bytes.
import Foundation

enum MemoryExcerpt {
    private static let mark = "[older entries are left out here; read_file memory/MEMORY.md shows all]"

    /// - Parameter limit: characters of the excerpt.
    static func newest(_ memory: String, limit: Int) -> String {
        guard memory.count > limit else { return memory }
        let lines = memory.split(separator: "\n", omittingEmptySubsequences: false)
        let others = lines.reduce(0) { $0 + (isEntry($1) ? 0 : $1.count + 1) }
        let room = limit - others - mark.count - 1
        // Where other lines take most of the room, the end of the text is what was written last.
        guard room > limit / 2 else { return mark + "\n" + end(of: memory, limit - mark.count - 1) }
        var used = 0
        var first = lines.count
        for index in lines.indices.reversed() where isEntry(lines[index]) {
            used += lines[index].count + 1
            guard used <= room else { break }
            first = index
        }
        var kept: [Substring] = []
        var isMarked = false
        for (index, line) in lines.enumerated() {
            if index >= first || !isEntry(line) {
                kept.append(line)
            } else if !isMarked {
                kept.append(Substring(mark))
                isMarked = true
            }
        }
        return kept.joined(separator: "\n")
    }

    private static func isEntry(_ line: Substring) -> Bool {
        let line = line.drop(while: \.isWhitespace)
        return line.hasPrefix("- ") || line.hasPrefix("* ")
    }

    /// Whole lines from the end; a part of the last one where it alone is longer.
    private static func end(of text: String, _ limit: Int) -> String {
        let tail = text.suffix(max(0, limit))
        guard let line = tail.firstIndex(of: "\n"), tail.index(after: line) < tail.endIndex else { return String(tail) }
        return String(tail[tail.index(after: line)...])
    }
}
