// The name of a tenant: it is a folder name, a path segment of the API and part of job file names, so it is
// checked once, here, and can be used everywhere without escaping. A value; any thread.

public struct UserID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Longest id, in characters (all ASCII, so also in bytes).
    public static let maximumLength = 64

    /// Names no user may have. Three groups, each because sharing it would give one person another's rights or data:
    /// - the operator and the service in tokens, logs and audit lines: admin, root, system, nanobot, api
    /// - words the interfaces read as "whoever calls" or "everybody": me, all
    /// - what broken clients send when they have no id; accepting one would pool strangers: default, anonymous,
    ///   null, undefined
    public static let reserved: Set<String> = [
        "admin", "root", "system", "nanobot", "api",
        "me", "all",
        "default", "anonymous", "null", "undefined",
    ]

    public let rawValue: String

    /// - Throws: `.invalidUserID` unless `raw` matches `^[a-z0-9][a-z0-9_-]{0,63}$` and is not reserved.
    public init(_ raw: String) throws(TenantError) {
        guard Self.isWellFormed(raw) else {
            throw TenantError(
                .invalidUserID,
                "A user id has 1 to \(Self.maximumLength) characters: lower-case letters a-z, digits, \"_\" and \"-\", "
                    + "the first one a letter or digit.",
                field: "user_id")
        }
        guard !Self.reserved.contains(raw) else {
            throw TenantError(
                .invalidUserID, "The user id \"\(raw)\" is reserved. Choose another one.", field: "user_id")
        }
        rawValue = raw
    }

    public var description: String { rawValue }

    public static func < (left: UserID, right: UserID) -> Bool { left.rawValue < right.rawValue }

    /// Whether a name found in the workspaces folder is that of a user; builds no error for those that are not.
    static func isValid(_ name: String) -> Bool { isWellFormed(name) && !reserved.contains(name) }

    private static func isWellFormed(_ name: String) -> Bool {
        let bytes = name.utf8
        guard let first = bytes.first, isAlphanumeric(first), bytes.count <= maximumLength else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
