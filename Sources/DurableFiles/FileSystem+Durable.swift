// Whole-file operations with a stated commit point, built from the single calls. Any thread.
// The rule everywhere: write, fsync, rename, fsync folder. A failed fsync is never tried again as if it could succeed.

import Foundation
import Synchronization

extension FileSystem {
    public func exists(_ path: String) throws(FileError) -> Bool {
        do {
            _ = try status(path)
            return true
        } catch {
            if error.code == .notFound || error.code == .notDirectory { return false }
            throw error
        }
    }

    /// Closes where the outcome no longer matters: the data was synced before, or the file is given up.
    public func closeQuietly(_ descriptor: Int32) {
        // A read-only or already synced descriptor has nothing left to lose.
        try? close(descriptor, path: "")
    }

    /// Opens, runs `body`, closes; an error of close is an error of the whole.
    public func withFile<Value>(
        _ path: String, _ flags: OpenFlags, mode: UInt32 = 0o600, _ body: (Int32) throws(FileError) -> Value
    ) throws(FileError) -> Value {
        let descriptor = try open(path, flags, mode: mode)
        let value: Value
        do throws(FileError) {
            value = try body(descriptor)
        } catch {
            closeQuietly(descriptor)
            throw error
        }
        try close(descriptor, path: path)
        return value
    }

    /// - Throws: `.tooLarge` for more than `maxBytes`.
    public func readFile(_ path: String, maxBytes: Int = 64 << 20) throws(FileError) -> [UInt8] {
        let descriptor = try open(path, [.read, .nonBlocking], mode: 0)
        defer { closeQuietly(descriptor) }
        return try readAll(descriptor, maxBytes: maxBytes, path: path)
    }

    /// As `readFile`, but follows a link: for the system's own files, such as time zones.
    public func readSystemFile(_ path: String, maxBytes: Int) throws(FileError) -> [UInt8] {
        let descriptor = try open(path, [.read, .nonBlocking, .followLinks], mode: 0)
        defer { closeQuietly(descriptor) }
        return try readAll(descriptor, maxBytes: maxBytes, path: path)
    }

    public func readAll(_ descriptor: Int32, maxBytes: Int, path: String) throws(FileError) -> [UInt8] {
        let status = try status(of: descriptor, path: path)
        guard status.kind == .regular else {
            throw FileError(
                code: status.kind == .directory ? .isDirectory : .invalid, operation: "read", path: path)
        }
        guard status.size <= maxBytes else { throw FileError(code: .tooLarge, operation: "read", path: path) }
        let bytes = try readRange(descriptor, from: 0, count: status.size + 1, path: path)
        // It may have grown since: one byte past the known size says so; read on up to the bound.
        guard bytes.count > status.size else { return bytes }
        let more = try readRange(descriptor, from: 0, count: maxBytes + 1, path: path)
        guard more.count <= maxBytes else { throw FileError(code: .tooLarge, operation: "read", path: path) }
        return more
    }

