// One named thread that runs until its owner ends it. Any thread may call start and join; a second start while it runs
// does nothing. It cannot fail.

import Foundation
import Synchronization

final class ServiceThread: Sendable {
    private let isRunning = Mutex(false)
    private let ended = NSCondition()

    /// - Returns: false when it runs already.
    @discardableResult
    func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        let isFirst = isRunning.withLock { running in
            defer { running = true }
            return !running
        }
        guard isFirst else { return false }
        let thread = Thread { [self] in
            body()
            ended.lock()
            isRunning.withLock { $0 = false }
            ended.broadcast()
            ended.unlock()
        }
        thread.name = name
        thread.start()
        return true
    }

    /// Waits until the body has returned; at once when it never started. Not to be called from the body.
    func join() {
        ended.lock()
        while isRunning.withLock({ $0 }) { ended.wait() }
        ended.unlock()
    }
}
