// A client of a cluster file system as another host sees it: what it has asked once it takes for true for a while, names,
// sizes and listings alike (GlusterFS's own settings: a second). Here the while lasts until `remember` is called again.
// What changes a name is judged by the server; the size of a file is asked anew after its lock was taken; a name that was
// not there is always asked for again. Any thread.

import DurableFiles
import Foundation
import Synchronization

public final class StaleFileSystem: FileSystem {
    private struct Memory {
        var names: [String: FileStatus] = [:]
        var listings: [String: [DirectoryEntry]] = [:]
        var sizes: [UInt64: Int] = [:]
    }

    private let real = LinuxFileSystem(isShared: true)
    private let memory = Mutex(Memory())

    public init() {}

    public var isShared: Bool { true }

    /// Looks at everything below a folder, and goes on believing what it saw.
    public func remember(_ root: String) throws {
        memory.withLock { $0 = Memory() }
        try look(root)
    }

    private func look(_ folder: String) throws(FileError) {
        for entry in try list(folder) {
            let path = "\(folder)/\(entry.name)"
            let status = try status(path)
            memory.withLock { $0.sizes[status.inode] = status.size }
            if status.kind == .directory { try look(path) }
        }
    }

    private func forget(_ paths: String...) {
        memory.withLock { memory in
            for path in paths {
                memory.names[path] = nil
                memory.listings[PathParts.split(path).folder] = nil
            }
        }
    }

    private func refresh(_ descriptor: Int32, _ path: String) throws(FileError) {
        let status = try real.status(of: descriptor, path: path)
        memory.withLock { $0.sizes[status.inode] = nil }
    }

    private func known(_ status: FileStatus) -> FileStatus {
        var status = status
        if let size = memory.withLock({ $0.sizes[status.inode] }) { status.size = size }
        return status
    }

    // MARK: Remembered

    public func status(_ path: String) throws(FileError) -> FileStatus {
        if let old = memory.withLock({ $0.names[path] }) { return known(old) }
        let status = try real.status(path)
        memory.withLock { $0.names[path] = status }
        return known(status)
    }

    public func status(of descriptor: Int32, path: String) throws(FileError) -> FileStatus {
        known(try real.status(of: descriptor, path: path))
    }

    public func list(_ path: String) throws(FileError) -> [DirectoryEntry] {
        if let old = memory.withLock({ $0.listings[path] }) { return old }
        let entries = try real.list(path)
        memory.withLock { $0.listings[path] = entries }
        return entries
    }

    public func read(
        _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int, path: String
    ) throws(FileError) -> Int {
        let size = try status(of: descriptor, path: path).size
        guard offset < size else { return 0 }
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<min(buffer.count, size - offset)])
        return try real.read(descriptor, into: part, at: offset, path: path)
    }

    // MARK: Judged by the server

    public func open(_ path: String, _ flags: OpenFlags, mode: UInt32) throws(FileError) -> Int32 {
        if flags.contains(.create) { forget(path) }
        return try real.open(path, flags, mode: mode)
    }

    public func openBeneath(_ directory: Int32, _ path: String, _ flags: OpenFlags, mode: UInt32) throws(FileError)
        -> Int32
    {
        try real.openBeneath(directory, path, flags, mode: mode)
    }

    public func rename(_ from: String, _ to: String, replace: Bool) throws(FileError) {
        forget(from, to)
        try real.rename(from, to, replace: replace)
    }

    public func rename(in directory: Int32, _ from: String, to otherDirectory: Int32, _ to: String, replace: Bool)
        throws(FileError)
    {
        try real.rename(in: directory, from, to: otherDirectory, to, replace: replace)
    }

    public func remove(_ path: String) throws(FileError) {
        forget(path)
        try real.remove(path)
    }

    public func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int?, path: String)
        throws(FileError) -> Int
    {
        let count = try real.write(descriptor, bytes, at: offset, path: path)
        try refresh(descriptor, path)
        return count
    }

    public func truncate(_ descriptor: Int32, to size: Int, path: String) throws(FileError) {
        try real.truncate(descriptor, to: size, path: path)
        try refresh(descriptor, path)
    }

    public func tryLock(_ descriptor: Int32, path: String) throws(FileError) -> Bool {
        guard try real.tryLock(descriptor, path: path) else { return false }
        try refresh(descriptor, path)
        return true
    }

    public func tryLockRange(_ descriptor: Int32, start: Int64, length: Int64, path: String)
        throws(FileError) -> Bool
    {
        guard try real.tryLockRange(descriptor, start: start, length: length, path: path) else { return false }
        try refresh(descriptor, path)
        return true
    }

    // MARK: Passed on

    public func close(_ descriptor: Int32, path: String) throws(FileError) { try real.close(descriptor, path: path) }
    public func sync(_ descriptor: Int32, path: String) throws(FileError) { try real.sync(descriptor, path: path) }
    public func dataSync(_ descriptor: Int32, path: String) throws(FileError) {
        try real.dataSync(descriptor, path: path)
    }
    public func syncAll(_ path: String) throws(FileError) { try real.syncAll(path) }
    public func syncAll(_ descriptor: Int32, path: String) throws(FileError) { try real.syncAll(descriptor, path: path) }
    public func remove(in directory: Int32, _ name: String, isDirectory: Bool) throws(FileError) {
        try real.remove(in: directory, name, isDirectory: isDirectory)
    }
    public func makeDirectory(_ path: String, mode: UInt32) throws(FileError) {
        forget(path)
        try real.makeDirectory(path, mode: mode)
    }
    public func makeDirectory(in directory: Int32, _ name: String, mode: UInt32) throws(FileError) {
        try real.makeDirectory(in: directory, name, mode: mode)
    }
    public func removeDirectory(_ path: String) throws(FileError) {
        forget(path)
        try real.removeDirectory(path)
    }
    public func entries(descriptor: Int32, path: String) throws(FileError) -> (named: [DirectoryEntry], unreadable: Int) {
        try real.entries(descriptor: descriptor, path: path)
    }

    public func nameUnreadable(in directory: Int32, path: String) throws(FileError) {
        try real.nameUnreadable(in: directory, path: path)
    }

    public func setMode(in directory: Int32, _ name: String, _ mode: UInt32) throws(FileError) {
        try real.setMode(in: directory, name, mode)
    }
    public func unreadableNames(_ path: String) throws(FileError) -> Int { try real.unreadableNames(path) }
    public func setMode(_ path: String, _ mode: UInt32) throws(FileError) { try real.setMode(path, mode) }
    public func touch(_ path: String) throws(FileError) { try real.touch(path) }
    public func unlockRange(_ descriptor: Int32, start: Int64, length: Int64, path: String) throws(FileError) {
        try real.unlockRange(descriptor, start: start, length: length, path: path)
    }
    public func space(_ path: String) throws(FileError) -> (free: Int, total: Int) { try real.space(path) }

    public func status(in directory: Int32, _ name: String) throws(FileError) -> FileStatus {
        known(try real.status(in: directory, name))
    }
    public func openParent(of directory: Int32, path: String) throws(FileError) -> Int32 {
        try real.openParent(of: directory, path: path)
    }
    public func setModified(_ descriptor: Int32, _ time: Date, path: String) throws(FileError) {
        try real.setModified(descriptor, time, path: path)
    }
    public func usage(of descriptor: Int32, path: String) throws(FileError) -> (bytes: Int, inodes: Int) {
        try real.usage(of: descriptor, path: path)
    }
}
