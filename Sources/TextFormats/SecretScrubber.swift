// Takes keys out of what other programs say. Providers echo keys in their error messages, whole or in part, and servers of tools
// echo headers; those words go into logs, status files, conversations and answers. Pure; any thread.
import Foundation

/// Knows what must not be seen.
public struct SecretScrubber: Sendable {
    /// The longest text `scrub` lets through, in characters.
    public static let maxLength = 500
    private static let mark = "[key]"

    private let known: [String]
    let patterns: SecretPatterns

    /// - Parameter secrets: of at least six bytes; shorter ones are no secrets.
    public init(_ secrets: [String]) {
        known = secrets
        patterns = SecretPatterns(secrets)
    }

    /// The secrets that these headers hold: each value, and each value without the word before it ("Bearer", "Basic"). What is in
    /// Base64 behind "Basic" is a name and a password, which are secrets too.
    public init(headers: [(name: String, value: String)]) {
        var secrets: [String] = []
        for header in headers {
            secrets.append(header.value)
            let parts = header.value.split(separator: " ", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let credential = String(parts[1])
            secrets.append(credential)
            if parts[0].lowercased() == "basic", let data = Data(base64Encoded: credential),
                let colon = data.firstIndex(of: UInt8(ascii: ":"))
            {
                secrets.append(String(decoding: data[(colon + 1)...], as: UTF8.self))
            }
        }
        self.init(secrets)
    }

    /// One that knows the secrets of these headers, as in `init(headers:)`, too.
    public func adding(_ values: [String]) -> SecretScrubber {
        SecretScrubber(known + SecretScrubber(headers: values.map { (name: "", value: $0) }).known)
    }

    /// Whether a header or variable of this name holds a credential.
    public static func isCredential(name: String) -> Bool {
        let name = name.lowercased()
        return ["auth", "key", "token", "secret", "cookie", "passw", "credential", "signature", "session"].contains {
            name.contains($0)
        }
    }

    // MARK: Any text

    /// `text` without the secrets, in whatever way they are written; otherwise as it is.
    public func hide(_ text: String) -> String {
        guard !patterns.isEmpty else { return text }
        let bytes = Array(text.utf8)
        let ranges = patterns.ranges(in: bytes)
        return ranges.isEmpty ? text : Self.replaced(ranges, in: bytes)
    }

    /// The same for text in any encoding that keeps ASCII.
    public func hide(_ bytes: [UInt8]) -> [UInt8] {
        guard !patterns.isEmpty else { return bytes }
        let ranges = patterns.ranges(in: bytes)
        return ranges.isEmpty ? bytes : Self.replacing(ranges, in: bytes)
    }

    /// Every string in `json`, names of members too.
    public func hide(_ json: JSON) -> JSON {
        guard !patterns.isEmpty else { return json }
        if let text = json.string { return .string(hide(text)) }
        if let list = json.array { return .array(list.map(hide)) }
        guard let members = json.object else { return json }
        return .object(JSONObject(members.map { (hide($0.key), hide($0.value)) }))
    }

    private static func replaced(_ ranges: [Range<Int>], in bytes: [UInt8]) -> String {
        String(decoding: replacing(ranges, in: bytes), as: UTF8.self)
    }

    private static func replacing(_ ranges: [Range<Int>], in bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var place = 0
        for range in ranges {
            result += bytes[place..<range.lowerBound] + Array(mark.utf8)
            place = range.upperBound
        }
        return result + bytes[place...]
    }

    // MARK: Words of a failure

    /// One line of `text` without the secrets, parts of them, and anything that has the shape of a key, cut to `maxLength`.
    public func scrub(_ text: String) -> String {
        // Cut first, with room for what is replaced: the work is bounded whatever the server sent. Code points, because one
        // character may have any number of them.
        let start = String(String.UnicodeScalarView(text.unicodeScalars.prefix(Self.maxLength * 4)))
        var result = withoutParts(start)
        result = result.replacing(/(sk|pk|key|gsk|xai|nbt|ghp|hf)[-_][A-Za-z0-9_*.\-]{8,}/, with: Self.mark)
        result = result.replacing(/AIza[A-Za-z0-9_*.\-]{8,}/, with: Self.mark)
        result = result.replacing(/eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-.]{8,}/, with: Self.mark)
        result = result.replacing(/(?i)bearer\s+[A-Za-z0-9_.\-+\/=]{6,}/, with: "Bearer \(Self.mark)")
        result = result.replacing(/(?i)basic\s+[A-Za-z0-9+\/=]{12,}/, with: "Basic \(Self.mark)")
        result = String(result.map { $0.isNewline ? " " : $0 })
        return result.count <= Self.maxLength ? result : result.prefix(Self.maxLength) + "…"
    }

