// Cutting a Markdown text to a length without breaking a character, a code fence or, where it can be helped, a line.
// Pure, any thread. Lengths are in Unicode code points: no reader who counts in code points, characters or UTF-16 is
// promised a longer text than the bound (UTF-16 excepted for characters outside the basic plane).

public enum ReportText {
    /// The whole text if it fits, else its beginning with a note that it was cut. Never longer than `limit`.
    public static func truncated(_ text: String, to limit: Int, language: String) -> String {
        guard text.unicodeScalars.count > limit else { return text }
        let isChinese = language.lowercased().hasPrefix("zh")
        let note = isChinese ? "\n\n*（超过 \(limit) 字，后文已省略）*" : "\n\n*(cut at \(limit) characters)*"
        let room = limit - note.unicodeScalars.count
        guard room > note.unicodeScalars.count else { return String(prefix(text, limit)) }
        // A fence that stays open would swallow the note: four code points close it.
        var kept = lineEnd(prefix(text, room - Self.closingFence.unicodeScalars.count))
        if hasOpenFence(kept) { kept += Self.closingFence }
        return kept + note
    }

    private static let closingFence = "\n```"

    /// The longest run of whole characters within `limit` code points.
    private static func prefix(_ text: String, _ limit: Int) -> Substring {
        var left = max(0, limit)
        var end = text.startIndex
        while end < text.endIndex {
            left -= text[end].unicodeScalars.count
            if left < 0 { break }
            end = text.index(after: end)
        }
        return text[..<end]
    }

    /// Cuts back to the last line end, or else sentence or word end, if that costs less than a fifth of the text. Looks at
    /// code points: going back over characters costs a look at every flag of a row of flags, for each of them.
    private static func lineEnd(_ text: Substring) -> String {
        let scalars = text.unicodeScalars
        let earliest = scalars.index(scalars.startIndex, offsetBy: scalars.count * 4 / 5)
        for marks in ["\n", "。！？.!?", " "] {
            let wanted = marks.unicodeScalars
            if let index = scalars[earliest...].lastIndex(where: { wanted.contains($0) }) {
                let end = wanted.count == 1 ? index : scalars.index(after: index)
                return String(text[..<end])
            }
        }
        return String(text)
    }

    private static func hasOpenFence(_ text: String) -> Bool {
        var isOpen = false
        for line in text.split(separator: "\n") where line.hasPrefix("```") { isOpen.toggle() }
        return isOpen
    }
}
