import Foundation
import Testing
import TextFormats

@testable import Providers

@Suite("A provider's refusal")
struct ErrorClassifierTests {
    private func classify(
        _ status: Int?, _ body: String, retryAfter: Double? = nil, keySource: String? = nil, secrets: [String] = []
    ) -> ProviderError {
        ErrorClassifier.error(
            status: status, complaint: ProviderComplaint(body: Array(body.utf8)), retryAfter: retryAfter,
            account: "acme", keySource: keySource, scrubber: SecretScrubber(secrets))
    }

    @Test(
        "is told apart by status, mark and words",
        arguments: [
            (401, #"{"error":{"message":"Incorrect API key"}}"#, ProviderError.Code.authentication),
            (403, #"{"error":{"type":"permission_error","message":"no"}}"#, .authentication),
            (402, #"{"error":{"message":"Insufficient Balance","code":"invalid_request_error"}}"#, .quota),
            (
                429, #"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#,
                .rateLimited
            ),
            (
                429,
                #"{"error":{"message":"Limit 10000. Add a payment method at /account/billing.","#
                    + #""code":"rate_limit_exceeded"}}"#,
                .rateLimited
            ),
            (
                429,
                #"{"error":{"message":"You exceeded your current quota, check billing","code":"insufficient_quota"}}"#,
                .quota
            ),
            (429, #"{"error":{"message":"x","type":"insufficient_quota","code":"rate_limit_exceeded"}}"#, .quota),
            (
                429,
                #"{"error":{"message":"Add a payment method in billing to raise it.","type":"throttling_error","#
                    + #""code":"429"}}"#,
                .rateLimited
            ),
            (400, #"{"__type":"x","code":"ThrottlingException","message":"see billing"}"#, .rateLimited),
            (429, #"{"code":"Throttling.AllocationQuota","message":"quota exceeded"}"#, .rateLimited),
            (
                429,
                #"{"error":{"message":"Request too large for m (TPM): Limit 30000, Requested 45012. The input or output "#
                    + #"tokens must be reduced","type":"tokens","code":"rate_limit_exceeded"}}"#,
                .contextLength
            ),
            (
                429,
                #"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"You exceeded your current quota, see "#
                    + #"billing","details":[{"@type":"x"},{"@type":"RetryInfo","retryDelay":"3.5s"}]}}]"#,
                .rateLimited
            ),
            (400, #"{"error":{"code":"content_filter","message":"The response was filtered"}}"#, .contentFilter),
            (403, #"{"error":{"message":"m requires moderation. Your input was flagged","code":403}}"#, .contentFilter),
            (429, #"{"error":{"message":"over","type":"budget_exceeded","code":"429"}}"#, .quota),
            (429, #"{"error":"out of credits"}"#, .quota),
            (429, "slow down", .rateLimited),
            (400, #"{"error":{"message":"Your credit balance is too low"}}"#, .quota),
            (400, #"{"code":"Arrearage","message":"Access denied"}"#, .quota),
            (400, #"{"error":{"code":"context_length_exceeded","message":"x"}}"#, .contextLength),
            (400, #"{"error":{"message":"This model's maximum context length is 8192 tokens"}}"#, .contextLength),
            (
                400,
                #"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 > 1"}}"#,
                .contextLength
            ),
            (400, #"{"error":{"message":"No connected db.","type":"no_db_connection","code":"400"}}"#, .authentication),
            (503, #"{"error":{"message":"DB down","type":"no_db_connection","code":"503"}}"#, .overloaded),
            (500, #"{"error":{"message":"see our billing page"}}"#, .unavailable),
            (413, "", .contextLength),
            (400, #"{"detail":"bad field"}"#, .badRequest),
            (404, #"{"error":{"message":"no such model"}}"#, .badRequest),
            (422, #"[{"error":{"message":"bad"}}]"#, .badRequest), (408, "", .timeout), (409, "", .unavailable),
            (500, "<html>oops</html>", .unavailable), (502, "", .unavailable), (503, "", .overloaded),
            (529, #"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, .overloaded),
        ])
    func codes(status: Int, body: String, code: ProviderError.Code) {
        let error = classify(status, body)
        #expect(error.code == code, "\(error)")
        #expect(error.status == status)
        let retryable: Set<ProviderError.Code> = [.rateLimited, .timeout, .unavailable, .overloaded]
        #expect(error.isRetryable == retryable.contains(code))
    }

    @Test(
        "is recognised inside a stream, where there is no status",
        arguments: [
            (#"{"error":{"type":"overloaded_error","message":"x"}}"#, ProviderError.Code.overloaded),
            (#"{"error":{"type":"rate_limit_error","message":"x"}}"#, .rateLimited),
            (#"{"error":{"code":429,"message":"x"}}"#, .rateLimited),
            (#"{"error":{"code":502,"message":"upstream"}}"#, .unavailable),
            (#"{"error":{"type":"invalid_request_error","message":"x"}}"#, .badRequest),
            (#"{"error":{"type":"api_error","message":"x"}}"#, .unavailable), (#"{"error":"gone"}"#, .unavailable),
            (#"{"error":{"type":"api_error","message":"Your credit balance is too low"}}"#, .quota),
            (#"{"error":{"type":"server_error","message":"This exceeds the context window"}}"#, .contextLength),
            (#"{"error":{"type":"server_error","code":"500","message":"maximum context length"}}"#, .contextLength),
            (#"{"error":{"type":"invalid_request_error","message":"prompt is too long"}}"#, .contextLength),
            (#"{"error":{"code":"503","message":"x"}}"#, .overloaded),
            (#"{"error":{"code":"429","message":"x"}}"#, .rateLimited),
            (#"{"error":{"status":"401","message":"x"}}"#, .authentication),
            (#"{"error":{"code":"1503","message":"x"}}"#, .unavailable),
        ])
    func inStream(body: String, code: ProviderError.Code) {
        #expect(classify(nil, body).code == code)
    }

    @Test(
        "is not seen in a completion",
        arguments: [#"{"choices":[],"error":null}"#, #"{"choices":[],"message":"x"}"#, "[]"])
    func none(body: String) throws {
        #expect(ProviderComplaint(json: try JSON.parse(body)) == nil)
    }

    @Test("takes the waiting time from the body where no header has it")
    func delayInBody() {
        let body = #"{"error":{"message":"quota","details":[{"retryDelay":"3.5s"}]}}"#
        #expect(classify(429, body).retryAfter == 3.5)
        #expect(classify(429, body, retryAfter: 2).retryAfter == 2)
    }

    @Test("names the account and the remedy, never the key, and stays short")
    func redaction() {
        let key = "secret-key-of-ours"
        let error = classify(
            401,
            "Wrong key \(key) (sk-abc123def456ghi7), header Authorization: Bearer abcdefghij\n"
                + String(repeating: "x", count: 10_000), secrets: [key])
        #expect(error.detail.contains("acme"))
        #expect(error.detail.contains("api_key_env"))
        for leak in [key, "sk-abc", "abcdefghij", "\n"] { #expect(!error.detail.contains(leak)) }
        #expect(error.detail.count < 800)
    }

    @Test("of the key says where that comes from", arguments: ["ACME_KEY", "/etc/nanobot/acme.key"])
    func keySource(source: String) {
        #expect(classify(401, "no", keySource: source).detail.hasSuffix("which comes from \(source)"))
        #expect(!classify(429, "no", keySource: source).detail.contains(source))
    }

    @Test(
        "says when to come back",
        arguments: [
            (["retry-after": "7"], 7.0), (["retry-after": "0.5"], 0.5), (["retry-after": "-3"], 0),
            (["retry-after-ms": "1500", "retry-after": "9"], 1.5), (["retry-after": "999999999"], 86_400),
            (["retry-after": "Sun, 06 Nov 1994 08:50:07 GMT"], 30),
            (["retry-after": "Sunday, 06-Nov-94 08:50:07 GMT"], 30),
            (["retry-after": "Sun Nov  6 08:50:07 1994"], 30), (["retry-after": "Sun, 06 Nov 1994 08:00:00 GMT"], 0),
            (["retry-after": "Wed, 29 Feb 2096 00:00:00 GMT"], 86_400),
        ] as [([String: String], Double)])
    func retryAfter(headers: [String: String], seconds: Double) {
        let now = Date(timeIntervalSince1970: 784_111_777)
        #expect(RetryAfter.seconds(header: { headers[$0] }, now: now) == seconds)
    }

    @Test(
        "is not believed when its date is none",
        arguments: ["soon", "", "nan", "inf", "Sun, 40 Nov 1994 08:49:37 GMT", "a b c d e"])
    func badRetryAfter(text: String) {
        #expect(RetryAfter.seconds(header: { $0 == "retry-after" ? text : nil }, now: Date()) == nil)
    }
}
