// Trimming and searching of long texts without Foundation's NSString, which turns a whole text into UTF-16 and back for it.
// What is found is found byte by byte: no other spelling of the same characters counts. Pure; any thread.

import Foundation

extension StringProtocol {
    /// Without white space and newlines (Unicode's White_Space) at its ends.
    public func trimmed() -> String {
        let scalars = unicodeScalars
        var (start, end) = (scalars.startIndex, scalars.endIndex)
        while start < end, scalars[start].isBlank { start = scalars.index(after: start) }
        while start < end, scalars[scalars.index(before: end)].isBlank { end = scalars.index(before: end) }
        return String(self[start..<end])
    }
}

extension Unicode.Scalar {
    fileprivate var isBlank: Bool {
        value < 0x80 ? value == 0x20 || (0x09...0x0D).contains(value) : properties.isWhitespace
    }
}

extension String {
    /// The first place of a text behind an index.
    public func firstRange(ofBytes text: String, from index: Index? = nil) -> Range<Index>? {
        let start = utf8.distance(from: startIndex, to: index ?? startIndex)
        return Array(utf8)[start...].firstRange(ofBytes: Array(text.utf8)).map(range)
    }

    /// The last place of a text.
    public func lastRange(ofBytes text: String) -> Range<Index>? {
        let (bytes, searched) = (Array(utf8), Array(text.utf8))
        var last: Range<Int>?
        while let next = bytes[(last.map { $0.lowerBound + 1 } ?? 0)...].firstRange(ofBytes: searched) { last = next }
        return last.map(range)
    }

    private func range(_ bytes: Range<Int>) -> Range<Index> {
        utf8.index(startIndex, offsetBy: bytes.lowerBound)..<utf8.index(startIndex, offsetBy: bytes.upperBound)
    }
}

extension ArraySlice<UInt8> {
    /// The first place of these bytes, which are at least one.
    public func firstRange(ofBytes searched: [UInt8]) -> Range<Int>? {
        withUnsafeBytes { all in
            searched.withUnsafeBytes { wanted in
                guard let base = all.baseAddress, let text = wanted.baseAddress else { return nil }
                var offset = 0
                while offset + wanted.count <= all.count,
                    let found = memchr(base + offset, Int32(wanted[0]), all.count - wanted.count - offset + 1)
                {
                    offset = UnsafeRawPointer(found) - base
                    guard memcmp(base + offset, text, wanted.count) != 0 else {
                        return startIndex + offset..<startIndex + offset + wanted.count
                    }
                    offset += 1
                }
                return nil
            }
        }
    }
}
