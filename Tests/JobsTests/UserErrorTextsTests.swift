// The sentences that users read in place of an operator's words.

import Spool
import Testing
import TextFormats

@testable import Jobs

@Suite struct UserErrorTextsTests {
    /// Codes of providers, the agent, the queue; the last is none of ours.
    static let codes = [
        "rate_limited", "overloaded", "quota", "authentication", "bad_request", "context_length", "content_filter", "timeout",
        "connection", "cancelled", "bad_response", "unavailable", "provider_paused", "model_paused", "requests_used_up", "storage",
        "lock_timeout", "journal", "journal_corrupt", "session_full", "internal", "internal_state", "expired", "crash_loop",
        "model_unpriced", "config_corrupt", "something_new",
    ]

    private static let operatorWords = "openai refuses (401): Traceback at /srv/x.py — check the key, which comes from OPENAI_API_KEY"

    @Test("a user's sentence holds nothing of the operator's words, and is in the user's language", arguments: codes)
    func plain(code: String) {
        for (language, isChinese) in [("zh", true), ("zh-CN", true), ("en", false), ("de", false)] {
            let text = UserErrorTexts.sentence(code: code, detail: Self.operatorWords, language: language)
            #expect(text.unicodeScalars.contains { (0x4E00...0x9FFF).contains($0.value) } == isChinese)
            #expect(text.count >= 8)
            for word in ["_", "401", "/srv", "openai", "Traceback", "config", "http"] {
                #expect(!text.contains(word), "\(text)")
            }
        }
    }

    @Test("the sentence about an account without money names the balance")
    func balance() {
        #expect(UserErrorTexts.sentence(code: "quota", detail: "", language: "en").contains("balance"))
        #expect(UserErrorTexts.sentence(code: "quota", detail: "", language: "zh").contains("余额"))
    }

    @Test("words that were written for the user stay, and none are made up for an empty one", arguments: [
        "budget_tokens", "budget_cost", "user_suspended",
    ])
    func ownWords(code: String) {
        let words = "The 1000 tokens of a day are used up."
        #expect(UserErrorTexts.sentence(code: code, detail: words, language: "zh") == words)
        #expect(UserErrorTexts.sentence(code: code, detail: "", language: "en").contains("could not be completed"))
    }

    @Test("a chat's errors are in the language of its words, other jobs' in the preferred one", arguments: [
        ("what is new?", "zh", "en"), ("有什么新闻？", "en", "zh"), ("123", "zh", "zh"), ("was gibt es?", "de", "de"), (nil, "zh", "zh"),
        (nil, "en", "en"),
    ] as [(String?, String, String)])
    func language(message: String?, preferred: String, expected: String) {
        #expect(UserErrorTexts.language(message: message, preferred: preferred) == expected)
    }
}
