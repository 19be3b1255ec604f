// The real file system with one fault: the n-th call fails with an errno, or the "process" stops there.
// After a stop every further call fails, and `crash()` drops all descriptors, and with them the locks, as a death would.

import DurableFiles
import Foundation
import Synchronization

public final class FaultyFileSystem: FileSystem {
    public enum Fault: Sendable {
        case none
        /// The call with this number (from 1) fails; the others work.
        case fail(call: Int, errno: Int32)
        /// The call with this number and all later ones fail without doing anything.
        case stop(call: Int)
        /// The first call whose "operation path" begins so, and all later ones, fail without doing anything.
        case stopBefore(String)
        /// The first call whose "operation path" begins so, and all later ones, fail as on a broken disk, until another
        /// fault is set. The process lives: what it closes is closed.
        case refuseFrom(String)
        /// The first call whose "operation path" begins so fails; the others work.
        case failFirst(String, errno: Int32)
        /// Every call whose "operation path" begins so fails with EIO; all others work.
        case failAlways(String)
        /// Before the first call whose "operation path" begins so, the closure runs, as another program would; all calls work.
        case interruptFirst(String, @Sendable () -> Void)
        /// The write with this number of calls writes half of its bytes, then the disk is full.
        case shortWrite(call: Int)
    }

    private struct State {
        var fault: Fault
        var isRefusing = false
        var calls = 0
        var open: Set<Int32> = []
        var log: [String] = []
        var hook: (prefix: String, body: @Sendable () -> Void)?
    }

    private let real: any FileSystem
    private let isEager: Bool
    private let state: Mutex<State>

    /// - Parameter eager: a write that goes on is on disk at once, before anything that is done meanwhile; false: at its end.
    public init(_ fault: Fault = .none, over real: any FileSystem = LinuxFileSystem(), eager: Bool = false) {
        self.real = real
        isEager = eager
        state = Mutex(State(fault: fault))
    }

    /// Descriptors that are open.
    public var openCount: Int { state.withLock { $0.open.count } }
    public var calls: Int { state.withLock { $0.calls } }
    /// The names of the calls made, in order.
    public var log: [String] { state.withLock { $0.log } }
    public func set(_ fault: Fault) {
        state.withLock {
            $0.fault = fault
            $0.isRefusing = false
            $0.calls = 0
            $0.log = []
        }
    }

