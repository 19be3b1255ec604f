import Testing

@testable import TextFormats

@Suite("Text cut inside a character")
struct PartialTextTests {
    /// Events of a stream, as bytes of their data.
    private func text(of events: [[UInt8]]) throws -> String {
        var parser = EventStreamParser(marksHalves: true)
        var joiner = PartialTextJoiner()
        var text = ""
        for event in events {
            for one in try parser.feed(Array("data: ".utf8) + event + Array("\n\n".utf8)) {
                text += joiner.feed(try JSON.parse(one.data, limits: .streamed).string ?? "")
            }
        }
        return text + joiner.finish()
    }

    @Test(
        "is joined across the events of a stream",
        arguments: [
            ([#""\ud83d""#, #""\ude00""#], "😀"), ([#""a\ud83d""#, #""\ude00b""#], "a😀b"),
            ([#""\ud83d""#, #""x""#], "\u{FFFD}x"), ([#""\ude00\ud83d""#], "\u{FFFD}\u{FFFD}"),
            ([#""\ud83d""#, #""\ud83d""#, #""\ude00""#], "\u{FFFD}😀"), ([#""\ud83d\ude00""#], "😀"),
            ([#""plain""#, #""""#], "plain"),
        ])
    func surrogates(events: [String], right: String) throws {
        #expect(try text(of: events.map { Array($0.utf8) }) == right)
    }

    @Test("is joined where a UTF-8 sequence is cut, wherever that is", arguments: ["😀", "价格", "é", "a😀b价c"])
    func bytes(right: String) throws {
        let bytes = Array(right.utf8)
        for cut in 0...bytes.count {
            let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])].map { [0x22] + $0 + [0x22] }
            #expect(try text(of: pieces) == right)
        }
        #expect(try text(of: bytes.map { [0x22, $0, 0x22] }) == right)
    }

    @Test("keeps a replacement character where the other half never comes")
    func lost() throws {
        #expect(try text(of: [[0x22, 0xF0, 0x9F, 0x22]]) == "\u{FFFD}")
        #expect(try text(of: [[0x22, 0x61, 0xFF, 0x62, 0x22]]) == "a\u{FFFD}b")
        #expect(try text(of: [[0x22, 0xED, 0xA0, 0xBD, 0x22], [0x22, 0xED, 0xB8, 0x80, 0x22]]) == "😀")
    }

    @Test("leaves other text as it is")
    func unchanged() {
        for text in ["", "plain", "价格 😀 é", "\u{100000}"] { #expect(PartialText.joined(text) == text) }
    }

    @Test(
        "lenient JSON takes a comma too many, control characters and bad bytes; strict JSON takes none",
        arguments: ["[1,]", #"{"a":1,}"#, "\"a\nb\"", "\"\\ud83d\"", "\"\u{1}\"", #"{"a":1,"a":2}"#])
    func lenient(text: String) throws {
        #expect(throws: JSONError.self) { try JSON.parse(text) }
        #expect(throws: Never.self) { try JSON.parse(text, limits: .lenient) }
        #expect(throws: JSONError.self) { try JSON.parse("[,1]", limits: .lenient) }
    }
}
