// Reads a job file's members one by one and names the first that is wrong. Lengths are counted in Unicode scalar
// values, as JSON Schema counts them: a bound on grapheme clusters would bound no bytes. Pure; any thread.

import Foundation
import Spool
import Tenants
import TextFormats

struct JobRequestReader {
    let now: Date
    let allowAnyID: Bool

    /// The most that `limits.message_kb` can allow.
    static let maxMessage = 256 << 10
    static let maxPrompt = 10_000
    static let maxFocusAreas = 50
    static let maxFocusArea = 200
    static let maxModel = 200
    static let maxKey = 255
    static let maxURL = 2_048
    static let maxMetadata = 64
    static let maxMetadataName = 128
    static let maxMetadataValue = 2_000
    static let timeouts = 1...3_600
    static let attempts = 1...100
    /// A job waits at most this long for its time, in seconds: ten years.
    static let maxDelay: TimeInterval = 3_653 * 86_400

    func read(_ json: JSON) throws(FieldError) -> JobRequest {
        var reader = try ObjectReader(json)
        if let version = try reader.int("version"), version != 1 {
            throw reader.error("version", "must be 1, the only version there is")
        }
        // Written into stored jobs by admission; a stored file dropped again is taken as a new request.
        _ = try reader.object("admitted")
        let kind = try reader.require(try reader.choice("kind", of: JobKind.self), "kind")
        var job = JobRequest(kind: kind, userID: try userID(&reader))
        job.id = try id(&reader)
        try readConversation(&reader, into: &job)
        try readReport(&reader, into: &job)
        try readRunning(&reader, into: &job)
        job.metadata = try metadata(&reader)
        try reader.finish()
        return job
    }

    private func userID(_ reader: inout ObjectReader) throws(FieldError) -> UserID {
        let text = try reader.require(try reader.string("user_id"), "user_id")
        do {
            return try UserID(text)
        } catch {
            throw reader.error("user_id", error.detail)
        }
    }

    private func id(_ reader: inout ObjectReader) throws(FieldError) -> JobID? {
        guard let text = try reader.string("id") else { return nil }
        guard let id = JobID(text) else {
            throw reader.error("id", "must be a UUID of version 7 in lower case, or be left out")
        }
        guard !allowAnyID else { return id }
        let times = now.addingTimeInterval(-JobRequest.idMaxAge)...now.addingTimeInterval(JobRequest.idMaxFuture)
        guard times.contains(id.time) else { throw reader.error("id", JobError.unusableID.detail) }
        return id
    }

    private func readConversation(_ reader: inout ObjectReader, into job: inout JobRequest) throws(FieldError) {
        if let text = try reader.string("session_id") {
            do {
                job.sessionID = try SessionID(text)
            } catch {
                throw reader.error("session_id", error.detail)
            }
        } else if job.kind == .chat {
            job.sessionID = .standard
        }
        job.message = try text("message", &reader, 1...Self.maxMessage)
        if job.kind == .chat { _ = try reader.require(job.message, "message") }
        if let message = job.message, message.unicodeScalars.allSatisfy(\.properties.isWhitespace) {
            throw reader.error("message", "must not be blank")
        }
        job.onBusy = try reader.choice("on_busy", of: OnBusy.self) ?? .enqueue
    }

    private func readReport(_ reader: inout ObjectReader, into job: inout JobRequest) throws(FieldError) {
        job.reportType = try reader.choice("report_type", of: ReportType.self)
        if job.kind == .report, job.reportType == nil { job.reportType = .daily }
        let prompt = try text("custom_prompt", &reader, 0...Self.maxPrompt)
        job.customPrompt = prompt?.isEmpty == true ? nil : prompt
        job.focusAreas = try reader.strings("focus_areas", maxCount: Self.maxFocusAreas) ?? []
        for (index, area) in job.focusAreas.enumerated() {
            try check(area, "focus_areas[\(index)]", reader, 1...Self.maxFocusArea, TextRule.line)
        }
        job.format = try reader.choice("format", of: ReportFormat.self)
        job.language = try line("language", &reader, 2...LanguageTag.maximumLength)
        if let language = job.language, !LanguageTag.isWellFormed(language) {
            throw reader.error("language", "must be a language tag such as zh, en or pt-BR")
        }
    }

