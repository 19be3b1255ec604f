// Finds the beginning and the end of each request on a connection, strictly: bytes that two readers could read differently are
// no request here, whatever NIO's parser behind this one would make of them. Pure: bytes in, how many of them are right out.
// One value for each connection.
//
//   line → fields → (no body) line | body(n) → line | size → data(n) → dataEnd → size → … → trailers → line

struct RequestFraming {
    /// Bytes of a head: more than its target and fields ever need, fewer than NIO's parser takes.
    private static let maximumHead = 64 << 10
    /// Bytes of all chunk extensions of one body, and of its trailer fields.
    private static let maximumExtensions = 1_024
    private static let maximumTrailers = 8_192
    /// Digits of a chunk's size: more than any body may have.
    private static let maximumDigits = 8
    /// Digits of a Content-Length: what fits 63 bits.
    private static let maximumLength = 18
    /// Empty lines in front of a request.
    private static let maximumEmpty = 4

    /// Why a request is refused, for its sender.
    struct Fault: Error, Hashable {
        var detail: String
        /// Right so far, but too much of it.
        var isTooLarge = false

        init(_ detail: String) { self.detail = detail }
    }

    private enum Place {
        case line, fields, body(Int), size, data(Int), dataEnd, trailers
    }

    /// The present request, as its fields say.
    private struct Head {
        var isOld = false
        /// Of the request line, if it names one.
        var authority: String?
        var host: String?
        var length: Int?
        var isChunked = false
    }

    private var place = Place.line
    private var head = Head()
    /// The line so far, without its end.
    private var line: [UInt8] = []
    /// Bytes of the present head.
    private var heads = 0
    private var isInExtension = false
    private var extensions = 0
    private var trailers = 0
    private var empty = 0

    /// Reads on. - Returns: how many of the bytes were right, and what is wrong with the next one; nil: all are right.
    mutating func read(_ bytes: UnsafeRawBufferPointer) -> (count: Int, fault: Fault?) {
        var index = 0
        // The bytes in front of the line that turns out to be wrong.
        var right = 0
        do throws(Fault) {
            while index < bytes.count {
                switch place {
                case .body(let left), .data(let left):
                    let taken = min(left, bytes.count - index)
                    index += taken
                    pass(left - taken)
                    right = index
                default:
                    let byte = bytes[index]
                    index += 1
                    if try add(byte) { right = index }
                }
            }
        } catch {
            return (right, error)
        }
        return (bytes.count, nil)
    }

    private mutating func pass(_ left: Int) {
        switch place {
        case .body: place = left > 0 ? .body(left) : .line
        default: place = left > 0 ? .data(left) : .dataEnd
        }
    }

