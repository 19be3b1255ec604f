// inotify with a wake-up from other threads. One thread calls `wait`; any thread may call `add`, `remove` and `wake`.
// Losing events is possible (queue overflow is reported): callers scan as well. Where the system has no inotify instance
// left (fs.inotify.max_user_instances, shared by all programs of a user), the watch is blind: it can be waited for and
// woken, `add` fails, and its callers scan more often.

import CLinux
import Foundation
import Glibc

public final class DirectoryWatch: Sendable {
    public struct Interest: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let modified = Interest(rawValue: UInt32(IN_MODIFY))
        public static let closedWrite = Interest(rawValue: UInt32(IN_CLOSE_WRITE))
        public static let movedIn = Interest(rawValue: UInt32(IN_MOVED_TO))
        public static let movedOut = Interest(rawValue: UInt32(IN_MOVED_FROM))
        public static let created = Interest(rawValue: UInt32(IN_CREATE))
        public static let deleted = Interest(rawValue: UInt32(IN_DELETE))
        public static let deletedSelf = Interest(rawValue: UInt32(IN_DELETE_SELF))
    }

    public struct Event: Sendable, Hashable {
        /// What `add` returned; -1 when events were lost.
        public var watch: Int32
        /// The entry's name; empty for the watched thing itself, nil when it is not UTF-8.
        public var name: String?
        public var mask: UInt32
        public var isOverflow: Bool { mask & UInt32(IN_Q_OVERFLOW) != 0 }
        /// The watch ended: its folder or file is gone.
        public var isGone: Bool { mask & UInt32(IN_IGNORED) != 0 }

        public func has(_ interest: Interest) -> Bool { mask & interest.rawValue != 0 }
    }

    /// -1: blind. poll passes over a negative descriptor.
    private let descriptor: Int32
    private let wakeUp: Int32
    /// Why no event will ever come; nil: they do.
    public let blindness: FileError?

    /// - Throws: when not even a wake-up can be made: the process has no descriptor left.
    public convenience init() throws(FileError) {
        try self.init(instance: { inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC)) })
    }

    /// For callers with another way to rest than a blind watch.
    /// - Returns: nil instead of a blind watch.
    public static func seeing() -> DirectoryWatch? {
        // Not even a wake-up is the same to these callers as a blind watch.
        guard let watch = try? DirectoryWatch(), watch.blindness == nil else { return nil }
        return watch
    }

    /// - Parameter instance: makes an inotify instance, or returns -1 and sets errno.
    init(instance: () -> Int32) throws(FileError) {
        wakeUp = nb_eventfd()
        guard wakeUp >= 0 else { throw FileError(errno: errno, operation: "eventfd", path: "") }
        descriptor = instance()
        blindness = descriptor >= 0 ? nil : FileError(errno: errno, operation: "inotify_init", path: "")
    }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
        Glibc.close(wakeUp)
    }

    /// Watches a folder or a file. The same path again returns the same number, with the new interest.
    public func add(_ path: String, _ interest: Interest) throws(FileError) -> Int32 {
        if let blindness { throw blindness }
        let watch = inotify_add_watch(descriptor, path, interest.rawValue)
        guard watch >= 0 else { throw FileError(errno: errno, operation: "inotify_add_watch", path: path) }
        return watch
    }

    public func remove(_ watch: Int32) {
        guard descriptor >= 0 else { return }
        // Fails only when the watch is already gone, which is what was wanted.
        _ = inotify_rm_watch(descriptor, watch)
    }

    /// Ends a `wait` in progress, or the next one, at once.
    public func wake() {
        var one: UInt64 = 1
        // EAGAIN: a wake-up is already pending.
        _ = Glibc.write(wakeUp, &one, 8)
    }

    /// - Parameters:
    ///   - timeout: seconds; nil waits for an event or `wake`.
    ///   - gathering: seconds more to wait once something has happened, so that a stream of events is read in one go and
    ///     does not wake the thread for each; `wake` ends it.
    /// - Returns: what happened; empty after a timeout or a wake-up.
    public func wait(timeout: TimeInterval?, gathering: TimeInterval = 0) throws(FileError) -> [Event] {
        let milliseconds = timeout.map { Int32(min(max($0 * 1000, 0).rounded(.up), 86_400_000)) } ?? -1
        let ready = nb_poll2(descriptor, wakeUp, milliseconds)
        if ready < 0 {
            if errno == EINTR { return [] }
            throw FileError(errno: errno, operation: "poll", path: "inotify")
        }
        if ready & 2 != 0 {
            var count: UInt64 = 0
            _ = Glibc.read(wakeUp, &count, 8)
        }
        guard ready & 1 != 0 else { return [] }
        // The wake-up stays for the next wait; an interrupted pause is only a shorter one.
        if gathering > 0, ready & 2 == 0 { _ = nb_poll2(-1, wakeUp, Int32((gathering * 1000).rounded(.up))) }
        return readEvents()
    }

    private func readEvents() -> [Event] {
        var events: [Event] = []
        let capacity = 64 << 10
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
        defer { buffer.deallocate() }
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, capacity)
            guard count > 0 else { return events }
            var offset = 0
            while offset + MemoryLayout<inotify_event>.size <= count {
                let header = buffer.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
                let start = offset + MemoryLayout<inotify_event>.size
                let raw = UnsafeRawBufferPointer(rebasing: buffer[start..<start + Int(header.len)])
                let name = String(validating: raw.prefix { $0 != 0 }, as: UTF8.self)
                events.append(Event(watch: header.wd, name: name, mask: header.mask))
                offset = start + Int(header.len)
            }
            // A full buffer may have more behind it; a part-filled one was all.
            if count < capacity - 512 { return events }
        }
    }
}
