import DurableFiles
import Foundation
import Tenants
import Testing
import TextFormats

@testable import Jobs

/// The checkout's spool folder.
private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("spool").path

private let now = Date(timeIntervalSince1970: 1_764_000_000)

/// A value the schema allows for every property.
private let samples: [String: JSON] = [
    "version": 1, "id": "019aba2c-1800-7000-8000-000000000000", "kind": "report", "user_id": "demo", "session_id": "s",
    "message": "m", "report_type": "weekly", "custom_prompt": "p", "focus_areas": ["a"], "format": "text",
    "language": "en", "priority": 1, "run_at": "2026-01-05T09:00:00Z", "expires_at": "2026-01-05T10:00:00Z",
    "timeout_s": 5, "max_attempts": 2, "idempotency_key": "k", "callback_url": "http://x.example", "on_busy": "reject",
    "model": "m", "metadata": ["a": "b"], "admitted": [:],
]

struct JobSchemaTests {
    private static func schema() throws -> JSON {
        try JSON.parse(try LinuxFileSystem().readFile("\(folder)/job.schema.json"))
    }

    private func accepts(_ members: JSONObject) -> Bool {
        var all: JSONObject = ["kind": "report", "user_id": "demo"]
        all.merge(members)
        return (try? JobRequest.parse(.object(all), now: now, allowAnyID: true)) != nil
    }

    @Test("the schema knows exactly the keys the parser knows")
    func keys() throws {
        let properties = try #require(try Self.schema()["properties"]?.object)
        #expect(Set(properties.keys) == Set(samples.keys))
        for (key, value) in samples { #expect(accepts([key: value]), "\(key)") }
        #expect(try Self.schema()["additionalProperties"] == false)
        #expect(try Self.schema()["required"] == ["kind", "user_id"])
    }

    @Test("every bound of the schema is the parser's: the last value inside is taken, the first outside is not")
    func bounds() throws {
        for (key, property) in try #require(try Self.schema()["properties"]?.object) {
            for bound in Self.texts(property) where key != "language" {
                #expect(accepts([key: .string(bound.text)]) == bound.isInside, "\(key) \(bound.text.count)")
            }
            if let minimum = property["minimum"]?.int, let maximum = property["maximum"]?.int {
                for (value, isInside) in [(minimum, true), (maximum, true), (minimum - 1, false), (maximum + 1, false)]
                {
                    #expect(accepts([key: JSON(value)]) == isInside, "\(key) \(value)")
                }
            }
            for word in property["enum"]?.array ?? [] where key != "kind" {
                #expect(accepts([key: word]), "\(key) \(word)")
            }
            if let count = property["maxItems"]?.int {
                #expect(accepts([key: .array(Array(repeating: "a", count: count))]))
                #expect(!accepts([key: .array(Array(repeating: "a", count: count + 1))]))
            }
            if let count = property["maxProperties"]?.int {
                let names = (0...count).map { "n\($0)" }
                #expect(accepts([key: JSON(Dictionary(uniqueKeysWithValues: names.dropLast().map { ($0, "") }))]))
                #expect(!accepts([key: JSON(Dictionary(uniqueKeysWithValues: names.map { ($0, "") }))]))
            }
        }
    }

    private static func texts(_ property: JSON) -> [(text: String, isInside: Bool)] {
        guard let maximum = property["maxLength"]?.int else { return [] }
        let isAddress = property["pattern"]?.string?.contains("://") == true
        func text(_ count: Int) -> String {
            isAddress ? "http://" + String(repeating: "a", count: count - 7) : String(repeating: "a", count: count)
        }
        return [(text(maximum), true), (text(maximum + 1), false)]
            + (property["minLength"]?.int.map { [(text($0), true), ("", false)] } ?? [])
    }

    @Test("the reserved user ids of the schema are refused")
    func reserved() throws {
        let names = try #require(try Self.schema()["properties"]?["user_id"]?["not"]?["enum"]?.array)
        for name in names { #expect(!accepts(["user_id": name])) }
    }

    @Test("every example is a job, for the user the quickstart makes")
    func examples() throws {
        let names = try LinuxFileSystem().list("\(folder)/examples").map(\.name)
        for name in ["chat.json", "report.json", "report-custom.json", "report-html-zh.json", "scheduled.json"] {
            #expect(names.contains(name))
        }
        for name in names {
            let job = try JobRequest.parse(try LinuxFileSystem().readFile("\(folder)/examples/\(name)"), now: now)
            #expect(job.userID.rawValue == "demo", "\(name)")
        }
    }
}
