// Lets one submission at a time through for a session whose sender wants to be refused when it is busy, or for an idempotency
// key: asking and admitting must be one step. Between processes the answer can be overtaken, and the later job then waits in order.
// Any thread; waits for the one before, no longer than for a lock between processes.

import DurableFiles
import Foundation
import Spool
import Synchronization
import Tenants

public final class SessionGates: Sendable {
    /// Sessions share locks; more than there are ever submitting threads would be waste.
    private static let count = 64
    private let locks: [(name: String, lock: NSLock)]

    public init() {
        let id = UUID().uuidString
        locks = (0..<Self.count).map { (name: "submissions \($0) of \(id)", lock: NSLock()) }
    }

    func pass<Key: Hashable, Value>(_ key: Key?, _ body: () throws(JobError) -> Value) throws(JobError) -> Value {
        guard let key else { return try body() }
        let result = try take(key) { () -> Result<Value, JobError> in
            do throws(JobError) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// - Throws: `lock_timeout`, and the errors of `body`.
    public func pass<Value>(session: SessionID, of user: UserID, _ body: () throws -> Value) throws -> Value {
        try take("\(user)/\(session)") { Result(catching: body) }.get()
    }

    private func take<Key: Hashable, Value>(_ key: Key, _ body: () -> Value) throws(JobError) -> Value {
        let (name, lock) = locks[Int(UInt(bitPattern: key.hashValue) % UInt(Self.count))]
        guard LockWait.current.take(name, { lock.try() }) else {
            throw JobError(.lockTimeout, "another submission of this session or this key does not come to its end; try again")
        }
        defer {
            lock.unlock()
            LockWait.released(name)
        }
        return body()
    }
}
