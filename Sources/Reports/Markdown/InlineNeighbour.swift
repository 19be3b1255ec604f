// What is beside a run of emphasis marks. A plain value, any thread; cannot fail.

enum InlineNeighbour: Equatable {
    /// Nothing, or white space.
    case blank
    /// A letter, a digit, or a mark that belongs to one.
    case word
    case other

    init(before place: Int, _ bytes: [UInt8]) {
        var start = place - 1
        // A scalar has at most four bytes; those behind the first begin with the bits 10.
        while start > 0, start > place - 4, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        self.init(start >= 0 ? String(decoding: bytes[start..<place], as: UTF8.self).unicodeScalars.last : nil)
    }

    init(after place: Int, _ bytes: [UInt8]) {
        let end = min(bytes.count, place + 4)
        self.init(place < end ? String(decoding: bytes[place..<end], as: UTF8.self).unicodeScalars.first : nil)
    }

    private init(_ scalar: Unicode.Scalar?) {
        guard let scalar, !scalar.properties.isWhitespace else {
            self = .blank
            return
        }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: self = .word
        default: self = scalar.properties.isAlphabetic || scalar.properties.numericType != nil ? .word : .other
        }
    }
}
