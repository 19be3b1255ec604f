// Messages to the offline provider that were written to be expensive: steps are counted, so no clock is asked.
import TestSupport
import Testing
import TextFormats

@testable import Providers

@Suite("Hostile messages")
struct HostileMessageTests {
    @Test("No message costs more than 64 steps a byte, from 2 KB on")
    func message() {
        let faults = HostileTextCheck.faults("offline phrases", size: 2_560, largest: 10_240) { text, steps in
            _ = IntentReader.intents(in: text, steps)
        }
        #expect(faults == [])
    }

    @Test("Thousands of marks on a letter are not sorted for every phrase")
    func marks() {
        let text = "a" + String(repeating: "\u{316}\u{301}", count: 2_500)
        let tokens = PhraseTokens("remember \(text) e\u{301}")
        #expect(tokens.tokens.map(\.key.unicodeScalars.count) == [8, 5, 2])
        #expect(tokens.text[tokens.tokens[1].range] == text[...])
    }

    @Test("A long wish is still understood")
    func longWish() {
        let text = HostileText.prose.text(size: 9_000).split(separator: ".").joined(separator: ",")
        guard case .remember(let kept)? = IntentReader.intents(in: "Remember that \(text)").first else {
            Issue.record("not understood")
            return
        }
        #expect(kept.utf8.count > 8_000)
    }

    @Test("One character with any number of marks is cut like a long text")
    func scrubbing() {
        let text = "a" + String(repeating: "\u{301}", count: 100_000)
        #expect(SecretScrubber(["secret-key"]).scrub(text).unicodeScalars.count <= 4 * SecretScrubber.maxLength)
    }
}
