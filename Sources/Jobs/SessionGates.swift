// Lets one submission at a time through for a session whose sender wants to be refused when it is busy, or for an idempotency
// key: asking and admitting must be one step. Between processes the answer can be overtaken, and the later job then waits in order.
// Any thread; waits for the one before, no longer than for a lock between processes.

import DurableFiles
import Foundation
import Spool
import Synchronization

final class SessionGates: Sendable {
    /// Sessions share locks; more than there are ever submitting threads would be waste.
    private static let count = 64
    private let locks: [(name: String, lock: NSLock)]

    init() {
        let id = UUID().uuidString
        locks = (0..<Self.count).map { (name: "submissions \($0) of \(id)", lock: NSLock()) }
    }

    func pass<Key: Hashable, Value>(_ key: Key?, _ body: () throws(JobError) -> Value) throws(JobError) -> Value {
        guard let key else { return try body() }
        let (name, lock) = locks[Int(UInt(bitPattern: key.hashValue) % UInt(Self.count))]
        guard LockWait.current.take(name, { lock.try() }) else {
            throw JobError(.lockTimeout, "another submission of this session or this key does not come to its end; try again")
        }
        defer {
            lock.unlock()
            LockWait.released(name)
        }
        return try body()
    }
}
