// Whether the limit on address space (ulimit -v, LimitAS=) leaves room for what a command is about to do. Asked once, on the
// main thread, before other threads are made: a library that gets no memory or no thread ends the process by a signal, and
// nobody learns why. Failure: CommandFailure, status 69.

import CLinux
import DurableFiles
import Foundation
import Glibc

struct AddressSpace {
    /// Bytes the process may map; nil: any number.
    var limit: Int?
    /// Bytes mapped now.
    var used: Int
    /// Bytes of a thread's stack, where its maker asks for no other.
    var stack: Int
    var cores: Int

    /// What a command works with besides its threads: files it reads, answers it makes.
    static let work = 64 << 20
    /// The same of a service.
    static let serviceWork = 192 << 20
    /// Bytes of a worker's stack, and of the guard before it (`WorkerThread`).
    private static let workerStack = (1 << 20) + 4_096
    /// Threads of a service that are there once: watchers, schedules, logs.
    private static let singleThreads = 14
    /// Threads for each core: event loops, the concurrency pool, files, dispatch.
    private static let threadsPerCore = 4
    /// Bytes the C library reserves for a thread's own heap; where there is no room for one, threads share.
    private static let heap = 64 << 20

    /// As it was when the process began: what is needed is counted from there, so that it does not depend on what has started.
    static let atStart = current()

    /// As it is now; a soft limit is raised to the hard one first.
    private static func current() -> AddressSpace {
        AddressSpace(
            limit: raised(__rlimit_resource_t(RLIMIT_AS.rawValue)),
            used: mapped(), stack: defaultStack(), cores: ProcessInfo.processInfo.activeProcessorCount)
    }

    private static func raised(_ resource: __rlimit_resource_t) -> Int? {
        var limits = rlimit()
        guard getrlimit(resource, &limits) == 0 else { return nil }
        if limits.rlim_cur < limits.rlim_max {
            var all = limits
            all.rlim_cur = limits.rlim_max
            if setrlimit(resource, &all) == 0 { limits = all }
        }
        return limits.rlim_cur > UInt(Int.max) ? nil : Int(limits.rlim_cur)
    }

    /// Of /proc/self/statm; 0 where that cannot be read: then only what comes is counted.
    private static func mapped() -> Int {
        guard let bytes = try? LinuxFileSystem().readFile("/proc/self/statm", maxBytes: 4_096),
            let pages = String(decoding: bytes, as: UTF8.self).split(separator: " ").first.flatMap({ Int($0) })
        else { return 0 }
        return pages * Int(getpagesize())
    }

    /// The C library takes the limit on the main thread's stack for all threads; 2 MiB where there is none.
    private static func defaultStack() -> Int {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &limits) == 0, limits.rlim_cur < UInt(Int.max) else {
            return 2 << 20
        }
        return Int(limits.rlim_cur)
    }

    // MARK: - Needs

    /// Bytes a service needs, with what is mapped already.
    func need(workers: Int, blockingThreads: Int) -> Int {
        let others = blockingThreads + Self.singleThreads + Self.threadsPerCore * cores
        let (stacks, isTooMuch) = others.multipliedReportingOverflow(by: stack)
        guard !isTooMuch, stacks < Int.max / 2 else { return Int.max }
        return used + stacks + workers * Self.workerStack + Self.serviceWork
    }

    /// How many heaps of their own threads may have, if that has to be bounded: what is left when all else is there.
    func heaps(need: Int) -> Int? {
        guard let limit else { return nil }
        return max(1, (limit - need) / Self.heap / 2)
    }

    /// For every command.
    func checkCommand() throws(CommandFailure) {
        try check(used + Self.work, "this command")
    }

    /// For `serve` and `worker`: with what is known before the settings are read, and with all of it before the service starts.
    /// Bounds the C library's heaps to what the limit leaves.
    func checkService(workers: Int, blockingThreads: Int) throws(CommandFailure) {
        let need = need(workers: workers, blockingThreads: blockingThreads)
        try check(need, "the service with \(workers) \(workers == 1 ? "worker" : "workers")")
        if let heaps = heaps(need: need) { nb_bound_heaps(Int32(clamping: heaps)) }
    }

    private func check(_ need: Int, _ what: String) throws(CommandFailure) {
        guard let limit, limit < need else { return }
        throw CommandFailure(
            "too_little_memory",
            "\(what) needs about \(need >> 20) MiB of address space, the limit is \(limit >> 20). "
                + "Raise it (ulimit -v, LimitAS=; ulimit -s bounds each thread's stack).",
            .unavailable)
    }
}
