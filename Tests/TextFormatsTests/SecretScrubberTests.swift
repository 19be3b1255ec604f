// Keys of other programs' words: found however they are written, cut or spread, and nothing else is touched.
import Foundation
import TestSupport
import Testing

@testable import TextFormats

@Suite struct SecretScrubberTests {
    /// With characters that every encoding writes in another way.
    static let key = "hou-se_K3y+with/odd=chars<9>"

    /// A way of writing a text.
    struct Form: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var write: @Sendable (String) -> String

        init(_ name: String, _ write: @escaping @Sendable (String) -> String) {
            testDescription = name
            self.write = write
        }

        private static func each(_ text: String, _ write: (UInt8) -> String) -> String { text.utf8.map(write).joined() }

        static let all: [Form] = [
            Form("plain") { $0 }, Form("upper case") { $0.uppercased() },
            Form("percent, what must be") { text in
                text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
            },
            Form("percent, everything") { each($0) { "%" + String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) } },
            Form("decimal references") { each($0) { "&#\($0);" } },
            Form("hex references") { each($0) { "&#x" + String($0, radix: 16, uppercase: true) + ";" } },
            Form("some references") { $0.replacingOccurrences(of: "-", with: "&#45;").replacingOccurrences(of: "<", with: "&lt;") },
            Form("named references") { text in
                text.replacingOccurrences(of: "+", with: "&plus;").replacingOccurrences(of: "/", with: "&sol;")
                    .replacingOccurrences(of: "_", with: "&lowbar;").replacingOccurrences(of: ">", with: "&gt;")
            },
            Form("a reference without semicolon") { $0.replacingOccurrences(of: "/", with: "&#47") },
            Form("JSON escapes") { each($0) { "\\u00" + String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) } },
            Form("JSON's slash") { $0.replacingOccurrences(of: "/", with: "\\/") },
            Form("references of references") { text in
                text.replacingOccurrences(of: "<", with: "&lt;").replacingOccurrences(of: "&", with: "&amp;")
            },
            Form("percent of percent") { each($0) { "%25" + String($0, radix: 16) } },
            Form("references in JSON") { text in
                text.replacingOccurrences(of: "<", with: "\\u0026lt;").replacingOccurrences(of: "-", with: "\\u002d")
            },
            Form("Base64") { Data($0.utf8).base64EncodedString() },
            Form("Base64 behind a name") { Data("alice:\($0)".utf8).base64EncodedString() },
            Form("Base64 behind a longer name") { Data("alice1:\($0)".utf8).base64EncodedString() },
            Form("Base64 between others") { Data("ab\($0)tail".utf8).base64EncodedString() },
            Form("Base64 of URLs") {
                Data($0.utf8).base64EncodedString().replacingOccurrences(of: "+", with: "-")
                    .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
            },
            Form("hex digits") { each($0) { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) } },
        ]
    }

    /// No piece of the key of four bytes is left, in any form that could be read.
    private func expectHidden(_ text: String, _ written: String, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(!text.lowercased().contains(Self.key.lowercased()), sourceLocation: sourceLocation)
        for start in 0...max(0, written.count - 8) {
            let piece = String(written.dropFirst(start).prefix(8))
            if piece.count == 8, written.count > 20 {
                #expect(!text.contains(piece), "\(text)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test("A key is hidden in whatever way it is written, and the words around it stay", arguments: Form.all)
    func forms(_ form: Form) {
        let scrubber = SecretScrubber([Self.key])
        let written = form.write(Self.key)
        for (before, after) in [("", ""), ("Wrong key ", " given"), ("(", ")."), ("ключ «", "» 不对")] {
            let hidden = scrubber.hide(before + written + after)
            expectHidden(hidden, written)
            #expect(hidden == "\(before)[key]\(after)")
            #expect(scrubber.scrub(before + written + after) == "\(before)[key]\(after)")
        }
    }

    @Test(
        "A key spread over the pieces of a stream is hidden, and the pieces joined are the text",
        arguments: Form.all.filter { !$0.testDescription.hasPrefix("Base64 be") })
    func streams(_ form: Form) {
        let written = form.write(Self.key)
        let text = "It is \(written), hou-se of 100% & more \(written)"
        for size in [1, 2, 3, 7, 50, 10_000] {
            var stream = StreamScrubber(SecretScrubber([Self.key]))
            var shown = ""
            var rest = Substring(text)
            while !rest.isEmpty {
                shown += stream.feed(String(rest.prefix(size)))
                expectHidden(shown, written)
                rest = rest.dropFirst(size)
            }
            shown += stream.finish()
            expectHidden(shown, written)
            #expect(stream.hasHidden && shown == "It is [key], hou-se of 100% & more [key]", "pieces of \(size)")
        }
    }

    @Test("Texts without a key pass through a stream whole, and nothing is held back for long")
    func streamsOfOthers() {
        for text in ["", "plain", "100%", "a & b &amp; c &#x", "\\u00", "hou-se_K3", String(repeating: "hou-", count: 50), "键 é"] {
            for size in [1, 3, 100] {
                var stream = StreamScrubber(SecretScrubber([Self.key]))
                var shown = ""
                var rest = Substring(text)
                while !rest.isEmpty {
                    shown += stream.feed(String(rest.prefix(size)))
                    rest = rest.dropFirst(size)
                    #expect(text.utf8.count - rest.utf8.count - shown.utf8.count < Self.key.utf8.count + 12)
                }
                shown += stream.finish()
                #expect(shown == text && !stream.hasHidden)
            }
        }
    }

    @Test(
        "Parts of a key that an error shows are hidden too",
        arguments: [
            "key hou-se******ars<9>", "key hou-se_K3y+with/odd=ch", "key hou-se...", "key ****ars<9>", "key hou-se…<9>",
            "key hou-se_••••••••", "key HOU-SE_xxxxxxxxxx9>",
        ])
    func parts(text: String) {
        let scrubbed = SecretScrubber([Self.key]).scrub(text)
        #expect(scrubbed.hasPrefix("key [key]") && !scrubbed.lowercased().contains("hou-") && !scrubbed.contains("9>"))
    }

    @Test(
        "What has the shape of a key is hidden in an error, known or not",
        arguments: [
            "sk-abc123def456", "AIzaSyA1234567890abc", "gsk_1234567890", "nbt_alice.abcdefghijkl.abc", "ghp_abcdefgh1234",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", "Bearer abcdefghij", "basic YWxpY2U6c2VjcmV0",
        ])
    func shapes(text: String) {
        let scrubbed = SecretScrubber([]).scrub("said: \(text)")
        #expect(scrubbed.contains("[key]") && !scrubbed.contains(text.suffix(8)))
    }

    @Test("Words without keys are left alone, and what is no secret hides nothing")
    func others() {
        let scrubber = SecretScrubber([Self.key, "short", ""])
        for text in ["a short house", "100 % of 5 &amp; 6", "<b>&lt;</b>", "\\u0041", "…", "x...y", ""] {
            #expect(scrubber.hide(text) == text && scrubber.scrub(text) == text)
        }
        // The beginning of a key is none where more text can follow; a failure's words may have been cut inside it.
        #expect(scrubber.hide("hou-se") == "hou-se")
    }

    @Test("Headers give their values, what follows the scheme, and the password of Basic")
    func headers() {
        let scrubber = SecretScrubber(headers: [
            ("Authorization", "Bearer tok-en-of-crm"), ("Proxy", "Basic " + Data("bob:pass-word".utf8).base64EncodedString()),
        ])
        for text in ["tok-en-of-crm", "Bearer tok-en-of-crm", "pass-word", "Ym9iOnBhc3Mtd29yZA=="] {
            #expect(scrubber.hide("<\(text)>") == "<[key]>")
        }
        for name in ["Authorization", "X-Api-Key", "CRM_TOKEN", "client_secret", "Cookie", "DB_PASSWORD"] {
            #expect(SecretScrubber.isCredential(name: name))
        }
        for name in ["Accept", "X-Tenant", "LANG", "PATH", "anthropic-version"] {
            #expect(!SecretScrubber.isCredential(name: name))
        }
    }

    @Test("Strings anywhere in a JSON value lose the key")
    func json() {
        let hidden = SecretScrubber([Self.key]).hide(["a": ["x", .string("is \(Self.key)")], "no": 5] as JSON)
        #expect(hidden == ["a": ["x", "is [key]"], "no": 5])
    }

    @Test("Random texts around a key at any place, also across the windows of a long text, keep none of it")
    func random() {
        var generator = SeededGenerator(seed: 14)
        let scrubber = SecretScrubber([Self.key])
        let alphabet = Array("abch<>&;#%\\u02x5-_ =/+")
        for round in 0..<60 {
            let length = round < 50 ? Int.random(in: 0...80, using: &generator) : 65_500 + round
            let noise = String((0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
            let written = Form.all[Int.random(in: 0..<15, using: &generator)].write(Self.key)
            #expect(!scrubber.hide(noise + " " + written + " " + noise).contains(written))
        }
    }
}
