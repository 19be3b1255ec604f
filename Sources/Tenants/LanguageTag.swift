// The shape of a language tag as preferences and job files accept it. Pure; any thread.

public enum LanguageTag {
    /// Longest tag, in characters (BCP 47 suggests room for 35).
    public static let maximumLength = 35

    /// Whether `tag` matches `^[a-zA-Z]{2,3}(-[A-Za-z0-9]{2,8})*$`: the shape of BCP 47, not its registry.
    public static func isWellFormed(_ tag: String) -> Bool {
        guard tag.utf8.count <= maximumLength else { return false }
        let parts = tag.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard let first = parts.first, (2...3).contains(first.count), first.allSatisfy(isLetter) else { return false }
        return parts.dropFirst().allSatisfy { part in
            (2...8).contains(part.count) && part.allSatisfy { isLetter($0) || (48...57).contains($0) }
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (65...90).contains(byte) || (97...122).contains(byte)
    }
}
