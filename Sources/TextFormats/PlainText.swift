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
        guard !searched.isEmpty, bytes.count >= searched.count else { return nil }
        // The last place is the first one of both texts turned round.
        return Array(bytes.reversed())[...].firstRange(ofBytes: searched.reversed())
            .map { range(bytes.count - $0.upperBound..<bytes.count - $0.lowerBound) }
    }

    private func range(_ bytes: Range<Int>) -> Range<Index> {
        utf8.index(startIndex, offsetBy: bytes.lowerBound)..<utf8.index(startIndex, offsetBy: bytes.upperBound)
    }
}

extension ArraySlice<UInt8> {
    /// The first place of these bytes, which are at least one. Linear, whatever both hold.
    public func firstRange(ofBytes searched: [UInt8]) -> Range<Int>? {
        guard !searched.isEmpty, count >= searched.count else { return nil }
        let pattern = BytePattern(searched)
        return withUnsafeBufferPointer { pattern.first(in: $0) }
            .map { startIndex + $0.lowerBound..<startIndex + $0.upperBound }
    }
}
