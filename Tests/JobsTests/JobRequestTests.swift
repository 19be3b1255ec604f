import Foundation
import Spool
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Jobs

private let now = Date(timeIntervalSince1970: 1_764_000_000)

private func parse(_ text: String, allowAnyID: Bool = false) throws -> JobRequest {
    try JobRequest.parse(Array(text.utf8), now: now, allowAnyID: allowAnyID)
}

/// A chat with these members besides the required ones.
private func chat(_ members: String) -> String {
    #"{"kind":"chat","user_id":"demo","message":"hi""# + (members.isEmpty ? "" : ",") + members + "}"
}

private func id(madeAt seconds: TimeInterval) -> String { "\(JobID.make(now: now.addingTimeInterval(seconds)))" }

struct JobRequestTests {
    @Test(
        "a member within its bounds is taken",
        arguments: [
            #""version":1"#, #""session_id":"a:b c/中文""#, #""session_id":"\#(String(repeating: "s", count: 128))""#,
            #""report_type":"custom""#, #""custom_prompt":"line\nline""#, #""focus_areas":["a","b"]"#,
            #""focus_areas":[]"#,
            #""format":"html""#, #""language":"pt-BR""#, #""priority":0"#, #""priority":9"#, #""priority":3.0"#,
            #""run_at":"2026-01-05T09:00:00+08:00""#, #""expires_at":"2020-01-01T00:00:00Z""#, #""timeout_s":1"#,
            #""timeout_s":3600"#, #""max_attempts":1"#, #""idempotency_key":"k 1""#,
            #""callback_url":"https://x.example/p?q""#,
            #""on_busy":"reject""#, #""model":"openai/gpt-4o-mini""#, #""metadata":{"a":"b"}"#, #""metadata":null"#,
            #""run_at":null"#, #""admitted":{"incarnation":"x"}"#,
        ])
    func valid(members: String) throws { _ = try parse(chat(members)) }

