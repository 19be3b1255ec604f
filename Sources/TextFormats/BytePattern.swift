// Finds one byte sequence in others in linear time, whatever either holds (Knuth, Morris and Pratt, 1977): a repeated
// beginning, such as "aaaa…b" in "aaaa…", costs no more than any other text. A value; any thread; never fails.

import Foundation

public struct BytePattern: Sendable {
    /// Never empty.
    public let bytes: [UInt8]
    /// For each length of a partial match: how much of it may be the beginning of the next match.
    private let fallback: [Int]

    /// - Parameter bytes: at least one.
    public init(_ bytes: [UInt8]) {
        precondition(!bytes.isEmpty, "an empty pattern is found everywhere")
        var fallback = [0, 0]
        fallback.reserveCapacity(bytes.count + 1)
        var matched = 0
        for byte in bytes.dropFirst() {
            while matched > 0, bytes[matched] != byte { matched = fallback[matched] }
            if bytes[matched] == byte { matched += 1 }
            fallback.append(matched)
        }
        self.bytes = bytes
        self.fallback = fallback
    }

    public init(_ text: String) { self.init(Array(text.utf8)) }

    /// The first place at or after `start`.
    /// - Parameter steps: gets at most two steps for each byte looked at.
    public func first(in text: UnsafeBufferPointer<UInt8>, from start: Int = 0, _ steps: StepCounter? = nil) -> Range<
        Int
    >? {
        var place = start
        var matched = 0
        defer { steps?.add(2 * (place - start)) }
        while place < text.count {
            if matched == 0 {
                guard let found = memchr(text.baseAddress! + place, Int32(bytes[0]), text.count - place) else {
                    place = text.count
                    return nil
                }
                place = UnsafeRawPointer(found) - UnsafeRawPointer(text.baseAddress!)
            }
            let byte = text[place]
            while matched > 0, bytes[matched] != byte { matched = fallback[matched] }
            if bytes[matched] == byte { matched += 1 }
            place += 1
            if matched == bytes.count { return place - matched..<place }
        }
        return nil
    }

    /// All places from the first on, none of which overlaps the one before.
    public func ranges(in text: [UInt8], _ steps: StepCounter? = nil) -> [Range<Int>] {
        text.withUnsafeBufferPointer { buffer in
            var found: [Range<Int>] = []
            var place = 0
            while let next = first(in: buffer, from: place, steps) {
                found.append(next)
                place = next.upperBound
            }
            return found
        }
    }

    /// `text` with `replacement` at every place; unchanged bytes are copied once.
    public func replacing(in text: [UInt8], with replacement: [UInt8], _ steps: StepCounter? = nil) -> [UInt8] {
        let places = ranges(in: text, steps)
        guard !places.isEmpty else { return text }
        var result: [UInt8] = []
        result.reserveCapacity(text.count + places.count * max(0, replacement.count - bytes.count))
        var end = 0
        for place in places {
            result += text[end..<place.lowerBound]
            result += replacement
            end = place.upperBound
        }
        result += text[end...]
        return result
    }
}
