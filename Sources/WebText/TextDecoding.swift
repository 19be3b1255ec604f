// From bytes and what is said about them to text: byte order mark, then the header's charset, then the document's own
// declaration, then UTF-8 if the bytes are UTF-8, else windows-1252 (the order of the Encoding and HTML Standards).
// Pure; any thread; never fails: bytes an encoding does not have become U+FFFD.
import Foundation

public enum TextDecoding {
    /// Bytes in which a document may declare its charset.
    private static let declarationBytes = 1_024

    /// - Parameter contentType: the `Content-Type` header, if there was one.
    public static func text(_ bytes: [UInt8], contentType: String?) -> String {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { return String(decoding: bytes.dropFirst(3), as: UTF8.self) }
        if bytes.starts(with: [0xFE, 0xFF]) { return utf16(bytes.dropFirst(2), isBigEndian: true) }
        if bytes.starts(with: [0xFF, 0xFE]) { return utf16(bytes.dropFirst(2), isBigEndian: false) }
        let named = contentType.flatMap(MediaType.init)?.charset ?? declared(bytes)
        if let named, let text = decode(bytes, named) { return text }
        // Cut at a byte limit the last character may be torn: that must not change the encoding of the rest.
        if isUTF8(bytes) { return String(decoding: bytes, as: UTF8.self) }
        return Windows1252.text(bytes)
    }

    private static func isUTF8(_ bytes: [UInt8]) -> Bool {
        if String(validating: bytes, as: UTF8.self) != nil { return true }
        return (1...3).contains { cut in
            let whole = bytes.dropLast(cut)
            return whole.contains { $0 >= 0x80 } && String(validating: whole, as: UTF8.self) != nil
        }
    }

    private static func decode(_ bytes: [UInt8], _ label: String) -> String? {
        switch label {
        case "utf-8", "utf8", "unicode-1-1-utf-8": return String(decoding: bytes, as: UTF8.self)
        case "utf-16le", "utf-16": return utf16(bytes[...], isBigEndian: false)
        case "utf-16be": return utf16(bytes[...], isBigEndian: true)
        case "windows-1252", "cp1252", "iso-8859-1", "iso8859-1", "latin1", "l1", "us-ascii", "ascii":
            return Windows1252.text(bytes)
        default: break
        }
        guard let number = encodings[label] else { return nil }
        let encoding = String.Encoding(rawValue: number)
        if let text = String(data: Data(bytes), encoding: encoding) { return text }
        // The last character may be torn by a size limit, or a page may hold a few bad bytes: decode what can be.
        for cut in 1...3 where bytes.count > cut {
            if let text = String(data: Data(bytes.dropLast(cut)), encoding: encoding) { return text + "\u{FFFD}" }
        }
        return lossy(bytes[...], encoding)
    }

    /// Halves of a text that cannot be decoded whole, again and again: after so many halvings a part that still holds a
    /// bad byte keeps its ASCII only. So a byte is decoded at most so many times, and no line costs a decoder of its own.
    private static let maxHalvings = 10

