// When which waiting job may not be begun any more. One timer for each second in which something expires, and a few bytes for
// each job until then. Any thread.

import Foundation
import Spool
import Synchronization

final class ExpiryBoard: Sendable {
    private let queue = DispatchQueue(label: "nanobot.expiries", qos: .utility)
    /// By the second, since 1970, in which they are looked at.
    private let due = Mutex<[Int: [(id: JobID, expiry: Date)]]>([:])

    /// - Parameters:
    ///   - now: by the clock that `expiry` is meant by.
    ///   - end: called once the time is over, on a thread of the board's own.
    func watch(_ id: JobID, until expiry: Date, now: Date, end: @escaping @Sendable (JobID, Date) -> Void) {
        // The second after, so that the clock is past it.
        let second = Int(expiry.timeIntervalSince1970.rounded(.up)) + 1
        let isFirst = due.withLock { due in
            due[second, default: []].append((id, expiry))
            return due[second]?.count == 1
        }
        guard isFirst else { return }
        let seconds = max(0, Double(second) - now.timeIntervalSince1970)
        queue.asyncAfter(wallDeadline: .now() + seconds) { [self] in
            for one in due.withLock({ $0.removeValue(forKey: second) }) ?? [] { end(one.id, one.expiry) }
        }
    }
}
