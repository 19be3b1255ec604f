// The scheduler's one thread: sleeps in the kernel until the next fire time, a wake-up or a change mark.
// `run`, `wake` and `stop` may be called from any thread, `run` once. Nothing here fails after it was made.

import Dispatch
import DurableFiles
import Foundation
import Logging
import Synchronization

final class SchedulerLoop: Sendable {
    /// Longest sleep, in seconds. Sleeping follows the monotonic clock and fire times the wall clock, so a wall clock
    /// that was set is noticed after this long at the latest.
    static let longestSleep: TimeInterval = 60

    private let watch: DirectoryWatch
    private let isStopping = Atomic(false)
    private let ended = DispatchSemaphore(value: 0)
    private let pause = DispatchSemaphore(value: 0)
    private let logger: Logger

    init(watching folder: String, logger: Logger) throws(FileError) {
        watch = try DirectoryWatch()
        self.logger = logger
        do {
            _ = try watch.add(folder, [.closedWrite])
        } catch {
            // Changes by other processes are then found by the scan every ten minutes.
            logger.warning(
                "changes by other processes are noticed late: raise fs.inotify.max_user_watches",
                metadata: ["error": "\(error)"])
        }
    }

    /// - Parameter body: gets the names of marks that were set; returns when to be called next, and what time it is.
    func run(_ body: @escaping @Sendable ([String]) -> (next: Date, now: Date)) {
        let thread = Thread { [self] in
            var names: [String] = []
            while !isStopping.load(ordering: .acquiring) {
                let (next, now) = body(names)
                names = rest(min(max(0, next.timeIntervalSince(now)), Self.longestSleep))
            }
            ended.signal()
        }
        thread.name = "scheduler"
        thread.start()
    }

    func wake() { watch.wake() }

    /// Returns when the thread has ended.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        watch.wake()
        pause.signal()
        ended.wait()
    }

    private func rest(_ seconds: TimeInterval) -> [String] {
        do {
            return try watch.wait(timeout: seconds).compactMap(\.name)
        } catch {
            logger.error("waiting for changes failed", metadata: ["error": "\(error)"])
            // Without this a poll that fails at once would spin.
            _ = pause.wait(timeout: .now() + 1)
            return []
        }
    }
}
