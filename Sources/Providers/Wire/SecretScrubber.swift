// Takes keys out of text that people will read. Providers echo keys in their error messages, whole or in part; those
// messages go into logs, status files and API answers. Pure.

/// Knows what must not be seen.
struct SecretScrubber: Sendable {
    /// A secret shorter than this would blank out ordinary words.
    private static let shortestSecret = 6
    /// The longest text let through, in characters.
    static let maxLength = 500

    private let secrets: [String]

    init(_ secrets: [String]) {
        self.secrets = secrets.filter { $0.count >= Self.shortestSecret }.sorted { $0.count > $1.count }
    }

    /// `text` without the secrets and without anything that has the shape of a key, cut to `maxLength`.
    func scrub(_ text: String) -> String {
        // Cut first, with room for what is replaced: the work is bounded whatever the server sent. Code points, because one
        // character may have any number of them.
        var result = String(String.UnicodeScalarView(text.unicodeScalars.prefix(Self.maxLength * 4)))
        for secret in secrets {
            result = result.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "[key]")
        }
        result = result.replacing(/(sk|pk|key|gsk|xai|AIza)[-_][A-Za-z0-9_*.\-]{8,}/, with: "[key]")
        result = result.replacing(/(?i)bearer\s+[A-Za-z0-9_.\-+\/=]{6,}/, with: "Bearer [key]")
        result = String(result.map { $0.isNewline ? " " : $0 })
        return result.count <= Self.maxLength ? result : result.prefix(Self.maxLength) + "…"
    }
}
