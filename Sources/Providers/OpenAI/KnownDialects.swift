// The dialects of an account's models, as far as refusals have taught them. What was learned holds for a time and is then
// learned again: a server may have changed, and one odd refusal must not shape all later requests. Any thread.
import Foundation
import Synchronization

final class KnownDialects: Sendable {
    /// Models that are remembered; the next one beyond them clears the memory.
    private static let maxModels = 256
    /// Seconds.
    static let lifetime: TimeInterval = 3_600

    private struct Entry {
        var dialect: OpenAIDialect
        var until: Date
    }

    private let entries = Mutex<[String: Entry]>([:])
    private let now: @Sendable () -> Date

    init(now: @escaping @Sendable () -> Date) { self.now = now }

    func dialect(of model: String) -> OpenAIDialect {
        let now = now()
        return entries.withLock { entries in
            guard let entry = entries[model], entry.until > now else { return OpenAIDialect() }
            return entry.dialect
        }
    }

    /// - Parameter dialect: one in which the server has answered.
    func remember(_ dialect: OpenAIDialect, of model: String) {
        let until = now() + Self.lifetime
        entries.withLock { entries in
            if entries.count >= Self.maxModels, entries[model] == nil { entries = [:] }
            entries[model] = Entry(dialect: dialect, until: until)
        }
    }
}
