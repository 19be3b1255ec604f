// Looks at YAML before the YAML parser does. Two things of YAML have no bound there: an anchor in a mapping's key is
// hashed with all that its aliases stand for, twice as much with each anchor ("billion laughs"), and collections nest so
// deep that the parser's recursion leaves a worker's stack of 1 MiB. Front matter needs neither. Pure; linear.

enum FrontMatterCheck {
    /// Brackets and braces in front matter, open or closed: they nest no deeper.
    static let maxBrackets = 64
    /// Columns before a line's text, and "- ", "? " and ": " before it, which nest like columns.
    static let maxIndent = 64

    /// - Throws: `Skill.Fault`. It does not know where quotation marks begin and end, so it errs on the safe side.
    static func check(_ yaml: String) throws(Skill.Fault) {
        var brackets = 0
        /// Columns so far of a line that had only blanks and indicators.
        var indent: Int? = 0
        var previous = UInt8(ascii: "\n")
        var bytes = Array(yaml.utf8)
        bytes.append(UInt8(ascii: "\n"))
        for (place, byte) in bytes.dropLast().enumerated() {
            let next = bytes[place + 1]
            if byte == UInt8(ascii: "&"), isBeforeNode(previous), !isBlank(next) {
                throw Skill.Fault(
                    detail: "the front matter must hold no YAML anchors (\"&name\"); leave a blank behind \"&\"")
            }
            if "[{".utf8.contains(byte) { brackets += 1 }
            guard brackets <= maxBrackets else {
                throw Skill.Fault(detail: "the front matter must hold at most \(maxBrackets) brackets")
            }
            if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                indent = 0
            } else if let columns = indent {
                let isIndicator = "-?:".utf8.contains(byte) && isBlank(next)
                indent = isBlank(byte) || isIndicator ? columns + 1 : nil
                guard columns < maxIndent else {
                    throw Skill.Fault(detail: "the front matter must not be indented by more than \(maxIndent) columns")
                }
            }
            previous = byte
        }
    }

    /// A node, and so an anchor, can begin behind white space and the indicators of flow collections.
    private static func isBeforeNode(_ byte: UInt8) -> Bool { isBlank(byte) || "[{,:]}\"'".utf8.contains(byte) }

    private static func isBlank(_ byte: UInt8) -> Bool { byte <= 0x20 }
}
