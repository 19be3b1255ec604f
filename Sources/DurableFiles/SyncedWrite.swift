// A write that goes on while its thread does something else. `FileSystem.beginSyncedWrite` begins it; the real one is the
// kernel's asynchronous I/O, that of every other file system writes at once and syncs at the end. Any thread.

/// A write that goes on.
public struct SyncedWrite: Sendable {
    public var descriptor: Int32
    /// Bytes to be written.
    public var count: Int
    /// The kernel's queue it stands in; 0: none.
    var queue: UInt

    public init(descriptor: Int32, count: Int) { self.init(descriptor: descriptor, count: count, queue: 0) }

    init(descriptor: Int32, count: Int, queue: UInt) {
        self.descriptor = descriptor
        self.count = count
        self.queue = queue
    }
}

extension FileSystem {
    /// Writes at once and syncs at the end.
    public func beginSyncedWrite(
        _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int, path: String
    ) throws(FileError) -> SyncedWrite {
        let written = try write(descriptor, bytes, at: offset, path: path)
        guard written == bytes.count else { throw FileError(code: .io, operation: "write", path: path) }
        return SyncedWrite(descriptor: descriptor, count: written)
    }

    public func endSyncedWrite(_ write: SyncedWrite, path: String) throws(FileError) {
        try dataSync(write.descriptor, path: path)
    }
}
