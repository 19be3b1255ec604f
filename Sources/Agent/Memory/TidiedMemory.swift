// Whether a model's shorter text may take the place of MEMORY.md: only a list that keeps most of the facts, above all
// the newest. What a model says instead (a refusal, a page, half a text, words about the task) is no memory. Pure.
import Foundation

struct TidiedMemory {
    /// Of the newest facts, so many are looked at by themselves.
    private static let newest = 10
    /// The part of the facts that must be there in other or the same words.
    private static let least = 0.5

    private let old: [String]
    private let size: Int
    /// In how many of the old facts a term is.
    private let frequencies: [String: Int]

    init(of memory: String) {
        old = Self.facts(memory)
        size = memory.count
        frequencies = old.reduce(into: [:]) { counts, fact in
            for term in Set(Self.terms(fact)) { counts[term, default: 0] += 1 }
        }
    }

    /// The terms that tell a fact from the others; all of them where none does.
    private func telling(_ fact: String) -> Set<String> {
        let all = Set(Self.terms(fact))
        let rare = all.filter { frequencies[$0, default: 0] <= max(1, old.count / 10) }
        return rare.isEmpty ? all : rare
    }

    /// - Parameters:
    ///   - answer: of the model.
    ///   - limit: characters of the new text.
    /// - Returns: the new text; nil: the answer is not taken.
    func text(from answer: String, limit: Int) -> String? {
        let lines = Self.body(of: answer)
        let text = lines.joined(separator: "\n").trimmingCharacters(in: .whitespacesAndNewlines)
        guard !text.isEmpty, text.count <= limit, text.count < size, !Self.isMarkup(answer) else { return nil }
        let facts = Self.facts(text)
        guard facts.count * 2 >= lines.count(where: { !$0.allSatisfy(\.isWhitespace) && !$0.hasPrefix("#") }) else { return nil }
        let terms = Set(facts.flatMap(Self.terms))
        func kept(_ facts: [String]) -> Double {
            let kept = facts.count { fact in
                let own = telling(fact)
                return own.isEmpty || Double(own.intersection(terms).count) >= Double(own.count) * 0.5
            }
            return facts.isEmpty ? 1 : Double(kept) / Double(facts.count)
        }
        // A memory many times as long as it may be cannot keep half of its facts.
        let share = Self.least * min(1, 2 * Double(limit) / Double(max(size, 1)))
        guard kept(old) >= share, kept(Array(old.suffix(Self.newest))) >= Self.least else { return nil }
        return text
    }

    /// The answer without a fence around it and without the sentences in front of the list.
    private static func body(of answer: String) -> [Substring] {
        let lines = answer.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("```") }
        guard let first = lines.firstIndex(where: { $0.hasPrefix("#") || isEntry($0) }) else { return [] }
        return Array(lines[first...])
    }

    private static func isEntry(_ line: Substring) -> Bool {
        let line = line.drop(while: \.isWhitespace)
        return line.hasPrefix("- ") || line.hasPrefix("* ")
    }

    private static func isMarkup(_ text: String) -> Bool {
        let text = text.lowercased()
        return ["<html", "<!doctype", "<body", "<div"].contains { text.contains($0) }
    }

    /// The entries; of a text without any, its paragraphs.
    private static func facts(_ text: String) -> [String] {
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") && !$0.allSatisfy(\.isWhitespace) }
        let entries = lines.filter(isEntry)
        // The date in front tells no fact from another.
        return (entries.isEmpty ? lines : entries).map { String($0).replacing(/^\s*[-*] (\d{4}-\d\d-\d\d:)?/, with: "") }
    }

    /// Words and numbers; of scripts without spaces, pairs of characters.
    private static func terms(_ fact: String) -> [String] {
        var terms: [String] = []
        for word in fact.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber }) {
            let isWide = word.unicodeScalars.contains { $0.value >= 0x2E80 }
            guard isWide, word.count > 1 else {
                if word.count > 2 || word.contains(where: \.isNumber) { terms.append(String(word)) }
                continue
            }
            let letters = Array(word)
            for index in 0..<(letters.count - 1) { terms.append(String(letters[index...(index + 1)])) }
        }
        return terms
    }
}
