import Foundation
import Testing
import TextFormats

@Suite struct JSONTests {
    @Test(
        "a text reads and writes back as it was",
        arguments: [
            "null", "true", "-12", "9223372036854775807", "1.5", "\"\"", "[]", "{}", #"{"b":1,"a":[1,2.25,"x"]}"#,
            #""\"\\\n\t""#, #"{"名":"值","emoji":"😀"}"#,
        ])
    func roundTrip(_ text: String) throws {
        let value = try JSON.parse(text)
        #expect(value.text() == text)
        #expect(try JSON.parse(value.text(pretty: true)) == value)
    }

    @Test("escapes mean what RFC 8259 says")
    func escapes() throws {
        #expect(try JSON.parse(#""\u00e9\ud83d\ude00\/\b\f""#) == .string("é😀/\u{8}\u{c}"))
        #expect(JSON.string("\u{1}").text() == #""\u0001""#)
    }

    @Test(
        "what is no JSON is refused with its place",
        arguments: [
            "", " ", "nul", "tru", "01", "-", "1.", "1e", ".5", "+1", "\"", "\"\n\"", #""\x""#, #""\u12""#,
            #""\ud800""#,
            #""\ud800\u0041""#, "[1,]", "[1 2]", "{", #"{"a"}"#, #"{"a":1,}"#, #"{a:1}"#, #"{"a":1,"a":2}"#, "1 2",
            "1e999",
            "'a'", "NaN", "[", "]",
        ])
    func refused(_ text: String) {
        #expect(throws: JSONError.self) { try JSON.parse(text) }
    }

    @Test("bytes that are not UTF-8, deep nesting and long texts are refused")
    func bounds() {
        #expect(throws: JSONError.self) { try JSON.parse([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSON.parse([0x22, 0xC0, 0x80, 0x22]) }
        #expect(throws: JSONError.self) { try JSON.parse([0x22, 0xED, 0xA0, 0x80, 0x22]) }
        #expect(throws: JSONError.self) { try JSON.parse(String(repeating: "[", count: 100_000)) }
        #expect(throws: JSONError.self) { try JSON.parse("[1,2,3]", limits: .init(maxBytes: 5)) }
    }

    @Test("random bytes and mutated texts never crash the parser, and what it accepts it writes again")
    func fuzz() throws {
        var random = SystemRandomNumberGenerator()
        let seed = Array(#"{"a":[1,-2.5e3,"xA",true,null],"b":{"c":"é"}}"#.utf8)
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard let value = try? JSON.parse(bytes) else { continue }
            #expect(try JSON.parse(value.bytes()) == value)
        }
    }

    @Test("equal content has equal sorted bytes, whatever the order of members")
    func canonical() throws {
        let left = try JSON.parse(#"{"a":1,"b":{"x":1,"y":2}}"#)
        let right = try JSON.parse(#"{"b":{"y":2,"x":1},"a":1}"#)
        #expect(left == right)
        #expect(left.sorted.bytes() == right.sorted.bytes())
        #expect(Set([left, right]).count == 1)
    }

    @Test("a strict reader names the field, the reason and the nearest known name")
    func objectReader() throws {
        enum Colour: String, CaseIterable { case red, green }
        var reader = try ObjectReader(["name": "x", "count": 3, "colour": "gren", "nme": 1], path: "job")
        #expect(try reader.string("name", min: 1, max: 3) == "x")
        #expect(throws: FieldError(field: "job.count", detail: "must be from 5 to 9")) {
            try reader.int("count", in: 5...9)
        }
        #expect(throws: FieldError.self) { try reader.string("count") }
        do {
            _ = try reader.choice("colour", of: Colour.self)
            Issue.record("accepted")
        } catch {
            #expect(error.detail.contains("did you mean \"green\""))
        }
        do throws(FieldError) {
            try reader.finish()
            Issue.record("accepted an unknown key")
        } catch {
            #expect(error.field == "job.nme")
            #expect(error.detail.contains("name"))
        }
    }
}

@Suite struct JSONCheckTests {
    @Test(
        "a check takes and refuses what a parse does, with the same words",
        arguments: [
            "{}", "[]", "[1, [2, {\"a\": [null, true]}], \"x\"]", "{\"a\": 1, \"b\": {\"a\": 2}}", " 1.5e3 ",
            "\"\\u00e9\\ud83d\\ude00\"",
            "", "{", "[1,]", "[1 2]",
            "{\"a\": 1, \"a\": 2}", "{\"a\" 1}", "01", "1.", "\"\\x\"", "\"\\ud800\"", "nul", "[] []", "\"\u{1}\"",
            String(repeating: "[", count: 65), "1e999", "{\"a\": [}",
        ])
    func same(_ text: String) {
        func fault(_ body: () throws -> Void) -> String? {
            do {
                try body()
                return nil
            } catch {
                return "\(error)"
            }
        }
        let bytes = Array(text.utf8)
        #expect(fault { try JSON.check(bytes) } == fault { _ = try JSON.parse(bytes) })
    }
}

@Suite struct RFC3339Tests {
    @Test("a time reads back as it was written", arguments: [0.0, 1_764_000_000.123, -1.5, 4_102_444_799.999])
    func roundTrip(_ seconds: Double) throws {
        let date = Date(timeIntervalSince1970: seconds)
        let read = try #require(RFC3339.date(RFC3339.string(date)))
        #expect(abs(read.timeIntervalSince(date)) < 0.001)
    }

    @Test("offsets, fractions and leap days are understood")
    func forms() {
        #expect(RFC3339.date("2026-11-24T11:00:00+08:00") == RFC3339.date("2026-11-24T03:00:00Z"))
        #expect(RFC3339.date("2024-02-29T00:00:00.5-00:30") == RFC3339.date("2024-02-29T00:30:00.500Z"))
        #expect(RFC3339.string(Date(timeIntervalSince1970: 951_782_400)) == "2000-02-29T00:00:00.000Z")
    }

    @Test(
        "what is no time is refused",
        arguments: [
            "", "2026-11-24", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-24T24:00:00Z",
            "2026-11-24T00:60:00Z", "2026-11-24T00:00:00", "2026-11-24T00:00:00+8:00", "2026-11-24T00:00:00Zx",
            "2026-11-24T00:00:00.Z", "２026-11-24T00:00:00Z",
        ])
    func refused(_ text: String) { #expect(RFC3339.date(text) == nil) }
}
