// Entries of a tar archive (POSIX.1-2001, "pax Interchange Format"): ustar headers, and a pax header where a name or a size
// does not fit one. Pure.
import Foundation

public enum TarArchive {
    private static let block = 512
    /// Two blocks of zeros end an archive.
    public static let end = [UInt8](repeating: 0, count: 2 * block)

    /// A regular file, whole.
    /// - Parameter modified: written in whole seconds.
    public static func file(_ path: String, _ content: [UInt8], modified: Date) -> [UInt8] {
        header(path, size: content.count, modified: modified) + content + padding(content.count)
    }

    /// The blocks in front of a file of `size` bytes; its bytes and `padding` follow.
    public static func header(_ path: String, size: Int, modified: Date) -> [UInt8] {
        let name = Array(path.utf8)
        let isPlain = name.count <= 100 && name.allSatisfy { (0x20..<0x7f).contains($0) }
        let isLarge = size > maximumSize
        let records = (isPlain ? [] : record("path", path)) + (isLarge ? record("size", String(size)) : [])
        var bytes: [UInt8] = []
        if !records.isEmpty {
            bytes += header(Array("pax".utf8), size: records.count, type: "x", modified) + records + padding(records.count)
        }
        let short = isPlain ? name : Array(name.filter { (0x20..<0x7f).contains($0) }.suffix(100))
        return bytes + header(short, size: isLarge ? 0 : size, type: "0", modified)
    }

    /// The zeros behind a file of `size` bytes.
    public static func padding(_ size: Int) -> [UInt8] { [UInt8](repeating: 0, count: (block - size % block) % block) }

    /// Bytes that eleven octal digits express.
    private static let maximumSize = 1 << 33 - 1

    /// "LENGTH KEY=VALUE\n", where the length counts itself.
    private static func record(_ key: String, _ value: String) -> [UInt8] {
        let rest = " \(key)=\(value)\n".utf8.count
        var length = rest + 1
        while rest + String(length).utf8.count != length { length = rest + String(length).utf8.count }
        return Array("\(length) \(key)=\(value)\n".utf8)
    }

    private static func header(_ name: [UInt8], size: Int, type: Character, _ modified: Date) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: block)
        func put(_ text: some Sequence<UInt8>, at offset: Int) {
            for (index, byte) in text.enumerated() { bytes[offset + index] = byte }
        }
        put(name, at: 0)
        put(octal(0o600, 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        put(octal(size, 11), at: 124)
        put(octal(Int(max(0, modified.timeIntervalSince1970)), 11), at: 136)
        put(repeatElement(UInt8(ascii: " "), count: 8), at: 148)
        put(type.utf8, at: 156)
        put("ustar\u{0}00".utf8, at: 257)
        let sum = bytes.reduce(0) { $0 + Int($1) }
        put(octal(sum, 6) + [0, UInt8(ascii: " ")], at: 148)
        return bytes
    }

    private static func octal(_ number: Int, _ digits: Int) -> [UInt8] {
        let text = String(number, radix: 8)
        return Array((String(repeating: "0", count: max(0, digits - text.utf8.count)) + text).utf8)
    }
}
