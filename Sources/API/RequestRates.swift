// How many requests a credential may make: a bucket that fills evenly and holds a minute's worth. Any thread; in memory, so
// each process counts for itself.
import Foundation
import Synchronization

final class RequestRates: Sendable {
    /// Where a caller stands after a request.
    struct Standing: Sendable, Hashable {
        /// Requests a minute.
        var limit: Int
        /// Whole requests left at once.
        var remaining: Int
        /// Seconds until the bucket is full again, rounded up.
        var resetSeconds: Int
        /// Seconds until one request is allowed; nil: this one was.
        var retryAfter: Int?
    }

    private struct Bucket {
        var level: Double
        var at: Date
    }

    /// Requests a minute; 0: no bound.
    private let perMinute: Int
    private let now: @Sendable () -> Date
    private let buckets = Mutex<[String: Bucket]>([:])

    /// Callers remembered at once; full buckets are forgotten first, for they say nothing.
    private static let maximumCallers = 50_000

    init(perMinute: Int, now: @escaping @Sendable () -> Date) {
        self.perMinute = perMinute
        self.now = now
    }

    /// Counts a request. - Returns: nil without a bound.
    func take(_ credential: String) -> Standing? {
        guard perMinute > 0 else { return nil }
        let now = now()
        let capacity = Double(perMinute)
        let perSecond = capacity / 60
        let (level, isAllowed) = buckets.withLock { buckets -> (Double, Bool) in
            if buckets.count >= Self.maximumCallers {
                buckets = buckets.filter { Self.level($0.value, now, perSecond, capacity) < capacity }
                if buckets.count >= Self.maximumCallers { buckets = [:] }
            }
            var level = buckets[credential].map { Self.level($0, now, perSecond, capacity) } ?? capacity
            let isAllowed = level >= 1
            if isAllowed { level -= 1 }
            buckets[credential] = Bucket(level: level, at: now)
            return (level, isAllowed)
        }
        return Standing(
            limit: perMinute, remaining: Int(level), resetSeconds: Int(((capacity - level) / perSecond).rounded(.up)),
            retryAfter: isAllowed ? nil : max(1, Int(((1 - level) / perSecond).rounded(.up))))
    }

    /// A clock set back fills nothing and takes nothing.
    private static func level(_ bucket: Bucket, _ now: Date, _ perSecond: Double, _ capacity: Double) -> Double {
        min(capacity, bucket.level + max(0, now.timeIntervalSince(bucket.at)) * perSecond)
    }
}