    /// Adds a byte to the line. - Returns: whether the line is whole.
    private mutating func add(_ byte: UInt8) throws(Fault) -> Bool {
        let isAfterReturn = line.last == UInt8(ascii: "\r")
        guard byte == UInt8(ascii: "\n") else {
            if isAfterReturn { throw Fault("a carriage return that ends no line") }
            guard byte >= 0x20 && byte != 0x7f || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r") else {
                throw Fault("a control character")
            }
            line.append(byte)
            try checkSize(byte)
            return false
        }
        guard isAfterReturn else { throw Fault("a line that ends without a carriage return") }
        line.removeLast()
        try end()
        line.removeAll(keepingCapacity: line.capacity <= 1_024)
        return true
    }

    /// Lines are bounded while they come.
    private mutating func checkSize(_ byte: UInt8) throws(Fault) {
        switch place {
        case .line, .fields:
            heads += 1
            guard heads <= Self.maximumHead else {
                var fault = Fault("the request's header fields are too large")
                fault.isTooLarge = true
                throw fault
            }
        case .size:
            if byte == UInt8(ascii: ";") { isInExtension = true }
            extensions += isInExtension ? 1 : 0
            guard extensions <= Self.maximumExtensions else { throw Fault("more chunk extensions than anybody needs") }
            guard isInExtension || line.count <= Self.maximumDigits + 1 else { throw Self.badSize }
        case .trailers:
            trailers += 1
            guard trailers <= Self.maximumTrailers else { throw Fault("more trailer fields than anybody needs") }
        case .dataEnd:
            guard line == [UInt8(ascii: "\r")] else { throw Fault("a chunk longer than its size") }
        default: break
        }
    }

    private mutating func end() throws(Fault) {
        switch place {
        case .line: try endLine()
        case .fields:
            if line.isEmpty { return try endHead() }
            try readField()
        case .size: try endSize()
        case .dataEnd: place = .size
        case .trailers:
            if line.isEmpty { return place = .line }
            _ = try field()
        case .body, .data: break
        }
    }

    // MARK: - Head

    private mutating func endLine() throws(Fault) {
        guard !line.isEmpty else {
            empty += 1
            guard empty <= Self.maximumEmpty else { throw Fault("empty lines in the place of a request") }
            return
        }
        empty = 0
        head = Head()
        (heads, extensions, trailers) = (line.count, 0, 0)
        let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 3, !line.contains(UInt8(ascii: "\t")), Self.isToken(parts[0]), !parts[1].isEmpty else {
            throw Fault("the first line must be a method, a target and HTTP/1.1, one space between them")
        }
        switch String(decoding: parts[2], as: UTF8.self) {
        case "HTTP/1.1": break
        case "HTTP/1.0": head.isOld = true
        default: throw Fault("only HTTP/1.1 and HTTP/1.0 are spoken here")
        }
        head.authority = Self.authority(parts[1])
        place = .fields
    }

    /// Of a target in absolute form.
    private static func authority(_ target: ArraySlice<UInt8>) -> String? {
        let text = String(decoding: target, as: UTF8.self)
        guard let end = text.firstRange(of: "://")?.upperBound, !text.hasPrefix("/") else { return nil }
        return text[end...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }.lowercased()
    }

    /// The name in lower case, and the value without the space around it.
    private func field() throws(Fault) -> (name: String, value: ArraySlice<UInt8>) {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), Self.isToken(line[..<colon]) else {
            throw Fault("a header field must be a name, a colon right behind it, and a value, on one line")
        }
        var value = line[(colon + 1)...]
        while let first = value.first, Self.isSpace(first) { value.removeFirst() }
        while let last = value.last, Self.isSpace(last) { value.removeLast() }
        return (String(decoding: line[..<colon], as: UTF8.self).lowercased(), value)
    }

    private mutating func readField() throws(Fault) {
        let (name, value) = try field()
        switch name {
        case "host": if head.host == nil { head.host = String(decoding: value, as: UTF8.self).lowercased() }
        case "content-length":
            guard head.length == nil else { throw Fault("more than one Content-Length") }
            guard (1...Self.maximumLength).contains(value.count), value.allSatisfy(Self.isDigit),
                let length = Int(String(decoding: value, as: UTF8.self))
            else { throw Fault("Content-Length must be a number of bytes") }
            head.length = length
        case "transfer-encoding":
            guard !head.isChunked, !head.isOld, String(decoding: value, as: UTF8.self).lowercased() == "chunked" else {
                throw Fault("the only Transfer-Encoding is chunked, once, in HTTP/1.1")
            }
            head.isChunked = true
        default: break
        }
    }

    private mutating func endHead() throws(Fault) {
        guard !head.isChunked || head.length == nil else { throw Fault("Transfer-Encoding and Content-Length in one request") }
        guard head.isOld || head.host != nil else { throw Fault("a request of HTTP/1.1 needs a Host") }
        if let authority = head.authority, let host = head.host, authority != host {
            throw Fault("the target and Host name two hosts")
        }
        place = head.isChunked ? .size : head.length.map { $0 > 0 ? .body($0) : .line } ?? .line
    }

    // MARK: - Chunks

    private mutating func endSize() throws(Fault) {
        isInExtension = false
        let digits = line.prefix { Self.isHex($0) }
        guard (1...Self.maximumDigits).contains(digits.count), let size = Int(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw Self.badSize }
        guard digits.count == line.count || line[digits.endIndex] == UInt8(ascii: ";") else {
            throw Fault("a chunk's size must be followed by the end of the line, or an extension")
        }
        place = size > 0 ? .data(size) : .trailers
    }

    private static let badSize = Fault("a chunk's size must have from 1 to \(maximumDigits) hexadecimal digits")

    // MARK: - Bytes

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isHex(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }

    /// RFC 9110, 5.6.2.
    private static func isToken(_ bytes: ArraySlice<UInt8>) -> Bool {
        !bytes.isEmpty
            && bytes.allSatisfy { byte in
                isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
    }
}
