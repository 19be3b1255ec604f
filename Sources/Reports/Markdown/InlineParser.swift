// Text within a block to inlines. Pure, any thread; cannot fail. Time is linear in the text times `maxDepth`: a
// delimiter that finds no end is remembered, so it is looked for once; links have bounded lengths.

struct InlineParser {
    static let maxDepth = 8
    /// Characters of a link's label and target; longer ones are plain text. They bound the search at each bracket.
    static let maxLabel = 500
    static let maxTarget = 2_048
    /// Stands for a hard line break in the text handed in; MarkdownParser puts it there.
    static let hardBreak: Character = "\u{2028}"

    private let characters: [Character]
    private let depth: Int
    private var position = 0
    private var text = ""
    private var result: [MarkdownInline] = []
    /// Delimiters known to have no further end.
    private var hopeless: Set<String> = []

    static func parse(_ text: String) -> [MarkdownInline] { parse(Array(text), depth: 0) }

    private static func parse(_ characters: [Character], depth: Int) -> [MarkdownInline] {
        var parser = InlineParser(characters: characters, depth: depth)
        return parser.parse()
    }

    private init(characters: [Character], depth: Int) {
        self.characters = characters
        self.depth = depth
    }

    private mutating func parse() -> [MarkdownInline] {
        while position < characters.count {
            let character = characters[position]
            switch character {
            case "\\" where position + 1 < characters.count && Self.isPunctuation(characters[position + 1]):
                text.append(characters[position + 1])
                position += 2
            case Self.hardBreak:
                emit(.lineBreak)
                position += 1
            case "`": readCode()
            case "*", "_": readEmphasis(character)
            case "!" where peek(1) == "[":
                // An image would load something from elsewhere: its description and link stay.
                position += 1
                readLink()
            case "[": readLink()
            default:
                text.append(character)
                position += 1
            }
        }
        flush()
        return result
    }

    private func peek(_ offset: Int) -> Character? {
        characters.indices.contains(position + offset) ? characters[position + offset] : nil
    }

    private static func isPunctuation(_ character: Character) -> Bool {
        character.isASCII && !character.isLetter && !character.isNumber && !character.isWhitespace
    }

    private mutating func flush() {
        if !text.isEmpty { result.append(.text(text)) }
        text = ""
    }

    private mutating func emit(_ part: MarkdownInline) {
        flush()
        result.append(part)
    }

    private mutating func takeLiterally(_ count: Int) {
        text += String(characters[position..<position + count])
        position += count
    }

    // MARK: - Code

    private mutating func readCode() {
        var count = 0
        while peek(count) == "`" { count += 1 }
        let key = String(repeating: "`", count: count)
        guard !hopeless.contains(key), let end = codeEnd(count) else {
            hopeless.insert(key)
            takeLiterally(count)
            return
        }
        var code = String(characters[(position + count)..<end])
        code = String(code.map { $0.isNewline ? " " : $0 })
        if code.hasPrefix(" "), code.hasSuffix(" "), code.contains(where: { $0 != " " }) {
            code = String(code.dropFirst().dropLast())
        }
        emit(.code(code))
        position = end + count
    }

    /// The place of the next run of exactly `count` backticks.
    private func codeEnd(_ count: Int) -> Int? {
        var index = position + count
        while index < characters.count {
            guard characters[index] == "`" else {
                index += 1
                continue
            }
            let start = index
            while index < characters.count, characters[index] == "`" { index += 1 }
            if index - start == count { return start }
        }
        return nil
    }

    // MARK: - Emphasis

    private mutating func readEmphasis(_ mark: Character) {
        let count = peek(1) == mark ? 2 : 1
        let key = String(repeating: mark, count: count)
        let opens = peek(count).map { !$0.isWhitespace } ?? false
        let isInWord = mark == "_" && position > 0 && Self.isWord(characters[position - 1])
        guard opens, !isInWord, depth < Self.maxDepth, !hopeless.contains(key) else {
            takeLiterally(count)
            return
        }
        guard let end = emphasisEnd(mark, count) else {
            hopeless.insert(key)
            takeLiterally(count)
            return
        }
        let inner = Self.parse(Array(characters[(position + count)..<end]), depth: depth + 1)
        emit(count == 2 ? .strong(inner) : .emphasis(inner))
        position = end + count
    }

    /// The next closing delimiter: after a non-blank, exactly as long as the opening one (three close either).
    private func emphasisEnd(_ mark: Character, _ count: Int) -> Int? {
        var index = position + count
        while index < characters.count {
            if characters[index] == "\\" {
                index += 2
                continue
            }
            guard characters[index] == mark else {
                index += 1
                continue
            }
            let start = index
            while index < characters.count, characters[index] == mark { index += 1 }
            let length = index - start
            let closes = !characters[start - 1].isWhitespace && start > position + count
            let isInWord = mark == "_" && index < characters.count && Self.isWord(characters[index])
            if closes, !isInWord, length == count || length == 3 { return index - count }
        }
        return nil
    }

    private static func isWord(_ character: Character) -> Bool { character.isLetter || character.isNumber }

    // MARK: - Links

    private mutating func readLink() {
        guard depth < Self.maxDepth, let middle = linkMiddle(), let end = linkEnd(from: middle + 2) else {
            takeLiterally(1)
            return
        }
        let label = Self.parse(Array(characters[(position + 1)..<middle]), depth: depth + 1)
        let target = String(characters[(middle + 2)..<end])
        if let url = Self.safeURL(target) {
            emit(.link(label, url: url))
        } else {
            // A link that leads nowhere allowed is shown as what it says, with its target in plain sight.
            flush()
            result += label
            text += " (\(target))"
        }
        position = end + 1
    }

    /// The place of the "](" that ends the label, at most `maxLabel` characters on.
    private func linkMiddle() -> Int? {
        var index = position + 1
        let end = min(characters.count, position + Self.maxLabel)
        while index + 1 < end {
            if characters[index] == "\\" {
                index += 2
                continue
            }
            if characters[index] == "]", characters[index + 1] == "(" { return index }
            index += 1
        }
        return nil
    }

    /// The closing bracket of a target, which may hold balanced brackets but no blank.
    private func linkEnd(from start: Int) -> Int? {
        var open = 0
        for index in start..<max(start, min(characters.count, start + Self.maxTarget)) {
            switch characters[index] {
            case "(": open += 1
            case ")" where open == 0: return index
            case ")": open -= 1
            case let character where character.isWhitespace: return nil
            default: break
            }
        }
        return nil
    }

    /// http and https only, without anything that could end an attribute or hide where it leads.
    static func safeURL(_ text: String) -> String? {
        let lower = text.lowercased()
        guard lower.hasPrefix("https://") || lower.hasPrefix("http://") else { return nil }
        let isClean = text.unicodeScalars.allSatisfy { scalar in
            scalar.value > 0x20 && scalar.value != 0x7F && !"<>\"'`\\".unicodeScalars.contains(scalar)
                && !(0x80...0x9F).contains(scalar.value) && !(0x200B...0x200F).contains(scalar.value)
                && !(0x2028...0x202E).contains(scalar.value) && !(0x2066...0x2069).contains(scalar.value)
        }
        return isClean ? text : nil
    }
}
