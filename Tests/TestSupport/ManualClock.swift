// A clock that a test moves by hand.

import Foundation
import Synchronization

public final class ManualClock: Sendable {
    private let current: Mutex<Date>

    public init(_ start: Date = Date(timeIntervalSince1970: 1_764_000_000)) { current = Mutex(start) }

    public var now: Date { current.withLock { $0 } }

    /// To be given as the `now` parameter.
    public var read: @Sendable () -> Date { { self.now } }

    public func advance(by seconds: TimeInterval) { current.withLock { $0 += seconds } }
    public func set(_ date: Date) { current.withLock { $0 = date } }
}
