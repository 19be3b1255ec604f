// The real file system below one folder, with a note of what a power cut would leave: the content of a file as of its
// last fsync, the entries of a folder as of its last fsync. `restore` builds that state in another folder.
//
// The model is harsher than any journalled file system: nothing that was not synced survives (`strict`), or names do and
// data does not (`namesOnly`, as with delayed allocation), or each file's data does or does not (`mixed`). So what passes
// here holds on all of them. Not modelled: a disk that lies about a flush, and a rename torn in two.

import DurableFiles
import Foundation
import Synchronization

public final class PowerCutFileSystem: FileSystem {
    public enum Loss: Sendable {
        case strict, namesOnly
        /// Names and sizes survive; what was not synced of the data is zeros.
        case zeros
        case mixed(seed: UInt64)
    }

    /// Files and folders are known by numbers of our own: the kernel gives the inode of a removed file to the next.
    private struct State {
        var next = 0
        var numbers: [UInt64: Int] = [:]
        var data: [Int: [UInt8]] = [:]
        var entries: [Int: [String: Int]] = [:]
        var folders: Set<Int> = []

        mutating func number(_ inode: UInt64) -> Int { numbers[inode] ?? fresh(inode) }

        mutating func fresh(_ inode: UInt64) -> Int {
            next += 1
            numbers[inode] = next
            return next
        }
    }

    private let root: String
    private let real = LinuxFileSystem()
    private let state = Mutex(State())

    /// - Parameter root: a folder that exists; all that is in it counts as on disk.
    public init(root: String) throws(FileError) {
        self.root = root
        try syncAll(root)
    }

    // MARK: - What the disk has

    public func syncAll(_ path: String) throws(FileError) {
        try real.syncAll(root)
        try keepTree(root)
    }

    private func keepTree(_ path: String) throws(FileError) {
        try keepFolder(path)
        for entry in try real.list(path) {
            let inner = "\(path)/\(entry.name)"
            switch try real.status(inner).kind {
            case .directory: try keepTree(inner)
            case .regular: try keepFile(inner)
            default: break
            }
        }
    }

    private func keepFolder(_ path: String) throws(FileError) {
        var entries: [(String, UInt64)] = []
        for entry in try real.list(path) { entries.append((entry.name, try real.status("\(path)/\(entry.name)").inode)) }
        let inode = try real.status(path).inode
        state.withLock { state in
            let number = state.number(inode)
            state.folders.insert(number)
            state.entries[number] = Dictionary(
                entries.map { ($0.0, state.number($0.1)) }, uniquingKeysWith: { first, _ in first })
        }
    }

    private func keepFile(_ path: String) throws(FileError) {
        let bytes = try real.readFile(path)
        let inode = try real.status(path).inode
        state.withLock { $0.data[$0.number(inode)] = bytes }
    }

    private func keep(_ descriptor: Int32, _ path: String) throws(FileError) {
        let status = try real.status(of: descriptor, path: path)
        if status.kind == .directory { return try keepFolder(path) }
        let bytes = try real.readSystemFile("/proc/self/fd/\(descriptor)", maxBytes: 64 << 20)
        state.withLock { $0.data[$0.number(status.inode)] = bytes }
    }

    // MARK: - After the power is back

    /// Builds what is left in `folder`, which must not exist.
    public func restore(to folder: String, _ loss: Loss) throws(FileError) {
        var generator = SeededGenerator(seed: UInt64(0))
        if case .mixed(let seed) = loss { generator = SeededGenerator(seed: seed) }
        switch loss {
        case .strict:
            let inode = try real.status(root).inode
            let number = state.withLock { $0.number(inode) }
            try build(number, folder)
        case .namesOnly, .mixed, .zeros:
            try copyTree(root, folder, &generator, loss)
        }
    }

    private func build(_ number: Int, _ path: String) throws(FileError) {
        try real.makeDirectory(path, mode: 0o750)
        let (entries, folders) = state.withLock { ($0.entries[number] ?? [:], $0.folders) }
        for (name, child) in entries {
            if folders.contains(child) {
                try build(child, "\(path)/\(name)")
            } else {
                try real.createSynced("\(path)/\(name)", state.withLock { $0.data[child] ?? [] })
            }
        }
    }