    /// Part by part, cut at line ends, so that a bad byte costs only the characters near it their accents.
    private static func lossy(_ bytes: ArraySlice<UInt8>, _ encoding: String.Encoding, _ halvings: Int = 0) -> String {
        if halvings > 0, let text = String(data: Data(bytes), encoding: encoding) { return text }
        let middle = bytes.startIndex + bytes.count / 2
        let cut = bytes[middle...].firstIndex(of: 0x0A) ?? bytes[..<middle].lastIndex(of: 0x0A)
        guard halvings < maxHalvings, let cut else {
            return String(decoding: bytes.map { $0 < 0x80 ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
        }
        return lossy(bytes[..<cut], encoding, halvings + 1) + "\n" + lossy(bytes[(cut + 1)...], encoding, halvings + 1)
    }

    private static func utf16(_ bytes: ArraySlice<UInt8>, isBigEndian: Bool) -> String {
        let start = bytes.startIndex
        let units = (0..<(bytes.count / 2)).map { index -> UInt16 in
            let (a, b) = (UInt16(bytes[start + 2 * index]), UInt16(bytes[start + 2 * index + 1]))
            return isBigEndian ? a << 8 | b : b << 8 | a
        }
        return String(decoding: units, as: UTF16.self)
    }

    /// `<meta charset>`, `<meta http-equiv content>` or an XML declaration, within the first bytes.
    private static func declared(_ bytes: [UInt8]) -> String? {
        let start = Array(bytes.prefix(declarationBytes))
        let head = String(decoding: start, as: UTF8.self)
        if head.hasPrefix("<?xml"), let end = head.range(of: "?>"),
            let mark = head[..<end.lowerBound].range(of: "encoding=")
        {
            let value = head[mark.upperBound..<end.lowerBound].dropFirst()
            return label(String(value.prefix { $0 != "\"" && $0 != "'" }))
        }
        var tokenizer = HTMLTokenizer(start)
        while let token = tokenizer.next() {
            guard case .startTag("meta", let attributes, _) = token else { continue }
            if let charset = attributes["charset"] { return label(charset) }
            if attributes["http-equiv"]?.lowercased() == "content-type",
                let charset = attributes["content"].flatMap(MediaType.init)?.charset
            {
                return label(charset)
            }
        }
        return nil
    }

    /// A declaration that can be read as ASCII is not in UTF-16, whatever it says.
    private static func label(_ text: String) -> String {
        let label = text.trimmingCharacters(in: .whitespaces).lowercased()
        return label.hasPrefix("utf-16") ? "utf-8" : label
    }

    /// Foundation's numbers (NSStringEncoding; with the high bit, CFStringEncodings) for labels of the Encoding
    /// Standard.
    private static let encodings: [String: UInt] = [
        "gbk": 0x8000_0632, "gb2312": 0x8000_0632, "gb18030": 0x8000_0632, "x-gbk": 0x8000_0632,
        "big5": 0x8000_0A03, "big5-hkscs": 0x8000_0A03, "shift_jis": 8, "shift-jis": 8, "sjis": 8, "windows-31j": 8,
        "euc-jp": 3, "euc-kr": 0x8000_0940, "ks_c_5601-1987": 0x8000_0940, "koi8-r": 0x8000_0A02,
        "windows-1251": 11, "windows-1253": 13, "windows-1254": 14, "windows-1250": 15, "iso-8859-2": 9,
        "iso-8859-15": 0x8000_020F, "windows-874": 0x8000_041D, "tis-620": 0x8000_041D,
    ]
}

/// A `Content-Type`: type, subtype and charset, in lower case.
public struct MediaType: Sendable, Hashable {
    /// Such as "text/html".
    public var essence: String
    public var charset: String?

    /// nil when it names no type.
    public init?(_ header: String) {
        let parts = header.split(separator: ";")
        guard let first = parts.first else { return nil }
        essence = first.trimmingCharacters(in: .whitespaces).lowercased()
        guard essence.split(separator: "/", omittingEmptySubsequences: false).count == 2 else { return nil }
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard pair.count == 2, pair[0].lowercased() == "charset" else { continue }
            charset = pair[1].trimmingCharacters(in: CharacterSet(charactersIn: "\"'")).lowercased()
        }
    }
}

enum Windows1252 {
    static func text(_ bytes: [UInt8]) -> String {
        var scalars = String.UnicodeScalarView()
        for byte in bytes { scalars.append(scalar(byte)) }
        return String(scalars)
    }

    static func scalar(_ byte: UInt8) -> Unicode.Scalar {
        guard (0x80...0x9f).contains(byte) else { return Unicode.Scalar(byte) }
        return Unicode.Scalar(high[Int(byte) - 0x80]) ?? "\u{FFFD}"
    }

    /// 0x80 … 0x9F (Encoding Standard, index windows-1252).
    private static let high: [UInt32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,
        0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0x9D, 0x017E, 0x0178,
    ]
}