    @Test(
        "a member out of its bounds is refused by name",
        arguments: [
            ("version", #""version":2"#), ("id", #""id":"7""#), ("id", #""id":"\#(UUID())""#),
            ("session_id", #""session_id":"""#), ("session_id", #""session_id":"a\nb""#),
            ("session_id", #""session_id":7"#),
            ("session_id", #""session_id":"\#(String(repeating: "s", count: 129))""#),
            ("report_type", #""report_type":"yearly""#), ("custom_prompt", #""custom_prompt":["x"]"#),
            ("custom_prompt", #""custom_prompt":"\u0000""#), ("focus_areas", #""focus_areas":"x""#),
            ("focus_areas[1]", #""focus_areas":["a",1]"#), ("focus_areas[0]", #""focus_areas":[""]"#),
            ("focus_areas[0]", #""focus_areas":["a\nb"]"#), ("format", #""format":"pdf""#),
            ("language", #""language":"e""#),
            ("language", #""language":"../etc""#), ("priority", #""priority":10"#), ("priority", #""priority":-1"#),
            ("priority", #""priority":"1""#), ("priority", #""priority":1.5"#), ("priority", #""priority":true"#),
            ("run_at", #""run_at":"tomorrow""#), ("run_at", #""run_at":"2999-01-01T00:00:00Z""#),
            ("run_at", #""run_at":1764000000"#), ("expires_at", #""expires_at":"2026-02-30T00:00:00Z""#),
            ("timeout_s", #""timeout_s":0"#), ("timeout_s", #""timeout_s":3601"#),
            ("max_attempts", #""max_attempts":0"#),
            ("idempotency_key", #""idempotency_key":"""#), ("idempotency_key", #""idempotency_key":"a\u0007""#),
            ("callback_url", #""callback_url":"ftp://x""#), ("callback_url", #""callback_url":"http://""#),
            ("callback_url", #""callback_url":"http://u:p@x/""#), ("callback_url", #""callback_url":"http://a b""#),
            ("on_busy", #""on_busy":"wait""#), ("model", #""model":"a b""#), ("metadata", #""metadata":["a"]"#),
            ("metadata.a", #""metadata":{"a":1}"#), ("metadata", #""metadata":{"":"x"}"#),
            ("admitted", #""admitted":1"#),
            ("sesion_id", #""sesion_id":"x""#),
        ])
    func invalid(field: String, members: String) throws {
        let error = jobError { _ = try parse(chat(members)) }
        #expect(error?.kind == .invalidJob && error?.field == field, "\(members): \(String(describing: error))")
    }

    @Test(
        "what every job needs is asked for by name",
        arguments: [
            ("kind", #"{"user_id":"demo"}"#), ("kind", #"{"kind":"dance","user_id":"demo"}"#),
            ("user_id", #"{"kind":"report"}"#), ("user_id", #"{"kind":"report","user_id":"../x"}"#),
            ("user_id", #"{"kind":"report","user_id":"root"}"#), ("user_id", #"{"kind":"report","user_id":null}"#),
            ("message", #"{"kind":"chat","user_id":"demo"}"#),
            ("message", #"{"kind":"chat","user_id":"demo","message":""}"#),
            ("message", #"{"kind":"chat","user_id":"demo","message":" \n "}"#),
            ("message", #"{"kind":"chat","user_id":"demo","message":"a\u001b[0m"}"#),
        ])
    func required(field: String, text: String) throws {
        let error = jobError { _ = try parse(text) }
        #expect(error?.kind == .invalidJob && error?.field == field, "\(text): \(String(describing: error))")
    }

    @Test(
        "what is no JSON object, or is too long, is refused as such",
        arguments: [
            ("", JobError.Kind.invalidJSON), ("{", .invalidJSON), (#"{"kind":"chat","kind":"chat"}"#, .invalidJSON),
            ("[]", .invalidJob), (String(repeating: " ", count: JobRequest.maxBytes + 1), .tooLarge),
        ])
    func shape(text: String, kind: JobError.Kind) throws { #expect(jobError { _ = try parse(text) }?.kind == kind) }

    @Test("bytes that are no UTF-8 are refused")
    func encoding() throws {
        let bytes = Array(#"{"kind":"chat","user_id":"demo","message":""#.utf8) + [0xC3, 0x28] + Array(#""}"#.utf8)
        #expect(jobError { _ = try JobRequest.parse(bytes, now: now) }?.kind == .invalidJSON)
    }

    @Test("names in the metadata that are the service's own are refused, and stay in a stored job")
    func reservedMetadata() throws {
        let text = #"{"kind":"chat","user_id":"demo","message":"hi","metadata":{"nanobot.history":"x"}}"#
        #expect(jobError { _ = try parse(text) }?.field == "metadata.nanobot.history")
        let job = try parse(#"{"kind":"chat","user_id":"demo","message":"hi"}"#)
            .with(ClientHistoryReference(digest: "d", follows: "j"))
        let stored = try JobRequest.parse(job.json, now: now, allowAnyID: true)
        #expect(ClientHistoryReference(stored.metadata) == ClientHistoryReference(digest: "d", follows: "j"))
    }

    @Test(
        "a stored message has up to 262,144 characters; a setting bounds the bytes of a new one",
        arguments: [
            ("a", 10_001, true), ("😀", 10_000, true), ("a", 262_144, true), ("中", 262_144, true), ("a", 262_145, false),
            ("中", 262_145, false),
        ])
    func messageLength(character: String, count: Int, isValid: Bool) throws {
        let text = #"{"kind":"chat","user_id":"demo","message":"\#(String(repeating: character, count: count))"}"#
        let error = jobError { _ = try parse(text) }
        #expect(isValid ? error == nil : error?.field == "message")
    }

    @Test(
        "an id of the last 7 days is taken, others only from the service itself",
        arguments: [
            (0, true), (-6.9 * 86_400, true), (240, true), (-7.1 * 86_400, false), (400, false), (86_400 * 400, false),
        ] as [(TimeInterval, Bool)])
    func idAge(age: TimeInterval, isValid: Bool) throws {
        let text = chat(#""id":"\#(id(madeAt: age))""#)
        #expect((jobError { _ = try parse(text) } == nil) == isValid)
        #expect(try parse(text, allowAnyID: true).id != nil)
    }

    @Test("defaults are those of the format")
    func defaults() throws {
        let chat = try parse(chat(""))
        #expect(chat.sessionID == .standard && chat.onBusy == .enqueue && chat.reportType == nil)
        #expect(chat.timeout == 300 && chat.maxAttempts == 4 && chat.id == nil && chat.kind.lane == .interactive)
        let report = try parse(#"{"kind":"report","user_id":"demo"}"#)
        #expect(report.sessionID == nil && report.reportType == .daily && report.format == nil)
    }

    @Test("the canonical form reads back as the same job, and equal content has an equal fingerprint whatever the id")
    func canonical() throws {
        let text = chat(
            #""id":"\#(id(madeAt: 0))","metadata":{"b":"2","a":"1"},"run_at":"2026-01-05T09:00:00+08:00","model":"m","#
                + #""focus_areas":["x"],"priority":1,"timeout_s":9,"max_attempts":2,"on_busy":"interrupt","#
                + #""format":"text""#
        )
        let job = try parse(text)
        #expect(try JobRequest.parse(job.json, now: now) == job)
        let shuffled = try parse(
            #"{"on_busy":"enqueue","session_id":"default","priority":5,"message":"hi","user_id":"demo","kind":"chat"}"#)
        #expect(shuffled.fingerprint == (try parse(chat(#""id":"\#(id(madeAt: -5))""#))).fingerprint)
        #expect(shuffled.fingerprint != (try parse(chat(#""session_id":"other""#))).fingerprint)
    }
}
