import Testing

@testable import TextFormats

@Suite("The event stream parser")
struct EventStreamParserTests {
    /// Feeds the stream whole, in two parts cut at every byte, and byte by byte: all must give the same events.
    private func check(_ stream: String, _ expected: [ServerSentEvent]) throws {
        let bytes = Array(stream.utf8)
        for cut in 0...bytes.count {
            var parser = EventStreamParser()
            var events = try parser.feed(bytes[..<cut])
            events += try parser.feed(bytes[cut...])
            #expect(events == expected, "cut at \(cut)")
        }
        var parser = EventStreamParser()
        var events: [ServerSentEvent] = []
        for byte in bytes { events += try parser.feed([byte]) }
        #expect(events == expected)
    }

    @Test("reads every kind of line end", arguments: ["\n", "\r", "\r\n"])
    func lineEnds(end: String) throws {
        let stream = ["event: a", "data: 1", "data: 2", "", "data:3", "", ""].joined(separator: end)
        try check(stream, [ServerSentEvent(name: "a", data: "1\n2"), ServerSentEvent(data: "3")])
    }

    @Test("follows the rules for fields, comments, empty data, a byte order mark and a cut end")
    func rules() throws {
        try check("\u{feff}data: x\n\n", [ServerSentEvent(data: "x")])
        try check(": comment\n\n:\n\ndata: x\n: y\n\n", [ServerSentEvent(data: "x")])
        try check("data\n\n", [ServerSentEvent(data: "")])
        try check("data:\ndata:\n\n", [ServerSentEvent(data: "\n")])
        try check("event: lost\n\ndata: x\n\n", [ServerSentEvent(data: "x")])
        try check("data:  two spaces: and a colon\n\n", [ServerSentEvent(data: " two spaces: and a colon")])
        try check("id: 1\nretry: 5\nother: z\ndata: 很好🙂\n\n", [ServerSentEvent(data: "很好🙂", id: "1")])
        try check("data: whole\n\ndata: cut\n", [ServerSentEvent(data: "whole")])
        try check("\n\n\r\n", [])
    }

    @Test("keeps what a client needs to come back: the id of the last whole event, and the time to wait", arguments: [
        ("id: 1\ndata: x\n\n", "1", nil), ("id: 1\n\nid: 2\ndata: cut", "1", nil), ("id: 1\n\ndata: x\n\n", "1", nil),
        ("retry: 250\nid: 7\ndata:\n\n", "7", 250), ("retry: soon\n\nretry:\n\n", nil, nil), ("id: 1\u{0}\n\n", nil, nil),
        ("retry: 99999999999999999999\n\n", nil, nil), ("id: 1\n\nid:\n\n", "", nil),
    ] as [(String, String?, Int?)])
    func comingBack(text: String, id: String?, retry: Int?) throws {
        var parser = EventStreamParser()
        _ = try parser.feed(text.utf8)
        #expect(parser.lastID == id && parser.retryMilliseconds == retry)
    }

    @Test("gives up on an event beyond the limit")
    func limit() throws {
        var parser = EventStreamParser()
        let megabyte = [UInt8](repeating: 0x61, count: 1 << 20)
        #expect(throws: EventStreamParser.TooLong.self) {
            for _ in 0...EventStreamParser.maxEventBytes >> 20 { _ = try parser.feed(megabyte) }
        }
    }
}
