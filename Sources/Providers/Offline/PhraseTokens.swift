// A text cut into the pieces phrases are made of: words in ASCII scripts, single characters in Chinese, single signs.
// Pure, any thread.

struct PhraseToken: Sendable, Equatable {
    enum Kind: Sendable { case word, ideograph, sign }

    var kind: Kind
    /// Lower case, half width, straight apostrophes: what is compared.
    var key: String
    /// Where it stands in the text it was cut from.
    var range: Range<String.Index>
}

struct PhraseTokens: Sendable {
    let text: String
    let tokens: [PhraseToken]

    init(_ text: String) {
        self.text = text
        var tokens: [PhraseToken] = []
        var index = text.startIndex
        while index < text.endIndex {
            let character = text[index]
            if character.isWhitespace {
                index = text.index(after: index)
                continue
            }
            var kind = PhraseToken.Kind.sign
            var end = text.index(after: index)
            if OfflineLanguage.isEastAsian(character) {
                kind = .ideograph
            } else if Self.startsWord(text, at: index) {
                kind = .word
                end = Self.wordEnd(text, from: index)
            }
            tokens.append(PhraseToken(kind: kind, key: Self.key(text[index..<end]), range: index..<end))
            index = end
        }
        self.tokens = tokens
    }

    /// Marks on one letter that count; the rest of them are left out of the key.
    private static let maxMarks = 4

    static func key(_ text: Substring) -> String {
        var result = String.UnicodeScalarView()
        var marks = 0
        for scalar in text.unicodeScalars {
            // Comparing sorts the marks of a letter: thousands on one letter would be sorted for every phrase.
            marks = scalar.value >= 0x300 && isMark(scalar) ? marks + 1 : 0
            if marks > maxMarks { continue }
            let isWide = (0xFF01...0xFF5E).contains(scalar.value)
            let plain = isWide ? Unicode.Scalar(scalar.value - 0xFEE0) ?? scalar : scalar
            result.append(plain == "\u{2019}" ? "'" : plain)
        }
        return String(result).lowercased()
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: true
        default: false
        }
    }

    private static func isLetterOrDigit(_ character: Character) -> Bool {
        (character.isLetter || character.isNumber) && !OfflineLanguage.isEastAsian(character)
    }

    private static func startsWord(_ text: String, at index: String.Index) -> Bool {
        if isLetterOrDigit(text[index]) { return true }
        let next = text.index(after: index)
        return "$#@^/.~".contains(text[index]) && next < text.endIndex
            && (isLetterOrDigit(text[next]) || text[index] == "." && text[next] == "/")
    }

    /// Signs belong to a word where a letter or digit follows: "0700.HK", "Asia/Shanghai", "don't"; a colon only in
    /// a clock time or an address.
    private static func wordEnd(_ text: String, from start: String.Index) -> String.Index {
        var index = text.index(after: start)
        while index < text.endIndex {
            let character = text[index]
            let next = text.index(after: index)
            if isLetterOrDigit(character) {
                index = next
            } else if next < text.endIndex, "._-/&'\u{2019}^=+@~#".contains(character), isLetterOrDigit(text[next]) {
                index = text.index(after: next)
            } else if character == ":" || character == "：", next < text.endIndex, text[next].isNumber,
                text[text.index(before: index)].isNumber
            {
                index = text.index(after: next)
            } else if text[index...].hasPrefix("://") {
                index = text.index(index, offsetBy: 3)
            } else {
                break
            }
        }
        return index
    }

    /// The text from the first to the last of these tokens, as it was written.
    func text(_ range: Range<Int>) -> String {
        guard let first = tokens[range].first, let last = tokens[range].last else { return "" }
        return String(text[first.range.lowerBound..<last.range.upperBound])
    }

    /// The text from this token to the end.
    func text(from index: Int) -> String {
        guard tokens.indices.contains(index) else { return "" }
        var rest = text[tokens[index].range.lowerBound...]
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}
