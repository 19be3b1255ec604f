// What the drop box has to say, for the log. Pure values; any thread.

import Spool

/// One thing that happened to one dropped file. Names are escaped: a log line stays one line.
public enum DropNotice: Sendable, Hashable {
    case accepted(name: String, id: JobID, isNew: Bool)
    case rejected(name: String, code: String, detail: String)
    /// Not taken: it stays where it lies. Said once for each file.
    case left(name: String, reason: String)
    /// Something passing is in the way; the file is tried again. Said once for each file or folder.
    case delayed(name: String, reason: String)
    /// The box could not be looked into; tried again.
    case failing(reason: String)
}

public enum DropName {
    /// The longest name the kernel takes, in bytes.
    static let maxBytes = 255
    static let errorSuffix = ".error.json"

    /// What is still being written by somebody's convention, or is meant for nobody.
    public static func isHidden(_ name: String) -> Bool {
        name.hasPrefix(".") || name.hasSuffix(".tmp") || name.hasSuffix(".part")
    }

    public static func isJob(_ name: String) -> Bool { name.hasSuffix(".json") && name.utf8.count > 5 }

    /// `<stem>~<id>.json`, cut so that `room` more bytes still fit.
    static func numbered(_ name: String, _ id: JobID, room: Int = 0) -> String {
        let tail = "~\(id).json"
        let stem = name.hasSuffix(".json") ? String(name.dropLast(5)) : name
        return cut(stem, maxBytes - room - tail.utf8.count) + tail
    }

    /// The longest start of `text` of at most `count` bytes that cuts no scalar in two.
    static func cut(_ text: String, _ count: Int) -> String {
        guard text.utf8.count > count else { return text }
        var kept = String.UnicodeScalarView()
        var bytes = 0
        for scalar in text.unicodeScalars {
            bytes += UTF8.width(scalar)
            if bytes > count { break }
            kept.append(scalar)
        }
        return String(kept)
    }

    /// For the log: control characters and what hides or reorders text become `\u{…}`.
    static func escaped(_ name: String) -> String {
        var text = ""
        for scalar in name.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned, .surrogate:
                text += "\\u{\(String(scalar.value, radix: 16))}"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}

/// A file's name as the kernel sees it: bytes. Swift's strings call "é" and "e" with an accent equal; files are not.
struct FileName: Hashable, Sendable {
    let bytes: [UInt8]

    init(_ name: String) { bytes = Array(name.utf8) }
    init(bytes: [UInt8]) { self.bytes = bytes }
}
