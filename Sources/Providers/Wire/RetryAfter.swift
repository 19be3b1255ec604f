// How long a provider asks to be left alone. Pure functions.
// Sources: RFC 9110, sections 5.6.7 (dates) and 10.2.3 (Retry-After); `retry-after-ms` is OpenAI's and Azure's.
import Foundation

/// Reads the headers that name a waiting time.
public enum RetryAfter {
    /// The longest wait believed, in seconds.
    public static let longest: Double = 86_400

    /// Seconds to wait (0 … `longest`); nil if the headers name none.
    public static func seconds(header: (String) -> String?, now: Date) -> Double? {
        if let text = header("retry-after-ms"), let milliseconds = Double(text.trimmed), milliseconds.isFinite {
            return bounded(milliseconds / 1000)
        }
        guard let text = header("retry-after")?.trimmed else { return nil }
        if let seconds = Double(text) { return seconds.isFinite ? bounded(seconds) : nil }
        return httpDate(text).map { bounded($0.timeIntervalSince(now)) }
    }

    private static func bounded(_ seconds: Double) -> Double { min(max(seconds, 0), longest) }

    /// The three forms of RFC 9110: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` and
    /// `Sun Nov  6 08:49:37 1994`. Always UTC.
    static func httpDate(_ text: String) -> Date? {
        var words = text.split { " -,".contains($0) }.map(String.init)
        guard words.count >= 5 else { return nil }
        words.removeFirst()
        if words.last == "GMT" { words.removeLast() }
        guard words.count == 4 else { return nil }
        if Int(words[0]) == nil { words = [words[1], words[0], words[3], words[2]] }
        guard let day = Int(words[0]), let month = months.firstIndex(of: words[1].lowercased()),
            var year = Int(words[2])
        else { return nil }
        if words[2].count == 2 { year += year < 70 ? 2000 : 1900 }
        let clock = words[3].split(separator: ":").compactMap { Int($0) }
        guard clock.count == 3, (1...31).contains(day), (1970...9999).contains(year), (0...23).contains(clock[0]),
            (0...59).contains(clock[1]), (0...60).contains(clock[2])
        else { return nil }
        let days = daysSince1970(year: year, month: month + 1, day: day)
        return Date(timeIntervalSince1970: Double(days * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2]))
    }

    private static let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ]

    /// Days in the Gregorian calendar, counted with years that begin in March, so that the leap day is the last of one.
    private static func daysSince1970(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
