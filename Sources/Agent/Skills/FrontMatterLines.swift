// Front matter read line by line, for what is no YAML although its meaning is plain: a colon, "[", "@", "*", "&" or "#" at a
// place of a description where YAML gives it a meaning of its own, tabs before a key, a quotation mark that is not the last.
// A key and what belongs to it are a block; only the blocks of the keys a skill needs are read. Pure; linear; any thread.
import Foundation
import Yams

struct FrontMatterLines: Sendable {
    /// Keys of the skills of this and other assistants: behind an empty line, only these begin a block of front matter.
    static let known: Set<String> = [
        "name", "description", "always", "requires", "metadata", "license", "version", "author", "homepage",
        "allowed-tools", "compatibility",
    ]
    /// Keys whose values are text, whatever YAML makes of it.
    private static let texts: Set<String> = ["name", "description"]

    private struct Block: Sendable {
        /// Behind the colon, on the same line.
        var value: String
        var more: [String] = []
    }

    private var blocks: [String: Block] = [:]
    /// Lines that belong to no text: what YAML's bounds hold for.
    private(set) var others: [String] = []
    /// Lines that say nothing which could be understood, and keys that come twice.
    private(set) var problems: [String] = []

    init(_ lines: [String]) {
        var current: String?
        let base = lines.first { !$0.isBlankLine }.map(Self.indent) ?? 0
        for (place, line) in lines.enumerated() {
            let found = Self.key(of: line)
            if let found, Self.indent(line) <= base || startsBlock(found.key, behind: current) {
                current = found.key
                if blocks[found.key] == nil {
                    blocks[found.key] = Block(value: found.value)
                } else {
                    current = nil
                    if Self.known.contains(found.key) { problems.append("\(found.key) is there twice; the first counts") }
                }
                if !Self.texts.contains(found.key) { others.append(line) }
                continue
            }
            if line.isBlankLine || (Self.indent(line) <= base && line.trimmedBlanks.hasPrefix("#")) { continue }
            if let current, belongs(line, to: current, base) {
                blocks[current]?.more.append(line)
                if !Self.texts.contains(current) { others.append(line) }
                continue
            }
            others.append(line)
            if Self.indent(line) <= base {
                problems.append("line \(place + 1) of the front matter is not understood: \(line.prefix(60))")
            }
        }
    }

    /// A key indented under a key that has its value already cannot be a part of that value.
    private func startsBlock(_ key: String, behind current: String?) -> Bool {
        guard ["name", "description", "always", "requires"].contains(key), let current, key != current,
            ["name", "description", "always"].contains(current), let value = blocks[current]?.value
        else { return false }
        return !value.isEmpty && !Self.isBlockHead(value)
    }

    private func belongs(_ line: String, to key: String, _ base: Int) -> Bool {
        if Self.indent(line) > base { return true }
        guard Self.texts.contains(key) else { return "-[]{}".contains(line.first ?? " ") }
        // The rest of a description that was broken at the margin.
        return line.first?.isLetter == true || line.first?.isNumber == true
    }

    // MARK: - Values

    /// The text of `name` or `description`: as YAML reads that block, else as it is written. nil: there is none.
    func text(_ key: String) -> String? {
        guard let block = blocks[key] else { return nil }
        if !isPlainText(key), let text = node(key)?.scalar?.string.trimmedBlanks, !text.isEmpty { return text }
        var first = Self.isBlockHead(block.value) ? "" : block.value
        // White space behind the sign makes it a comment; a word makes it the number of a ticket.
        if first.hasPrefix("# ") || first == "#" { first = "" }
        if let comment = first.range(of: " # ") { first = String(first[..<comment.lowerBound]) }
        let words = ([first] + block.more).map(\.trimmedBlanks).filter { !$0.isEmpty }.joined(separator: " ")
        let text = Self.unquoted(words)
        return text.isEmpty ? nil : text
    }

    /// Whether YAML would read the value and lose a part of it: a word that begins with "#", which is a comment for YAML and a
    /// tag or a number for people, or a "!" in front.
    func isPlainText(_ key: String) -> Bool {
        guard let value = blocks[key]?.value, let first = value.first, !"\"'|>".contains(first) else { return false }
        return first == "!" || value.split(whereSeparator: \.isWhitespace).contains { $0.hasPrefix("#") && $0.count > 1 }
    }

    func has(_ key: String) -> Bool { blocks[key] != nil }

    /// The value of a key as YAML reads its block alone; nil where YAML does not.
    func node(_ key: String) -> Node? {
        guard let block = blocks[key] else { return nil }
        let yaml = "\(key): \(block.value)\n" + block.more.map { Self.withoutTabs($0) + "\n" }.joined()
        // A block that is no YAML is read another way, or named, by the caller.
        guard (try? FrontMatterCheck.check(yaml)) != nil, let node = try? Yams.compose(yaml: yaml) else { return nil }
        return node.mapping?[key]
    }

    // MARK: -

    /// The key a line begins with, in lower case, and what is behind its colon. The wide colon is that of Chinese keyboards.
    static func key(of line: String) -> (key: String, value: String)? {
        let text = line.trimmedBlanks
        guard let colon = text.firstIndex(where: { $0 == ":" || $0 == "：" }) else { return nil }
        let key = text[..<colon].trimmedBlanks
        let rest = text[text.index(after: colon)...]
        let isKey =
            key.first?.isASCII == true && key.first?.isLetter == true && key.utf8.count <= 64
            && key.utf8.allSatisfy { byte in
                (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2d
                    || byte == 0x5f
            }
        // "https://…" is no key.
        guard isKey, rest.isEmpty || rest.first?.isWhitespace == true || text[colon] == "：" || known.contains(key.lowercased()),
            !rest.hasPrefix("//")
        else { return nil }
        return (key.lowercased(), rest.trimmedBlanks)
    }

    private static func indent(_ line: String) -> Int { line.prefix(while: \.isWhitespace).count }

    private static func withoutTabs(_ line: String) -> String {
        let blanks = line.prefix(while: \.isWhitespace)
        return String(blanks.flatMap { $0 == "\t" ? "  " : " " }) + line[blanks.endIndex...]
    }

    /// "|" or ">", with or without a sign and a number: the text is in the lines below.
    private static func isBlockHead(_ value: String) -> Bool {
        (value.first == "|" || value.first == ">") && value.dropFirst().allSatisfy { "+-0123456789".contains($0) }
    }

    private static func unquoted(_ text: String) -> String {
        guard text.count >= 2, let mark = text.first, "\"'".contains(mark), text.last == mark else { return text }
        return text.dropFirst().dropLast().trimmedBlanks
    }
}
