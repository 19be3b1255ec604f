// State behind one lock, with waiting: a POSIX mutex and condition variable, since `Mutex` has no condition.
// Any thread. Nothing fails: pthread calls on an initialised mutex and condition only report programming errors.

import Foundation
import Glibc

/// `@unchecked Sendable`: every access to `state` is made while `mutex` is held.
final class Monitor<State>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let state = UnsafeMutablePointer<State>.allocate(capacity: 1)

    /// What a thread that looked at the state does next.
    enum Step<Value> {
        case done(Value)
        /// Look again after a signal, or after so many seconds; nil: after a signal only.
        case wait(TimeInterval?)
    }

    init(_ initial: sending State) {
        state.initialize(to: initial)
        pthread_mutex_init(mutex, nil)
        // Waits are measured on the monotonic clock: setting the wall clock must not stretch them.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        state.deinitialize(count: 1)
        condition.deallocate()
        mutex.deallocate()
        state.deallocate()
    }

    func withLock<Value>(_ body: (inout State) throws -> Value) rethrows -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state.pointee)
    }

    /// Wakes one waiting thread.
    func signal() { pthread_cond_signal(condition) }

    /// Wakes all waiting threads.
    func broadcast() { pthread_cond_broadcast(condition) }

    /// Looks at the state until `look` is done, sleeping in between without the lock.
    func wait<Value>(_ look: (inout State) -> Step<Value>) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            switch look(&state.pointee) {
            case .done(let value):
                return value
            case .wait(nil):
                pthread_cond_wait(condition, mutex)
            case .wait(let seconds?):
                var end = Monitor.time(in: seconds)
                pthread_cond_timedwait(condition, mutex, &end)
            }
        }
    }

    private static func time(in seconds: TimeInterval) -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let nanoseconds = time.tv_nsec + Int((min(max(seconds, 0), 86_400) * 1e9).rounded(.up))
        time.tv_sec += nanoseconds / 1_000_000_000
        time.tv_nsec = nanoseconds % 1_000_000_000
        return time
    }
}

/// The monotonic clock.
public enum Uptime {
    /// Seconds since the machine started; never set back.
    public static let now: @Sendable () -> TimeInterval = {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return TimeInterval(time.tv_sec) + TimeInterval(time.tv_nsec) / 1e9
    }
}
