// How long a thread waits for a lock that another open file holds. Every wait of the program goes through
// `FileSystem.waitForLock`: attempts that never block, with pauses that grow, until the lock is free, the time is over or
// the work was cancelled. So no holder of a lock, in this process, in a stopped one or on another host, can keep a thread.
// Any thread. Failure: FileError `.busy`, which can pass.
//
// Refused: `flock` without LOCK_NB and F_OFD_SETLKW. The kernel ends such a wait only by a signal, and the kernel wakes all
// waiters at once, so a blocking wait is neither bounded nor fairer than this one. A free lock costs one system call, as before.

import Dispatch
import Foundation
import Synchronization

/// What bounds the waits of one piece of work. The work's own thread carries the bound (`current`), so that a store deep
/// below a handler needs no parameter for it; a thread started for the same work has to carry it over.
public struct LockWait: Sendable {
    /// Holders do a few file operations and wait for nothing else; a disk that takes longer than this has failed.
    public static let standardSeconds = 10.0
    /// Seconds that are left to a wait whose work is cancelled: a holder that does its few file operations is done by then,
    /// and what a cancelled turn has still to write is written.
    public static let grace = 0.1

    /// The bound of the work this thread does.
    @TaskLocal public static var current = LockWait()

    /// Of one wait; 0: one attempt.
    public var seconds: Double
    /// Asked between attempts.
    public var isCancelled: @Sendable () -> Bool

    public init(seconds: Double = LockWait.standardSeconds, isCancelled: @escaping @Sendable () -> Bool = { false }) {
        self.seconds = seconds
        self.isCancelled = isCancelled
    }

    /// Attempts until one succeeds, or until the time is over or the work cancelled.
    /// - Parameters:
    ///   - name: the lock's, the same in every thread; `released` takes it too.
    ///   - attempt: tries once and never blocks.
    /// - Returns: whether the lock was taken.
    public func take<Failure: Error>(
        _ name: String, _ attempt: () throws(Failure) -> Bool
    ) throws(Failure) -> Bool {
        if try attempt() { return true }
        return try LockQueue.shared.wait(name, self, attempt)
    }

    /// To be called after a lock of this name was given back; forgotten, waiters of this process wait for their next attempt.
    public static func released(_ name: String) { LockQueue.shared.wake(name) }

    /// Runs `body` with the waits below it bounded by this.
    public func bounding<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        try LockWait.$current.withValue(self) { Result(catching: body) }.get()
    }
}

/// The pauses between attempts: a value without a clock.
struct LockPauses {
    /// Seconds. The first is about what a holder needs; the longest bounds how late another process's release is seen.
    static let shortest = 0.000_2
    static let longest = 0.02
    private var next = LockPauses.shortest

    /// The next pause, cut to the time that is left.
    mutating func take(left: Double) -> Double {
        defer { next = min(Self.longest, next * 1.6) }
        return min(next, left)
    }
}

/// The threads of this process that wait for a lock, by the lock's name: a release wakes the first of them at once, and the
/// pauses only matter for locks that another process releases.
final class LockQueue: Sendable {
    static let shared = LockQueue()

    private final class Waiter: Sendable {
        let released = DispatchSemaphore(value: 0)
    }

    private let waiters = Mutex<[String: [Waiter]]>([:])
    /// Asked at every release, so that one without waiters takes no lock.
    private let count = Atomic<Int>(0)

    /// Threads that wait for this lock.
    func waiting(for name: String) -> Int { waiters.withLock { $0[name]?.count ?? 0 } }

    /// After a lock was released.
    func wake(_ name: String) {
        guard count.load(ordering: .sequentiallyConsistent) > 0 else { return }
        waiters.withLock { $0[name]?.first }?.released.signal()
    }

    /// Attempts until one succeeds. - Returns: whether one did.
    func wait<Failure: Error>(
        _ name: String, _ bound: LockWait, _ attempt: () throws(Failure) -> Bool
    ) throws(Failure) -> Bool {
        let waiter = Waiter()
        count.add(1, ordering: .sequentiallyConsistent)
        waiters.withLock { $0[name, default: []].append(waiter) }
        defer {
            waiters.withLock { waiters in
                waiters[name]?.removeAll { $0 === waiter }
                if waiters[name]?.isEmpty == true { waiters[name] = nil }
            }
            count.subtract(1, ordering: .sequentiallyConsistent)
            // A wake-up that came when this thread had given up, or had the lock already, is the next one's.
            if waiter.released.wait(timeout: .now()) == .success { wake(name) }
        }
        var pauses = LockPauses()
        var end = ProcessInfo.processInfo.systemUptime + bound.seconds
        var isCancelled = false
        while true {
            // After joining the queue: a release before this attempt is seen by it, a later one finds the waiter.
            if try attempt() { return true }
            let now = ProcessInfo.processInfo.systemUptime
            if !isCancelled, bound.isCancelled() {
                isCancelled = true
                end = min(end, now + LockWait.grace)
            }
            guard now < end else { return false }
            _ = waiter.released.wait(timeout: .now() + pauses.take(left: end - now))
        }
    }
}

extension FileSystem {
    /// Takes a lock of a file, waiting for it as long as `LockWait.current` allows (`LockWait.take`).
    /// - Parameter path: what the error names; nil: the lock's name.
    /// - Throws: `.busy` when it is still held.
    public func waitForLock(
        _ name: String, path: String? = nil, _ attempt: () throws(FileError) -> Bool
    ) throws(FileError) {
        guard try LockWait.current.take(name, attempt) else {
            throw FileError(code: .busy, operation: "lock", path: path ?? name)
        }
    }

    /// As `LockWait.released`.
    public func released(_ name: String) { LockWait.released(name) }
}
