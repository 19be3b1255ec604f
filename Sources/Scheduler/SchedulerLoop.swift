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

    /// The same where changes of other processes are not heard of and have to be looked for.
    static let blindSleep: TimeInterval = 2

    private let watch: DirectoryWatch
    /// nil: changes are heard of.
    private let looker: MarkLooker?
    private let isStopping = Atomic(false)
    private let ended = DispatchSemaphore(value: 0)
    private let pause = DispatchSemaphore(value: 0)
    private let logger: Logger

    init(watching folder: String, logger: Logger) throws(FileError) {
        watch = try DirectoryWatch()
        self.logger = logger
        do {
            _ = try watch.add(folder, [.closedWrite])
            looker = nil
        } catch {
            looker = MarkLooker(folder: folder)
            logger.warning(
                "changes by other processes are looked for every two seconds: raise fs.inotify.max_user_instances",
                metadata: ["error": "\(error)"])
        }
    }

    /// - Parameter body: gets the names of marks that were set; returns when to be called next, and what time it is.
    func run(_ body: @escaping @Sendable ([String]) -> (next: Date, now: Date)) {
        let thread = Thread { [self] in
            var names: [String] = []
            while !isStopping.load(ordering: .acquiring) {
                let (next, now) = body(names)
                let longest = looker == nil ? Self.longestSleep : Self.blindSleep
                names = rest(min(max(0, next.timeIntervalSince(now)), longest))
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
            let heard = try watch.wait(timeout: seconds).compactMap(\.name)
            return heard + (looker?.changed() ?? [])
        } catch {
            logger.error("waiting for changes failed", metadata: ["error": "\(error)"])
            // Without this a poll that fails at once would spin.
            _ = pause.wait(timeout: .now() + 1)
            return []
        }
    }
}

/// Finds marks by their times where inotify is not to be had.
private final class MarkLooker: Sendable {
    private let folder: String
    private let files = LinuxFileSystem()
    private let known: Mutex<[String: Date]>

    init(folder: String) {
        self.folder = folder
        known = Mutex(Self.marks(folder, files))
    }

    /// Names of the marks set since the last call.
    func changed() -> [String] {
        known.withLock { known in
            let before = known
            known = Self.marks(folder, files)
            return known.filter { before[$0.key] != $0.value }.map(\.key)
        }
    }

    private static func marks(_ folder: String, _ files: LinuxFileSystem) -> [String: Date] {
        // A folder or mark that cannot be read now is looked at again in two seconds.
        let names = ((try? files.list(folder)) ?? []).map(\.name)
        var marks: [String: Date] = [:]
        for name in names { marks[name] = try? files.status("\(folder)/\(name)").modified }
        return marks
    }
}
