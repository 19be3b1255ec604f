// Divides a SKILL.md into its front matter and its body, as people write the two: a byte order mark, any line ends, blanks
// around the lines of ---, a line of --- forgotten. Pure; linear; any thread. Failure: Skill.Fault.
import Foundation

struct SkillText: Sendable {
    /// Lines between the two fences.
    private(set) var matter: [String] = []
    private(set) var body: [String] = []
    private(set) var problems: [String] = []
    private let lines: [String]
    private let start: Int
    /// The line of the closing fence; nil where there is none.
    private let fence: Int?

    /// - Throws: for a text that begins with neither a line of --- nor a name or description.
    init(_ text: String) throws(Skill.Fault) {
        lines = Self.lines(of: text)
        guard let first = lines.firstIndex(where: { !$0.isBlankLine }) else {
            throw Skill.Fault(detail: "SKILL.md is empty")
        }
        if Self.isFence(lines[first]) {
            start = first + 1
        } else if let key = FrontMatterLines.key(of: lines[first])?.key, ["name", "description"].contains(key) {
            start = first
            problems.append("the line of --- before the front matter is missing")
        } else {
            throw Skill.Fault(detail: "it must begin with YAML front matter between two lines of ---")
        }
        let rest = lines[start...]
        // A line of --- inside an indented text is that text's before it is a fence.
        fence =
            rest.firstIndex { !$0.hasPrefix(" ") && !$0.hasPrefix("\t") && (Self.isFence($0) || $0.trimmedBlanks == "...") }
            ?? rest.firstIndex { Self.isFence($0) }
        if let fence { divide(at: fence, body: fence + 1) } else { endAtTheLastKey() }
    }

    /// For front matter that is no YAML: where its words stop being front matter long before the next line of ---, that line
    /// belongs to the body.
    /// - Returns: whether this changed anything.
    mutating func endsBeforeFence() -> Bool {
        guard let fence, let end = endOfKeys(before: fence) else { return false }
        missingFence(end)
        return true
    }

    // MARK: -

    private static func lines(of text: String) -> [String] {
        var text = text[...]
        while text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        return text.replacingOccurrences(of: "\r\n", with: "\n").replacingOccurrences(of: "\r", with: "\n")
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    private static func isFence(_ line: String) -> Bool {
        let text = line.trimmedBlanks
        return text.utf8.count >= 3 && text.utf8.allSatisfy { $0 == UInt8(ascii: "-") }
    }

    private mutating func divide(at end: Int, body first: Int) {
        matter = Array(lines[start..<end])
        body = Array(lines[min(first, lines.count)...])
    }

    private mutating func endAtTheLastKey() { missingFence(endOfKeys(before: lines.count) ?? lines.count) }

    private mutating func missingFence(_ end: Int) {
        divide(at: end, body: end)
        problems.append("the line of --- behind the front matter is missing; the text is read from line \(end + 1) on")
    }

    /// The line behind the last that is front matter, where another kind of text begins before `limit`; nil where none does.
    /// Behind an empty line or a heading only known keys are front matter.
    private func endOfKeys(before limit: Int) -> Int? {
        var end = start
        var isApart = false
        for place in start..<limit {
            let line = lines[place]
            if line.isBlankLine || line.hasPrefix("#") {
                isApart = true
                continue
            }
            let key = FrontMatterLines.key(of: line)?.key
            let isMatter =
                isApart
                ? key.map(FrontMatterLines.known.contains) ?? (line.first?.isWhitespace == true)
                : key != nil || line.first?.isWhitespace == true || line.hasPrefix("- ")
            // Without a fence the first line of another kind ends the front matter; before a fence it may be a slip.
            guard isMatter else { return isApart || limit == lines.count ? end : nil }
            isApart = false
            end = place + 1
        }
        return isApart && limit == lines.count ? end : nil
    }
}

extension StringProtocol {
    /// Without white space of any kind at both ends.
    var trimmedBlanks: String { trimmingCharacters(in: .whitespacesAndNewlines) }
    var isBlankLine: Bool { allSatisfy(\.isWhitespace) }
}