    /// Up to `count` bytes from `offset`; fewer at the end of the file.
    public func readRange(_ descriptor: Int32, from offset: Int, count: Int, path: String) throws(FileError) -> [UInt8]
    {
        var failure: FileError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            while filled < count {
                let rest = UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[filled..<count])
                do throws(FileError) {
                    let got = try read(descriptor, into: rest, at: offset + filled, path: path)
                    if got == 0 { return }
                    filled += got
                } catch {
                    failure = error
                    return
                }
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes all bytes, however many calls it takes. `offset` nil: at the descriptor's place, or appended.
    public func writeAll(_ descriptor: Int32, _ bytes: [UInt8], at offset: Int? = nil, path: String) throws(FileError) {
        var done = 0
        while done < bytes.count {
            let count = try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) -> Int in
                let rest = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[done...])
                return try write(descriptor, rest, at: offset.map { $0 + done }, path: path)
            }
            guard count > 0 else { throw FileError(code: .io, operation: "write", path: path) }
            done += count
        }
    }

    public func syncDirectory(_ path: String) throws(FileError) {
        try withFile(path, [.read, .directory], mode: 0) { (descriptor) throws(FileError) in
            try sync(descriptor, path: path)
        }
    }

    /// A new file with these bytes, fsynced; its folder entry is not.
    public func createSynced(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o600) throws(FileError) {
        try create(path, bytes, mode: mode, sync: true)
    }

    /// A new file with these bytes. - Parameter sync: fsynced; its folder entry is not.
    public func create(_ path: String, _ bytes: [UInt8], mode: UInt32, sync: Bool) throws(FileError) {
        try withFile(path, [.write, .create, .exclusive], mode: mode) { (descriptor) throws(FileError) in
            try writeAll(descriptor, bytes, path: path)
            if sync { try self.sync(descriptor, path: path) }
        }
    }

    /// Atomic and durable: readers see the old or the new content, never a mixture. Commit point: the rename.
    public func replaceFile(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o600) throws(FileError) {
        try publish(path, bytes, mode: mode, replace: true)
    }

    /// As `replaceFile`, but fails with `.exists` when the name is taken.
    public func createFile(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o600) throws(FileError) {
        try publish(path, bytes, mode: mode, replace: false)
    }

    private func publish(_ path: String, _ bytes: [UInt8], mode: UInt32, replace: Bool) throws(FileError) {
        let (folder, name) = PathParts.split(path)
        let temporary = "\(folder)/\(TemporaryNames.next(for: name))"
        do throws(FileError) {
            try createSynced(temporary, bytes, mode: mode)
            try rename(temporary, path, replace: replace)
        } catch {
            // Best effort: what is left is a dot file that `sweepTemporaries` removes.
            try? remove(temporary)
            throw error
        }
        try syncDirectory(folder)
    }

    /// Appends in one write. `durable`: fsynced before it returns, with the folder entry when the file is new.
    public func appendFile(
        _ path: String, _ bytes: [UInt8], durable: Bool, mode: UInt32 = 0o600
    ) throws(FileError) {
        let isNew = durable ? !(try exists(path)) : false
        try withFile(path, [.write, .append, .create], mode: mode) { (descriptor) throws(FileError) in
            try writeAll(descriptor, bytes, path: path)
            if durable { try dataSync(descriptor, path: path) }
        }
        if isNew { try syncDirectory(PathParts.split(path).folder) }
    }

    /// mkdir -p; the entry of each folder it makes is fsynced before it returns.
    public func ensureDirectory(_ path: String, mode: UInt32 = 0o700, syncLast: Bool = true) throws(FileError) {
        do {
            try makeDirectory(path, mode: mode)
        } catch {
            switch error.code {
            case .exists:
                guard try status(path).kind == .directory else {
                    throw FileError(code: .notDirectory, operation: "mkdir", path: path)
                }
                return
            case .notFound:
                let parent = PathParts.split(path).folder
                guard parent != path else { throw error }
                try ensureDirectory(parent, mode: mode)
                // Not by the same way again: where the parent is there and this still fails it would never end.
                do throws(FileError) {
                    try makeDirectory(path, mode: mode)
                } catch {
                    guard error.code == .exists, try status(path).kind == .directory else { throw error }
                    return
                }
            default: throw error
            }
        }
        if syncLast { try syncDirectory(PathParts.split(path).folder) }
    }
}

/// Folder and last part of a path.
public enum PathParts {
    public static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = String(path[..<slash])
        return (folder.isEmpty ? "/" : folder, String(path[path.index(after: slash)...]))
    }
}

/// Names of files being written: hidden, unique in this process, and told apart between processes by a random part.
public enum TemporaryNames {
    private static let counter = Atomic<UInt64>(0)
    private static let process = String(UInt32.random(in: .min ... .max), radix: 36)

    public static func next(for name: String) -> String {
        let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
        // The limit of a name is in bytes: 255.
        var stem = ""
        for character in name where stem.utf8.count + String(character).utf8.count <= 120 { stem.append(character) }
        return ".\(stem).\(process)-\(number).tmp"
    }

    public static func isTemporary(_ name: String) -> Bool { name.hasPrefix(".") && name.hasSuffix(".tmp") }

    /// Whether it is one of the file `name`.
    public static func isTemporary(_ temporary: String, of name: String) -> Bool {
        isTemporary(temporary) && temporary.hasPrefix(".\(name).")
    }
}
