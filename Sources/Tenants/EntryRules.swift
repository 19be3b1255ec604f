// The rules for short texts people enter: one line, printable, trimmed, bounded. Used by everything in this room
// that takes such texts, whether they come as JSON or as Swift values. Pure; any thread; throws FieldError.
import TextFormats

enum EntryRules {
    /// Most entries of one list.
    static let maximumEntries = 500
    /// Longest entry of a list, in Unicode scalars.
    static let maximumEntryLength = 100
    /// Longest single text such as `persona.risk_preference`, in Unicode scalars.
    static let maximumTextLength = 200
    /// What a list may have before it is trimmed and deduplicated; keeps the work bounded.
    static let maximumRawEntries = 4 * maximumEntries
    static let maximumRawLength = 4 * maximumEntryLength

    /// Whether a scalar shows something (or is a plain space): no controls, no line or paragraph separators, no
    /// unassigned or private ones, and of the invisible format characters only the joiners that emoji and Indic and
    /// Arabic scripts need (the others can hide or reorder text).
    static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: false
        case .format: scalar == "\u{200C}" || scalar == "\u{200D}"
        default: true
        }
    }

    /// Entries trimmed and deduplicated (the first of equals stays), each 1 to 100 printable characters, at most 500.
    static func list(_ entries: [String], field: String) throws(FieldError) -> [String] {
        guard entries.count <= maximumRawEntries else { throw tooMany(field) }
        var seen: Set<[UInt8]> = []
        var kept: [String] = []
        for (index, raw) in entries.enumerated() {
            let entry = trimmed(raw)
            try check(entry, field: "\(field)[\(index)]", maximum: maximumEntryLength)
            guard !entry.isEmpty else {
                throw FieldError(field: "\(field)[\(index)]", detail: "must not be empty")
            }
            if seen.insert(Array(entry.utf8)).inserted { kept.append(entry) }
        }
        guard kept.count <= maximumEntries else { throw tooMany(field) }
        return kept
    }

    /// One text, trimmed, at most 200 printable characters; empty is allowed and means "not set".
    static func text(_ raw: String, field: String, maximum: Int = maximumTextLength) throws(FieldError) -> String {
        let text = trimmed(raw)
        try check(text, field: field, maximum: maximum)
        return text
    }

    private static func check(_ text: String, field: String, maximum: Int) throws(FieldError) {
        guard text.unicodeScalars.count <= maximum else {
            throw FieldError(field: field, detail: "must have at most \(maximum) characters")
        }
        guard text.unicodeScalars.allSatisfy(isPrintable) else {
            throw FieldError(field: field, detail: "must have only printable characters, in one line")
        }
    }

    private static func tooMany(_ field: String) -> FieldError {
        FieldError(field: field, detail: "must have at most \(maximumEntries) entries")
    }

    private static func trimmed(_ text: String) -> String {
        let scalars = text.unicodeScalars
        let start = scalars.drop { $0.properties.isWhitespace }
        guard let last = start.lastIndex(where: { !$0.properties.isWhitespace }) else { return "" }
        return String(String.UnicodeScalarView(start[...last]))
    }

    /// The dotted path of a key inside `path`.
    static func join(_ path: String, _ key: String) -> String {
        path.isEmpty ? key : "\(path).\(key)"
    }
}