    private func readRunning(_ reader: inout ObjectReader, into job: inout JobRequest) throws(FieldError) {
        job.priority = try reader.int("priority", in: 0...9) ?? JobRequest.defaultPriority
        job.runAt = try reader.time("run_at")
        if let runAt = job.runAt, runAt > now.addingTimeInterval(Self.maxDelay) {
            throw reader.error("run_at", "must be at most ten years ahead")
        }
        job.expiresAt = try reader.time("expires_at")
        job.timeout = try reader.int("timeout_s", in: Self.timeouts) ?? JobRequest.defaultTimeout
        job.maxAttempts = try reader.int("max_attempts", in: Self.attempts) ?? JobRequest.defaultMaxAttempts
        if let key = try reader.string("idempotency_key") { job.idempotencyKey = try Self.checkedKey(key) }
        job.callbackURL = try line("callback_url", &reader, 1...Self.maxURL)
        if let url = job.callbackURL, !TextRule.isWebAddress(url) {
            throw reader.error("callback_url", "must be an http or https address without a user name in it")
        }
        job.model = try line("model", &reader, 1...Self.maxModel)
        if let model = job.model, !TextRule.isVisibleASCII(model) {
            throw reader.error("model", "must be a model's name without spaces, such as openai/gpt-4o-mini")
        }
    }

    private func metadata(_ reader: inout ObjectReader) throws(FieldError) -> [String: String] {
        // A stored job has names of the service beside the sender's.
        let names = reader.members["metadata"]?.object?.keys.count { $0.hasPrefix(ClientHistoryReference.reserved) } ?? 0
        let own = allowAnyID ? min(names, ClientHistoryReference.count) : 0
        let map = try reader.stringMap("metadata", maxCount: Self.maxMetadata + own) ?? [:]
        for (name, value) in map.sorted(by: { $0.key < $1.key }) {
            try check(name, "metadata", reader, 1...Self.maxMetadataName, TextRule.line)
            if !allowAnyID, name.hasPrefix(ClientHistoryReference.reserved) {
                let detail = "must not begin with \"\(ClientHistoryReference.reserved)\": those names are the service's own"
                throw reader.error("metadata.\(name)", detail)
            }
            try check(value, "metadata.\(name)", reader, 0...Self.maxMetadataValue, TextRule.text)
        }
        return map
    }

    static func checkedKey(_ key: String) throws(FieldError) -> String {
        let count = key.unicodeScalars.count
        guard (1...maxKey).contains(count), key.unicodeScalars.allSatisfy(TextRule.line.allows) else {
            throw FieldError(field: "idempotency_key", detail: "must be 1 to \(maxKey) printable characters")
        }
        return key
    }

    // MARK: Text

    /// Text of several lines.
    private func text(
        _ key: String, _ reader: inout ObjectReader, _ bounds: ClosedRange<Int>
    ) throws(FieldError) -> String? {
        guard let value = try reader.string(key) else { return nil }
        try check(value, key, reader, bounds, TextRule.text)
        return value
    }

    private func line(
        _ key: String, _ reader: inout ObjectReader, _ bounds: ClosedRange<Int>
    ) throws(FieldError) -> String? {
        guard let value = try reader.string(key) else { return nil }
        try check(value, key, reader, bounds, TextRule.line)
        return value
    }

    private func check(
        _ value: String, _ key: String, _ reader: ObjectReader, _ bounds: ClosedRange<Int>, _ rule: TextRule
    ) throws(FieldError) {
        let count = value.unicodeScalars.count
        guard count >= bounds.lowerBound else {
            let detail = count == 0 ? "must not be empty" : "must have at least \(bounds.lowerBound) characters"
            throw reader.error(key, detail)
        }
        guard count <= bounds.upperBound else {
            throw reader.error(key, "must have at most \(bounds.upperBound) characters, has \(count)")
        }
        guard let bad = value.unicodeScalars.first(where: { !rule.allows($0) }) else { return }
        let code = String(bad.value, radix: 16, uppercase: true)
        throw reader.error(key, "must not contain the control character U+\(code)")
    }
}

/// Which characters a text may have.
enum TextRule: Sendable {
    /// One line: no control characters, no line separators.
    case line
    /// Several lines: tab, line feed and carriage return too.
    case text

    func allows(_ scalar: Unicode.Scalar) -> Bool {
        switch self {
        case .text:
            switch scalar.value {
            case 0x09, 0x0A, 0x0D: return true
            default: return scalar.value >= 0x20 && scalar.value != 0x7F
            }
        case .line:
            return scalar.properties.generalCategory != .control && scalar.value != 0x2028 && scalar.value != 0x2029
        }
    }

    static func isVisibleASCII(_ text: String) -> Bool {
        text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// http or https, a host, no user name, no spaces. Which hosts may be reached is decided on the connected socket.
    static func isWebAddress(_ text: String) -> Bool {
        guard isVisibleASCII(text) else { return false }
        let lower = text.lowercased()
        guard let scheme = ["http://", "https://"].first(where: { lower.hasPrefix($0) }) else { return false }
        let authority = lower.utf8.dropFirst(scheme.utf8.count).prefix { !"/?#".utf8.contains($0) }
        return !authority.isEmpty && !authority.contains(UInt8(ascii: "@"))
    }
}
