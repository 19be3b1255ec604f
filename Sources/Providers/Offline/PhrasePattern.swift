// A small pattern language over PhraseTokens, one for English and Chinese:
//   add {items} to [my|the] watchlist        [a|b c] may be missing, (a|b c) must be there
//   记住{text...}                             {name} takes a few tokens, as few as possible; {name...} takes the rest
//   add the {kind:stock|sector} {items}      {name:a|b} takes one of these phrases
//   有*新闻                                   * takes up to eight tokens
// A pattern matches a whole range of tokens or not at all. Matching is bounded by `maxSteps`, and all matching of one text
// by its PhraseBudget. Pure, any thread.
import TextFormats

struct PhrasePattern: Sendable {
    indirect enum Element: Sendable {
        case literal(String)
        case choice([[Element]], isOptional: Bool)
        case capture(String)
        case named(String, [[String]])
        case rest(String)
        case anything
    }

    /// Tokens one capture takes at most.
    static let maxCapture = 60
    static let maxAnything = 8
    /// Element comparisons per match; a text that needs more matches nothing.
    static let maxSteps = 20_000

    private let elements: [Element]

    init(_ text: String) {
        var rest = text[...]
        elements = Self.alternatives(&rest).first ?? []
    }

    private static func alternatives(_ rest: inout Substring) -> [[Element]] {
        var result: [[Element]] = [[]]
        var literal = ""
        func flush() {
            for token in PhraseTokens(literal).tokens { result[result.count - 1].append(.literal(token.key)) }
            literal = ""
        }
        while let character = rest.popFirst() {
            switch character {
            case "(", "[":
                flush()
                result[result.count - 1].append(.choice(alternatives(&rest), isOptional: character == "["))
            case ")", "]":
                flush()
                return longestFirst(result)
            case "|":
                flush()
                result.append([])
            case "*":
                flush()
                result[result.count - 1].append(.anything)
            case "{":
                flush()
                let name = rest.prefix(while: { $0 != "}" })
                rest = rest.dropFirst(name.count + 1)
                result[result.count - 1].append(capture(name))
            default: literal.append(character)
            }
        }
        flush()
        return result
    }

    /// "查一下" before "查", or what follows would take the rest of the longer word.
    private static func longestFirst(_ alternatives: [[Element]]) -> [[Element]] {
        alternatives.enumerated().sorted { left, right in
            let (a, b) = (left.element.count, right.element.count)
            return a == b ? left.offset < right.offset : a > b
        }.map(\.element)
    }

    private static func capture(_ text: Substring) -> Element {
        if text.hasSuffix("...") { return .rest(String(text.dropLast(3))) }
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { return .capture(String(text)) }
        let phrases = parts[1].split(separator: "|").map { PhraseTokens(String($0)).tokens.map(\.key) }
        // Longer phrases first: "stocks" must not be left with an "s", nor "大V" with a "V".
        return .named(String(parts[0]), phrases.sorted { $0.count > $1.count })
    }

    /// Token ranges of the captures, or nil when the pattern does not match all of `range`.
    /// - Parameter budget: pays for the steps; nothing matches when it is used up.
    func match(_ tokens: [PhraseToken], _ range: Range<Int>, _ budget: PhraseBudget) -> [String: Range<Int>]? {
        var matcher = Matcher(tokens: tokens, end: range.upperBound, maxSteps: min(Self.maxSteps, budget.left))
        defer { budget.steps.add(matcher.steps) }
        return matcher.match(elements[...], from: range.lowerBound, then: nil) ? matcher.captures : nil
    }

    /// What is left to match after a choice.
    private final class Continuation {
        let elements: ArraySlice<Element>
        let next: Continuation?

        init(_ elements: ArraySlice<Element>, _ next: Continuation?) {
            self.elements = elements
            self.next = next
        }
    }

    private struct Matcher {
        let tokens: [PhraseToken]
        let end: Int
        let maxSteps: Int
        var steps = 0
        var captures: [String: Range<Int>] = [:]

        init(tokens: [PhraseToken], end: Int, maxSteps: Int) {
            self.tokens = tokens
            self.end = end
            self.maxSteps = maxSteps
        }

        mutating func match(_ elements: ArraySlice<Element>, from position: Int, then next: Continuation?) -> Bool {
            steps += 1
            guard steps <= maxSteps else { return false }
            guard let first = elements.first else {
                guard let next else { return position == end }
                return match(next.elements, from: position, then: next.next)
            }
            let rest = elements.dropFirst()
            switch first {
            case .literal(let key):
                guard position < end, tokens[position].key == key else { return false }
                return match(rest, from: position + 1, then: next)
            case .choice(let alternatives, let isOptional):
                let after = Continuation(rest, next)
                for alternative in alternatives where match(alternative[...], from: position, then: after) {
                    return true
                }
                return isOptional && match(rest, from: position, then: next)
            case .anything:
                return (0...PhrasePattern.maxAnything).contains { count in
                    position + count <= end && match(rest, from: position + count, then: next)
                }
            case .rest(let name):
                guard position < end else { return false }
                captures[name] = position..<end
                return match(rest, from: end, then: next)
            case .capture(let name): return matchCapture(name, rest, position, next)
            case .named(let name, let phrases):
                for phrase in phrases where tokens[position..<end].lazy.map(\.key).starts(with: phrase) {
                    guard match(rest, from: position + phrase.count, then: next) else { continue }
                    captures[name] = position..<position + phrase.count
                    return true
                }
                return false
            }
        }

        private mutating func matchCapture(
            _ name: String, _ rest: ArraySlice<Element>, _ position: Int, _ next: Continuation?
        ) -> Bool {
            let longest = min(end - position, PhrasePattern.maxCapture)
            guard longest >= 1 else { return false }
            for count in 1...longest where match(rest, from: position + count, then: next) {
                captures[name] = position..<position + count
                return true
            }
            return false
        }
    }
}
