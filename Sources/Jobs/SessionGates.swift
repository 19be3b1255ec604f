// Lets one submission at a time through for a session whose sender wants to be refused when it is busy, or for an idempotency
// key: asking and admitting must be one step. Between processes the answer can be overtaken, and the later job then waits in order.
// Any thread; waits for the one before.

import Foundation
import Spool
import Synchronization

final class SessionGates: Sendable {
    /// Sessions share locks; more than there are ever submitting threads would be waste.
    private static let count = 64
    private let locks: [NSLock]

    init() { locks = (0..<Self.count).map { _ in NSLock() } }

    func pass<Key: Hashable, Value>(_ key: Key?, _ body: () throws(JobError) -> Value) throws(JobError) -> Value {
        guard let key else { return try body() }
        let lock = locks[Int(UInt(bitPattern: key.hashValue) % UInt(Self.count))]
        lock.lock()
        defer { lock.unlock() }
        return try body()
    }
}