    private func copyTree(_ source: String, _ target: String, _ random: inout SeededGenerator, _ loss: Loss) throws(FileError) {
        try real.makeDirectory(target, mode: 0o750)
        for entry in try real.list(source).sorted(by: { $0.name < $1.name }) {
            let (from, to) = ("\(source)/\(entry.name)", "\(target)/\(entry.name)")
            let status = try real.status(from)
            if status.kind == .directory {
                try copyTree(from, to, &random, loss)
            } else if status.kind == .regular {
                let kept = state.withLock { $0.data[$0.number(status.inode)] ?? [] }
                switch loss {
                case .mixed where random.next() & 1 == 0: try real.createSynced(to, try real.readFile(from))
                case .zeros:
                    let missing = max(0, status.size - kept.count)
                    try real.createSynced(to, kept + [UInt8](repeating: 0, count: missing))
                default: try real.createSynced(to, kept)
                }
            }
        }
    }

    // MARK: - Calls that make, change or sync

    public func open(_ path: String, _ flags: OpenFlags, mode: UInt32) throws(FileError) -> Int32 {
        let isNew = flags.contains(.create) ? !(try real.exists(path)) : false
        let descriptor = try real.open(path, flags, mode: mode)
        if isNew {
            let inode = try real.status(of: descriptor, path: path).inode
            state.withLock { _ = $0.fresh(inode) }
        }
        return descriptor
    }

    public func makeDirectory(_ path: String, mode: UInt32) throws(FileError) {
        try real.makeDirectory(path, mode: mode)
        let inode = try real.status(path).inode
        state.withLock { state in
            let number = state.fresh(inode)
            state.folders.insert(number)
        }
    }

    public func sync(_ descriptor: Int32, path: String) throws(FileError) {
        try real.sync(descriptor, path: path)
        try keep(descriptor, path)
    }

    public func dataSync(_ descriptor: Int32, path: String) throws(FileError) {
        try real.dataSync(descriptor, path: path)
        try keep(descriptor, path)
    }

    // MARK: - The others

    public func openBeneath(_ directory: Int32, _ path: String, _ flags: OpenFlags, mode: UInt32)
        throws(FileError) -> Int32
    { try real.openBeneath(directory, path, flags, mode: mode) }

    public func close(_ descriptor: Int32, path: String) throws(FileError) { try real.close(descriptor, path: path) }

    public func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int, path: String)
        throws(FileError) -> Int
    { try real.read(descriptor, into: buffer, at: offset, path: path) }

    public func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int?, path: String)
        throws(FileError) -> Int
    { try real.write(descriptor, bytes, at: offset, path: path) }

    public func truncate(_ descriptor: Int32, to size: Int, path: String) throws(FileError) {
        try real.truncate(descriptor, to: size, path: path)
    }

    public func status(_ path: String) throws(FileError) -> FileStatus { try real.status(path) }

    public func status(of descriptor: Int32, path: String) throws(FileError) -> FileStatus {
        try real.status(of: descriptor, path: path)
    }

    public func rename(_ from: String, _ to: String, replace: Bool) throws(FileError) {
        try real.rename(from, to, replace: replace)
    }

    public func exchange(in directory: Int32, _ name: String, _ other: String) throws(FileError) {
        try real.exchange(in: directory, name, other)
    }

    public func rename(in directory: Int32, _ from: String, to otherDirectory: Int32, _ to: String, replace: Bool)
        throws(FileError)
    { try real.rename(in: directory, from, to: otherDirectory, to, replace: replace) }

    public func remove(_ path: String) throws(FileError) { try real.remove(path) }

    public func remove(in directory: Int32, _ name: String, isDirectory: Bool) throws(FileError) {
        try real.remove(in: directory, name, isDirectory: isDirectory)
    }

    public func makeDirectory(in directory: Int32, _ name: String, mode: UInt32) throws(FileError) {
        try real.makeDirectory(in: directory, name, mode: mode)
    }

    public func removeDirectory(_ path: String) throws(FileError) { try real.removeDirectory(path) }

    public func list(_ path: String) throws(FileError) -> [DirectoryEntry] { try real.list(path) }

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

    public func tryLock(_ descriptor: Int32, path: String) throws(FileError) -> Bool {
        try real.tryLock(descriptor, path: path)
    }

    public func tryLockRange(_ descriptor: Int32, start: Int64, length: Int64, path: String)
        throws(FileError) -> Bool
    { try real.tryLockRange(descriptor, start: start, length: length, path: path) }

    public func unlockRange(_ descriptor: Int32, start: Int64, length: Int64, path: String) throws(FileError) {
        try real.unlockRange(descriptor, start: start, length: length, path: path)
    }

    public func space(_ path: String) throws(FileError) -> (free: Int, total: Int) { try real.space(path) }

    public func status(in directory: Int32, _ name: String) throws(FileError) -> FileStatus {
        try real.status(in: directory, name)
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
