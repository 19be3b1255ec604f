// One thread waits, any thread wakes it, once. Everything that blocks here (retry waits, the wait for a place in an
// account's limit) blocks on one of these, so that a cancellation ends the wait at once instead of at its end.
// Waiting uses the monotonic clock: a change of the wall clock neither shortens nor prolongs it.
// CCurl only because the headers it includes own `timespec` where they are read before Glibc's.
import CCurl
import Glibc

/// A one-shot latch. Once signalled it stays signalled. Any thread.
public final class WakeSignal: @unchecked Sendable {  // `signalled` is guarded by `lock`
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var signalled = false

    /// The longest single wait, in seconds; longer ones are cut to it so that the arithmetic cannot overflow.
    public static let longestWait: Double = 86_400

    public init() {
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(lock)
        condition.deallocate()
        lock.deallocate()
    }

    /// Wakes the waiter, now or when it comes to wait.
    public func signal() {
        pthread_mutex_lock(lock)
        signalled = true
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(lock)
    }

    /// Blocks until `signal()` was called.
    public func wait() {
        pthread_mutex_lock(lock)
        while !signalled { pthread_cond_wait(condition, lock) }
        pthread_mutex_unlock(lock)
    }

    /// Blocks until `signal()` was called or `seconds` (0 … `longestWait`) have passed; true if it was signalled.
    public func wait(seconds: Double) -> Bool {
        let bounded = seconds.isNaN ? 0 : min(max(seconds, 0), Self.longestWait)
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let nanoseconds = end.tv_nsec + Int((bounded - bounded.rounded(.down)) * 1e9)
        end.tv_sec += Int(bounded) + nanoseconds / 1_000_000_000
        end.tv_nsec = nanoseconds % 1_000_000_000
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while !signalled {
            if pthread_cond_timedwait(condition, lock, &end) == ETIMEDOUT { break }
        }
        return signalled
    }
}
