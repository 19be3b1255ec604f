// Path patterns of find_files and grep: * and ? within one part of a path, ** for any number of parts, [abc], [a-z],
// [!abc]. A pattern without a slash is matched against the file's name alone. Pure. Matching takes at most
// (pattern × path) steps, whatever the pattern: models write patterns, and exponential matchers hang threads.
struct GlobPattern: Sendable {
    private enum Piece: Sendable, Hashable {
        case letter(Character)
        case anyLetter
        case anyLetters
        case set([ClosedRange<Character>], isNegated: Bool)
    }

    private enum Part: Sendable, Hashable {
        case anyParts
        case pieces([Piece])
    }

    private let parts: [Part]
    private let matchesNameOnly: Bool

    init(_ text: String) {
        let names = text.split(separator: "/").map(String.init)
        matchesNameOnly = names.count <= 1 && names.first != "**"
        parts = names.map { $0 == "**" ? .anyParts : .pieces(Self.pieces(Array($0))) }
    }

    func matches(_ path: String) -> Bool {
        let names = path.split(separator: "/").map { Array($0) }
        return reaches(end: parts, of: matchesNameOnly ? names.suffix(1) : names) { part, name in
            switch part {
            case .anyParts: .many
            case .pieces(let pieces): Self.matches(pieces, name) ? .one : .none
            }
        }
    }

    private static func matches(_ pieces: [Piece], _ name: [Character]) -> Bool {
        GlobPattern.reachesEnd(pieces, name) { piece, letter in
            switch piece {
            case .anyLetters: .many
            case .anyLetter: .one
            case .letter(let wanted): wanted == letter ? .one : .none
            case .set(let ranges, let isNegated):
                ranges.contains(where: { $0.contains(letter) }) != isNegated ? .one : .none
            }
        }
    }

    private func reaches(end parts: [Part], of names: [[Character]], _ take: (Part, [Character]) -> Take) -> Bool {
        Self.reachesEnd(parts, names, take)
    }

    /// How much of the text one element of the pattern takes.
    private enum Take {
        case none, one
        /// None or any number.
        case many
    }

    /// Runs all ways through the pattern at once: `open` holds the elements that may come next.
    private static func reachesEnd<Element, Unit>(
        _ pattern: [Element], _ text: [Unit], _ take: (Element, Unit) -> Take
    ) -> Bool where Element: Hashable {
        var open = [Bool](repeating: false, count: pattern.count + 1)
        open[0] = true
        for unit in text {
            var next = [Bool](repeating: false, count: pattern.count + 1)
            for index in pattern.indices where open[index] {
                switch take(pattern[index], unit) {
                case .none: continue
                case .one: next[index + 1] = true
                case .many:
                    next[index] = true
                    // Taking nothing: the elements after it see the same unit.
                    open[index + 1] = true
                }
            }
            open = next
            if !open.contains(true) { return false }
        }
        // What takes nothing may stand at the end.
        for index in pattern.indices where open[index] {
            if let unit = text.first, case .many = take(pattern[index], unit) { open[index + 1] = true }
        }
        return open[pattern.count]
    }

    private static func pieces(_ text: [Character]) -> [Piece] {
        var pieces: [Piece] = []
        var index = 0
        while index < text.count {
            switch text[index] {
            case "*":
                if pieces.last != .anyLetters { pieces.append(.anyLetters) }
            case "?": pieces.append(.anyLetter)
            case "[":
                if let (set, end) = set(in: text, from: index) {
                    pieces.append(set)
                    index = end
                } else {
                    pieces.append(.letter("["))
                }
            default: pieces.append(.letter(text[index]))
            }
            index += 1
        }
        return pieces
    }

    /// Reads `[...]`; nil if it is never closed, which makes the bracket a plain letter.
    private static func set(in text: [Character], from start: Int) -> (Piece, end: Int)? {
        var index = start + 1
        var ranges: [ClosedRange<Character>] = []
        let isNegated = index < text.count && (text[index] == "!" || text[index] == "^")
        if isNegated { index += 1 }
        let first = index
        while index < text.count, text[index] != "]" || index == first {
            let low = text[index]
            if index + 2 < text.count, text[index + 1] == "-", text[index + 2] != "]", low <= text[index + 2] {
                ranges.append(low...text[index + 2])
                index += 3
            } else {
                ranges.append(low...low)
                index += 1
            }
        }
        return index < text.count ? (.set(ranges, isNegated: isNegated), index) : nil
    }
}