    /// `text` without the secrets, parts of them that something covers, and the beginning of one at its end; otherwise as it is.
    public func withoutParts(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var ranges = patterns.ranges(in: bytes) + masked(in: bytes)
        // The text may have been cut in the middle of a secret, here or where it came from.
        if let start = patterns.beginning(in: bytes, least: Self.telling) { ranges.append(start..<bytes.count) }
        return ranges.isEmpty ? text : Self.replaced(SecretPatterns.merged(ranges), in: bytes)
    }

    /// Bytes of a secret that say something about it.
    private static let telling = 4

    /// Secrets of which the middle or the end was covered: "acme-12****89", "acme-12…".
    private func masked(in bytes: [UInt8]) -> [Range<Int>] {
        let lower = bytes.map(SecretPatterns.lowered)
        var found: [Range<Int>] = []
        var place = 0
        while place < lower.count {
            let end = Self.endOfMask(lower, place)
            guard end > place else {
                place += 1
                continue
            }
            for secret in patterns.secrets {
                let before = (0...min(secret.count, place)).last { lower[(place - $0)..<place].elementsEqual(secret[..<$0]) } ?? 0
                let after =
                    (0...min(secret.count, lower.count - end)).last {
                        lower[end..<(end + $0)].elementsEqual(secret[(secret.count - $0)...])
                    } ?? 0
                if before + after >= Self.telling { found.append((place - before)..<(end + after)) }
            }
            place = end
        }
        return found
    }

    /// Where a run of covering characters ends that begins at `place`; `place` when none does.
    private static func endOfMask(_ bytes: [UInt8], _ place: Int) -> Int {
        for (cover, least) in [([0x2A], 2), ([0x2E], 3), ([0x78], 3), ([0x23], 3), ([0xE2, 0x80, 0xA6], 1), ([0xE2, 0x80, 0xA2], 1)]
            as [([UInt8], Int)]
        {
            var end = place
            while end + cover.count <= bytes.count, bytes[end..<(end + cover.count)].elementsEqual(cover) { end += cover.count }
            if end - place >= least * cover.count { return end }
        }
        return place
    }
}

/// Takes secrets out of a text that comes piece by piece, where a secret may be spread over several pieces. What may become one
/// is held back until the next piece. One thread at a time.
public struct StreamScrubber {
    private let scrubber: SecretScrubber
    private var held: [UInt8] = []
    /// Something was taken out.
    public private(set) var hasHidden = false

    public init(_ scrubber: SecretScrubber) { self.scrubber = scrubber }

    /// - Returns: what can be shown by now.
    public mutating func feed(_ text: String) -> String {
        guard !scrubber.patterns.isEmpty else { return text }
        held += text.utf8
        let ranges = scrubber.patterns.ranges(in: held)
        var end = scrubber.patterns.beginning(in: held, least: 0) ?? held.count
        // Digits that follow a secret in Base64 belong to it.
        if let last = ranges.last, last.upperBound == held.count { end = min(end, last.lowerBound) }
        for range in ranges where range.contains(end) { end = range.lowerBound }
        let shown = scrubber.hide(String(decoding: held[..<end], as: UTF8.self))
        if ranges.contains(where: { $0.upperBound <= end }) { hasHidden = true }
        held.removeFirst(end)
        return shown
    }

    /// - Returns: the rest, once the text is over.
    public mutating func finish() -> String {
        defer { held = [] }
        let rest = String(decoding: held, as: UTF8.self)
        let shown = scrubber.hide(rest)
        if shown != rest { hasHidden = true }
        return shown
    }
}
