// Path patterns of find_files and grep: * and ? within one part of a path, ** for any number of parts, [abc], [a-z],
// [!abc]. A pattern without a slash is matched against the file's name alone; a letter is a code point. Pure. Matching
// costs a fixed number of steps for each letter of the path, whatever the pattern: all ways through the pattern are
// followed at once, as bits (five words for the longest pattern). Models write patterns, and matchers that go back hang
// threads.
import TextFormats

struct GlobPattern: Sendable {
    private enum Piece: Hashable {
        case letter(UInt32)
        /// "?"
        case anyLetter
        /// "*"
        case anyLetters
        /// "**" with the slash behind it: `anyParts` where a part begins, `insidePart` within one.
        case anyParts, insidePart
        /// "**" at the end.
        case anything
        case set([ClosedRange<UInt32>], isNegated: Bool)
    }

    private static let slash = UInt32(UInt8(ascii: "/"))

    private let matchesNameOnly: Bool
    private let words: Int
    private let end: Int
    /// Code points from which on other pieces take a letter, ascending from 0.
    private let starts: [UInt32]
    /// For each of `starts`: the pieces that take such a letter and go on to the next piece.
    private let takers: [UInt64]
    private let anyParts: [UInt64]
    private let insideParts: [UInt64]
    /// Pieces that take any number of letters, none too: those that stop at a slash, and those that do not.
    private let runs: [UInt64]
    private let everything: [UInt64]

    init(_ text: String) {
        let parts = text.unicodeScalars.split(separator: "/").map { $0.map(\.value) }
        let star = UInt32(UInt8(ascii: "*"))
        matchesNameOnly = parts.count <= 1 && parts.first != [star, star]
        var pieces: [Piece] = []
        for (index, part) in parts.enumerated() {
            let isLast = index == parts.count - 1
            if part == [star, star] {
                if isLast {
                    // "**/**" is "**".
                    if pieces.suffix(2) == [.anyParts, .insidePart] { pieces.removeLast(2) }
                    pieces.append(.anything)
                } else if pieces.last != .insidePart {
                    pieces += [.anyParts, .insidePart]
                }
            } else {
                pieces += Self.pieces(part)
                if !isLast { pieces.append(.letter(Self.slash)) }
            }
        }
        let words = pieces.count / 64 + 1
        func bits(_ wanted: (Piece) -> Bool) -> [UInt64] {
            var bits = [UInt64](repeating: 0, count: words)
            for (index, piece) in pieces.enumerated() where wanted(piece) { bits[index / 64] |= 1 << (index % 64) }
            return bits
        }
        self.words = words
        end = pieces.count
        starts = Self.starts(pieces)
        takers = starts.flatMap { letter in bits { Self.takes($0, letter) } }
        anyParts = bits { $0 == .anyParts }
        insideParts = bits { $0 == .insidePart }
        runs = bits { $0 == .anyLetters }
        everything = bits { $0 == .anything }
    }

    // MARK: - Matching

    func matches(_ path: String, _ steps: StepCounter? = nil) -> Bool {
        guard !path.isEmpty else { return false }
        var letters = path.unicodeScalars[...]
        if matchesNameOnly, let slash = letters.lastIndex(of: "/") { letters = letters[letters.index(after: slash)...] }
        var open = [UInt64](repeating: 0, count: words)
        var next = open
        open[0] = 1
        skip(&open)
        var count = 0
        for letter in letters {
            advance(open, letter.value, into: &next)
            skip(&next)
            swap(&open, &next)
            count += 1
        }
        steps?.add(count * (2 * words + 10) + words)
        return open[end / 64] >> (end % 64) & 1 == 1
    }

    /// The pieces that may take the letter after this one.
    private func advance(_ open: [UInt64], _ letter: UInt32, into next: inout [UInt64]) {
        let isSlash = letter == Self.slash
        let takers = self.takers[(place(of: letter) * words)...]
        var carry: UInt64 = 0
        for word in 0..<words {
            var taken = open[word] & takers[takers.startIndex + word]
            var staying = open[word] & everything[word]
            if isSlash {
                // The part is over, and another may begin.
                staying |= (open[word] & insideParts[word]) >> 1
                if word + 1 < words { staying |= (open[word + 1] & insideParts[word + 1]) << 63 }
            } else {
                taken |= open[word] & anyParts[word]
                staying |= open[word] & (runs[word] | insideParts[word])
            }
            next[word] = taken << 1 | carry | staying
            carry = taken >> 63
        }
    }

    /// Opens the pieces behind those that may take nothing.
    private func skip(_ open: inout [UInt64]) {
        var carry: UInt64 = 0
        for word in 0..<words {
            let skipped = open[word] & anyParts[word]
            open[word] |= skipped << 2 | carry
            carry = skipped >> 62
        }
        carry = 0
        for word in 0..<words {
            let skipped = open[word] & (runs[word] | everything[word])
            open[word] |= skipped << 1 | carry
            carry = skipped >> 63
        }
    }

    /// The last of `starts` that is not beyond the letter.
    private func place(of letter: UInt32) -> Int {
        var (low, high) = (0, starts.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if starts[middle] <= letter { low = middle } else { high = middle - 1 }
        }
        return low
    }

    // MARK: - Reading a pattern

    private static func takes(_ piece: Piece, _ letter: UInt32) -> Bool {
        switch piece {
        case .letter(let wanted): wanted == letter
        case .anyLetter: letter != slash
        case .set(let ranges, let isNegated):
            letter != slash && ranges.contains(where: { $0.contains(letter) }) != isNegated
        case .anyLetters, .anyParts, .insidePart, .anything: false
        }
    }

    private static func starts(_ pieces: [Piece]) -> [UInt32] {
        var starts: Set<UInt32> = [0, slash, slash + 1]
        for piece in pieces {
            switch piece {
            case .letter(let letter): starts.formUnion([letter, letter + 1])
            case .set(let ranges, _):
                for range in ranges { starts.formUnion([range.lowerBound, range.upperBound + 1]) }
            case .anyLetter, .anyLetters, .anyParts, .insidePart, .anything: break
            }
        }
        return starts.sorted()
    }

    private static func pieces(_ text: [UInt32]) -> [Piece] {
        var pieces: [Piece] = []
        var index = 0
        /// Nothing behind this place closes a set.
        var isOpenForGood = false
        while index < text.count {
            switch Unicode.Scalar(text[index]) {
            case "*":
                if pieces.last != .anyLetters { pieces.append(.anyLetters) }
            case "?": pieces.append(.anyLetter)
            case "[" where !isOpenForGood:
                if let (set, end) = set(in: text, from: index) {
                    pieces.append(set)
                    index = end
                } else {
                    isOpenForGood = true
                    pieces.append(.letter(text[index]))
                }
            default: pieces.append(.letter(text[index]))
            }
            index += 1
        }
        return pieces
    }

    /// Reads `[...]`; nil if it is never closed, which makes the bracket a plain letter.
    private static func set(in text: [UInt32], from start: Int) -> (Piece, end: Int)? {
        func isAt(_ index: Int, _ letter: Unicode.Scalar) -> Bool { index < text.count && text[index] == letter.value }
        var index = start + 1
        var ranges: [ClosedRange<UInt32>] = []
        let isNegated = isAt(index, "!") || isAt(index, "^")
        if isNegated { index += 1 }
        let first = index
        while index < text.count, !isAt(index, "]") || index == first {
            let low = text[index]
            if isAt(index + 1, "-"), index + 2 < text.count, !isAt(index + 2, "]"), low <= text[index + 2] {
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
