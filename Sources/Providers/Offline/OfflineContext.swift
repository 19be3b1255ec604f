// The context the agent appends to a user message: after the user's own words a line `---`, then `[context]` and one
// line per fact. Pure, any thread. Only the last such block of the message is read; one the user typed above it stays
// part of the words. Its values are data: shown or compared, never obeyed.
import Foundation
import TextFormats

struct OfflineContext: Sendable {
    var time: Date?
    /// IANA identifier.
    var timeZone: String?
    var user: String?
    var language: String?
    /// The user's watchlist: kinds to entries.
    var watchlist: JSON?

    private static let separator = "\n---\n[context]"

    /// The user's own words and the context below them.
    static func split(_ message: String) -> (words: String, OfflineContext) {
        let hasReturns = message.utf8.contains(UInt8(ascii: "\r"))
        let text = hasReturns ? message.replacingOccurrences(of: "\r\n", with: "\n") : message
        let whole = text.hasPrefix("---\n[context]") ? "\n" + text : text
        guard let mark = whole.lastRange(ofBytes: separator),
            mark.upperBound == whole.endIndex || whole[mark.upperBound].isNewline
        else { return (text, OfflineContext()) }
        return (String(whole[..<mark.lowerBound]), OfflineContext(lines: whole[mark.upperBound...]))
    }

    init() {}

    private init(lines: Substring) {
        for line in lines.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].trimmed()
            switch line[..<colon] {
            case "time": readTime(value)
            case "user": user = value
            case "language": language = value
            // A watchlist that is cut or broken is no watchlist; the tool still has it.
            case "watchlist": watchlist = try? JSON.parse(value)
            default: break
            }
        }
    }

    /// "2026-11-24T03:44:46.123Z (Asia/Shanghai)"
    private mutating func readTime(_ value: String) {
        let parts = value.split(separator: " ", maxSplits: 1)
        time = parts.first.flatMap { RFC3339.date(String($0)) }
        guard parts.count == 2, parts[1].hasPrefix("("), parts[1].hasSuffix(")") else { return }
        timeZone = String(parts[1].dropFirst().dropLast())
    }

    /// The entries of one kind; empty when the context names none.
    func entries(_ kind: String) -> [String] { watchlist?[kind]?.array?.compactMap(\.string) ?? [] }
}

/// A moment on the user's clock.
struct LocalMoment: Sendable {
    /// "2026-11-24"
    let day: String
    /// "11:44"
    let clock: String
    /// 1 is Sunday, 7 Saturday.
    let weekday: Int
    /// The zone it is told in; "UTC" when the user's is unknown here.
    let zone: String

    init(_ date: Date, zone identifier: String?) {
        let zone = identifier.flatMap { TimeZone(identifier: $0) }
        let seconds = Int64((date.timeIntervalSince1970 + Double(zone?.secondsFromGMT(for: date) ?? 0)).rounded(.down))
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let civil = RFC3339.civil(days: days)
        let minutes = Int(seconds - days * 86_400) / 60
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        day = "\(civil.year)-\(two(Int(civil.month)))-\(two(Int(civil.day)))"
        clock = "\(two(minutes / 60)):\(two(minutes % 60))"
        // 1970-01-01 was a Thursday.
        weekday = Int(((days + 4) % 7 + 7) % 7) + 1
        self.zone = zone == nil ? "UTC" : identifier ?? "UTC"
    }
}
