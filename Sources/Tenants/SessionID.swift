// The name of one conversation of one user, chosen by the client. It becomes a file name and part of the key that
// keeps a conversation's jobs in order, so both mappings are injective: two different ids never meet in one file.
// A value; any thread.
import TextFormats

/// Identity is the exact sequence of bytes: an id is opaque, so "é" as one scalar and as two are different ids
/// (Swift's String equality would call them equal while their files differ).
public struct SessionID: Hashable, Sendable, CustomStringConvertible {
    /// Longest id, in Unicode scalars.
    public static let maximumLength = 128
    /// Longest `fileName` in bytes; leaves room below NAME_MAX (255) for suffixes such as ".corrupt-<time>".
    public static let maximumFileNameLength = 200

    /// The session of a chat that names none.
    public static let standard = SessionID(unchecked: "default")

    public let rawValue: String

    /// - Throws: `.invalidSessionID` unless `raw` has 1 to 128 printable characters, not all of them spaces.
    public init(_ raw: String) throws(TenantError) {
        let scalars = raw.unicodeScalars
        guard !scalars.isEmpty, scalars.count <= Self.maximumLength,
            scalars.allSatisfy(EntryRules.isPrintable), !scalars.allSatisfy({ $0.properties.isWhitespace })
        else {
            throw TenantError(
                .invalidSessionID,
                "A session id has 1 to \(Self.maximumLength) printable characters, not only spaces.",
                field: "session_id")
        }
        rawValue = raw
    }

    private init(unchecked raw: String) { rawValue = raw }

    public static func == (left: SessionID, right: SessionID) -> Bool {
        left.rawValue.utf8.elementsEqual(right.rawValue.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        for byte in rawValue.utf8 { hasher.combine(byte) }
    }

    public var description: String { rawValue }

    // MARK: - File name

    private static let suffix = ".jsonl"
    private static let hashMark: Character = "+"

    /// The name of the session's file: injective, the same on file systems that ignore case, never beginning with a
    /// dot or a dash, at most 200 bytes, ending in ".jsonl".
    ///
    /// Lower-case letters, digits, "_" and "-" stand for themselves, every other byte (and a "-" in front) is "="
    /// and two hex digits. Ids whose escaped form is too long are "+" and their SHA-256; "+" begins no escaped form.
    public var fileName: String {
        let escaped = Self.escape(rawValue.utf8)
        let limit = Self.maximumFileNameLength - Self.suffix.utf8.count
        if escaped.utf8.count <= limit { return escaped + Self.suffix }
        return String(Self.hashMark) + Fingerprint.sha256Hex(Array(rawValue.utf8)) + Self.suffix
    }

    /// The id a file name stands for, or nil when it is no session's or a hashed one (whose id only the file knows).
    public init?(fileName: String) {
        // A text that is no id is no session's name either, whatever the reason.
        guard fileName.hasSuffix(Self.suffix), let bytes = Self.unescape(fileName.dropLast(Self.suffix.count).utf8),
            let text = String(validating: bytes, as: UTF8.self), let id = try? SessionID(text),
            id.fileName == fileName
        else { return nil }
        self = id
    }

    private static func stands(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func escape(_ bytes: String.UTF8View) -> String {
        var name: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if stands(byte), index > 0 || byte != UInt8(ascii: "-") {
                name.append(byte)
            } else {
                name.append(UInt8(ascii: "="))
                name += Fingerprint.hex([byte]).utf8
            }
        }
        return String(decoding: name, as: UTF8.self)
    }

    private static func unescape(_ name: Substring.UTF8View) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = name[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "=") {
                guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
                rest = rest.dropFirst(2)
                bytes.append(value)
            } else if stands(byte) {
                bytes.append(byte)
            } else {
                return nil
            }
        }
        return bytes
    }

    // MARK: - Order key

    /// The key under which the spool keeps this conversation's jobs in order: 32 hex digits of a SHA-256.
    /// It contains the user's incarnation, so a user made anew under the same id meets none of the old jobs.
    public func orderKey(user: UserID, incarnation: String) -> String {
        // User ids and incarnations cannot contain a NUL, so the joined text is unambiguous.
        let text = "\(user.rawValue)\0\(incarnation)\0" + rawValue
        return String(Fingerprint.sha256Hex(Array(text.utf8)).prefix(32))
    }
}
