// Whether a text names a time zone of this machine. The scheduler reads its rules from the same files
// (/usr/share/zoneinfo), so what is accepted here can be scheduled there. Blocking (one small file); any thread.
import DurableFiles

public enum TimeZoneName {
    /// Where the system keeps its TZif files.
    public static let folder = "/usr/share/zoneinfo"
    /// Longest name, in characters.
    public static let maximumLength = 64
    /// Largest TZif file, in bytes (the system's biggest has under 4 KiB).
    private static let maximumFileSize = 1 << 16

    /// Whether the name has the shape of an IANA name: up to three parts of letters, digits, "_", "+" and "-", each
    /// beginning with a letter or digit. No such name can leave the folder.
    public static func isWellFormed(_ name: String) -> Bool {
        guard name.utf8.count <= maximumLength else { return false }
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard (1...3).contains(parts.count) else { return false }
        return parts.allSatisfy { part in
            guard let first = part.first, isAlphanumeric(first) else { return false }
            return part.allSatisfy { isAlphanumeric($0) || "_+-".utf8.contains($0) }
        }
    }

    /// Whether the machine has rules for the zone. "UTC" needs none and is always known.
    /// "posix/…" and "right/…" are second copies of the data (the latter counts leap seconds), not IANA names.
    @Sendable
    public static func isInstalled(_ name: String) -> Bool {
        if name == "UTC" { return true }
        guard isWellFormed(name), !name.hasPrefix("posix/"), !name.hasPrefix("right/") else { return false }
        do {
            return try LinuxFileSystem().readFile("\(folder)/\(name)", maxBytes: maximumFileSize)
                .starts(with: "TZif".utf8)
        } catch {
            // Older names such as "Asia/Calcutta" are links to the newer ones, which our file calls do not follow;
            // the two links that are no names point at this machine's own setting.
            return error.code == .symlink && !["localtime", "posixrules"].contains(name)
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (65...90).contains(byte) || (97...122).contains(byte) || (48...57).contains(byte)
    }
}