    /// Runs `body` once, right before the next call whose "operation path" begins with `prefix`: what another thread or process
    /// does at that moment.
    public func onNext(_ prefix: String, _ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.hook = (prefix, body) }
    }

    private func runHook(_ call: String) {
        let body = state.withLock { state -> (@Sendable () -> Void)? in
            guard let hook = state.hook, call.hasPrefix(hook.prefix) else { return nil }
            state.hook = nil
            return hook.body
        }
        body?()
    }

    /// Drops all descriptors and locks.
    public func crash() {
        let descriptors = state.withLock { state in
            defer { state.open = [] }
            return state.open
        }
        for descriptor in descriptors { real.closeQuietly(descriptor) }
    }

    /// - Returns: true when this call shall write only half.
    @discardableResult
    private func step(_ operation: String, _ path: String) throws(FileError) -> Bool {
        interrupt("\(operation) \(path)")
        runHook("\(operation) \(path)")
        let (failure, short) = state.withLock { state -> (Int32?, Bool) in
            state.calls += 1
            state.log.append("\(operation) \(path)")
            if case .stopBefore(let prefix) = state.fault, "\(operation) \(path)".hasPrefix(prefix) {
                state.fault = .stop(call: state.calls)
            }
            if case .refuseFrom(let prefix) = state.fault, "\(operation) \(path)".hasPrefix(prefix) {
                state.isRefusing = true
            }
            switch state.fault {
            case .none, .stopBefore, .interruptFirst: return (nil, false)
            case .failFirst(let prefix, let errno):
                guard "\(operation) \(path)".hasPrefix(prefix) else { return (nil, false) }
                state.fault = .none
                return (errno, false)
            case .failAlways(let prefix): return ("\(operation) \(path)".hasPrefix(prefix) ? 5 : nil, false)
            case .refuseFrom: return (state.isRefusing ? 5 : nil, false)
            case .fail(let call, let errno): return (state.calls == call ? errno : nil, false)
            case .stop(let call): return (state.calls >= call ? 5 : nil, false)
            case .shortWrite(let call): return (nil, state.calls == call)
            }
        }
        if let failure { throw FileError(errno: failure, operation: operation, path: path) }
        return short
    }

    private func interrupt(_ call: String) {
        let body = state.withLock { state -> (@Sendable () -> Void)? in
            guard case .interruptFirst(let prefix, let body) = state.fault, call.hasPrefix(prefix) else { return nil }
            state.fault = .none
            return body
        }
        body?()
    }

    private func opened(_ descriptor: Int32) -> Int32 {
        state.withLock { _ = $0.open.insert(descriptor) }
        return descriptor
    }

    public func open(_ path: String, _ flags: OpenFlags, mode: UInt32) throws(FileError) -> Int32 {
        try step("open", path)
        return opened(try real.open(path, flags, mode: mode))
    }

    public func openBeneath(_ directory: Int32, _ path: String, _ flags: OpenFlags, mode: UInt32)
        throws(FileError) -> Int32
    {
        try step("openat2", path)
        return opened(try real.openBeneath(directory, path, flags, mode: mode))
    }

    public func close(_ descriptor: Int32, path: String) throws(FileError) {
        // A stopped process closes nothing by itself; `crash()` does, like the kernel.
        let known = state.withLock { state -> Bool in
            if case .stop(let call) = state.fault, state.calls >= call { return false }
            return state.open.remove(descriptor) != nil
        }
        if known { try real.close(descriptor, path: path) }
    }

    public func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int, path: String)
        throws(FileError) -> Int
    {
        try step("read", path)
        return try real.read(descriptor, into: buffer, at: offset, path: path)
    }

    public func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int?, path: String)
        throws(FileError) -> Int
    {
        guard try step("write", path), bytes.count > 1 else {
            return try real.write(descriptor, bytes, at: offset, path: path)
        }
        let half = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)])
        _ = try real.write(descriptor, half, at: offset, path: path)
        throw FileError(errno: 28, operation: "write", path: path)
    }

    public func sync(_ descriptor: Int32, path: String) throws(FileError) {
        try step("fsync", path)
        try real.sync(descriptor, path: path)
    }

    public func dataSync(_ descriptor: Int32, path: String) throws(FileError) {
        try step("fdatasync", path)
        try real.dataSync(descriptor, path: path)
    }

    public func beginSyncedWrite(
        _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int, path: String
    ) throws(FileError) -> SyncedWrite {
        let written = try write(descriptor, bytes, at: offset, path: path)
        guard written == bytes.count else { throw FileError(code: .io, operation: "write", path: path) }
        if isEager { try real.dataSync(descriptor, path: path) }
        return SyncedWrite(descriptor: descriptor, count: written)
    }

    public func endSyncedWrite(_ write: SyncedWrite, path: String) throws(FileError) {
        try step("fdatasync", path)
        if !isEager { try real.dataSync(write.descriptor, path: path) }
    }

    public func syncAll(_ path: String) throws(FileError) {
        try step("syncfs", path)
        try real.syncAll(path)
    }

    public func syncAll(_ descriptor: Int32, path: String) throws(FileError) {
        try step("syncfs", path)
        try real.syncAll(descriptor, path: path)
    }

    public func truncate(_ descriptor: Int32, to size: Int, path: String) throws(FileError) {
        try step("ftruncate", path)
        try real.truncate(descriptor, to: size, path: path)
    }

    public func status(_ path: String) throws(FileError) -> FileStatus {
        try step("lstat", path)
        return try real.status(path)
    }

    public func status(of descriptor: Int32, path: String) throws(FileError) -> FileStatus {
        try step("fstat", path)
        return try real.status(of: descriptor, path: path)
    }

    public func rename(_ from: String, _ to: String, replace: Bool) throws(FileError) {
        try step("rename", from)
        try real.rename(from, to, replace: replace)
    }

    public func exchange(in directory: Int32, _ name: String, _ other: String) throws(FileError) {
        try step("exchange", name)
        try real.exchange(in: directory, name, other)
    }

    public func rename(in directory: Int32, _ from: String, to otherDirectory: Int32, _ to: String, replace: Bool)
        throws(FileError)
    {
        try step("renameat", from)
        try real.rename(in: directory, from, to: otherDirectory, to, replace: replace)
    }

    public func remove(_ path: String) throws(FileError) {
        try step("unlink", path)
        try real.remove(path)
    }

    public func remove(in directory: Int32, _ name: String, isDirectory: Bool) throws(FileError) {
        try step("unlinkat", name)
        try real.remove(in: directory, name, isDirectory: isDirectory)
    }

    public func makeDirectory(_ path: String, mode: UInt32) throws(FileError) {
        try step("mkdir", path)
        try real.makeDirectory(path, mode: mode)
    }

    public func makeDirectory(in directory: Int32, _ name: String, mode: UInt32) throws(FileError) {
        try step("mkdirat", name)
        try real.makeDirectory(in: directory, name, mode: mode)
    }

    public func removeDirectory(_ path: String) throws(FileError) {
        try step("rmdir", path)
        try real.removeDirectory(path)
    }

    public func list(_ path: String) throws(FileError) -> [DirectoryEntry] {
        try step("readdir", path)
        return try real.list(path)
    }

    public func entries(descriptor: Int32, path: String) throws(FileError) -> (named: [DirectoryEntry], unreadable: Int) {
        try step("readdir", path)
        return try real.entries(descriptor: descriptor, path: path)
    }

    public func nameUnreadable(in directory: Int32, path: String) throws(FileError) {
        try step("renameat", path)
        try real.nameUnreadable(in: directory, path: path)
    }

    public func setMode(in directory: Int32, _ name: String, _ mode: UInt32) throws(FileError) {
        try step("fchmodat", name)
        try real.setMode(in: directory, name, mode)
    }

    public func unreadableNames(_ path: String) throws(FileError) -> Int {
        try step("readdir", path)
        return try real.unreadableNames(path)
    }

    public func setMode(_ path: String, _ mode: UInt32) throws(FileError) {
        try step("chmod", path)
        try real.setMode(path, mode)
    }

    public func touch(_ path: String) throws(FileError) {
        try step("utimensat", path)
        try real.touch(path)
    }

    public func tryLock(_ descriptor: Int32, path: String) throws(FileError) -> Bool {
        try step("flock", path)
        return try real.tryLock(descriptor, path: path)
    }

    public func tryLockRange(_ descriptor: Int32, start: Int64, length: Int64, path: String)
        throws(FileError) -> Bool
    {
        try step("lock range", path)
        return try real.tryLockRange(descriptor, start: start, length: length, path: path)
    }

    public func unlockRange(_ descriptor: Int32, start: Int64, length: Int64, path: String) throws(FileError) {
        try step("unlock range", path)
        try real.unlockRange(descriptor, start: start, length: length, path: path)
    }

    public func space(_ path: String) throws(FileError) -> (free: Int, total: Int) {
        try step("statvfs", path)
        return try real.space(path)
    }

    public func status(in directory: Int32, _ name: String) throws(FileError) -> FileStatus {
        try step("fstatat", name)
        return try real.status(in: directory, name)
    }

    public func openParent(of directory: Int32, path: String) throws(FileError) -> Int32 {
        try step("open ..", path)
        return opened(try real.openParent(of: directory, path: path))
    }

    public func setModified(_ descriptor: Int32, _ time: Date, path: String) throws(FileError) {
        try step("futimens", path)
        try real.setModified(descriptor, time, path: path)
    }

    public func usage(of descriptor: Int32, path: String) throws(FileError) -> (bytes: Int, inodes: Int) {
        try step("fstatvfs", path)
        return try real.usage(of: descriptor, path: path)
    }

    public func freeInodes(_ path: String) throws(FileError) -> Int? {
        try step("statvfs", path)
        return try real.freeInodes(path)
    }
}
