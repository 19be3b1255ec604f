// What the application in front of a user asks of an answer (OpenAI's system and developer messages), on its way through
// a job's metadata, whose values are short: in as many pieces as it takes. Pure; any thread.

import TextFormats

public enum ClientInstructions {
    public static let key = "instructions"
    /// Characters in all.
    public static let maximum = 96_000
    private static let piece = 2_000

    /// - Returns: nothing for an empty text; a text beyond the bound makes a metadata value the job's reader refuses.
    public static func metadata(_ text: String) -> JSONObject {
        guard !text.isEmpty else { return [:] }
        var members: JSONObject = [:]
        var rest = text.unicodeScalars[...]
        for number in 0..<(maximum / piece) where !rest.isEmpty {
            let isLast = number == maximum / piece - 1
            let next = isLast ? rest : rest.prefix(piece)
            rest = rest.dropFirst(next.count)
            members[name(number)] = .string(String(String.UnicodeScalarView(next)))
        }
        return members
    }

    public static func text(in metadata: [String: String]) -> String {
        (0..<(maximum / piece)).compactMap { metadata[name($0)] }.joined()
    }

    private static func name(_ number: Int) -> String { number == 0 ? key : "\(key).\(number)" }
}
