// One frame of the shared log while it is put together and written: memory that begins on a page and is written in whole
// pages, as direct writes (O_DIRECT) need it. Belongs to whoever is the writer just then; never two threads at once.

import DurableFiles

final class LogBuffer {
    private var memory: UnsafeMutableRawBufferPointer
    /// Bytes in use; the rest up to `written` is zeros once the frame is sealed.
    private var count = 0

    /// Bytes kept between two frames.
    private static let usualCapacity = 16 * LogSegment.page
    /// Writes without a whole page of progress after which the disk is taken to be broken.
    private static let idleWrites = 8

    init() { memory = LogBuffer.allocate(LogBuffer.usualCapacity) }

    deinit { memory.deallocate() }

    private static func allocate(_ count: Int) -> UnsafeMutableRawBufferPointer {
        .allocate(byteCount: count, alignment: LogSegment.page)
    }

    /// What is to be written: whole pages.
    var pages: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[..<((count + LogSegment.page - 1) / LogSegment.page * LogSegment.page)])
    }

    /// Empties it, and gives back what a large frame has needed.
    func clear() {
        count = 0
        guard memory.count > LogBuffer.usualCapacity else { return }
        memory.deallocate()
        memory = LogBuffer.allocate(LogBuffer.usualCapacity)
    }

    func reserve(_ capacity: Int) {
        guard capacity > memory.count else { return }
        let larger = LogBuffer.allocate((capacity + LogSegment.page - 1) / LogSegment.page * LogSegment.page)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[..<count]))
        memory.deallocate()
        memory = larger
    }

    func append(_ bytes: [UInt8]) {
        reserve(count + bytes.count)
        UnsafeMutableRawBufferPointer(rebasing: memory[count...]).copyBytes(from: bytes)
        count += bytes.count
    }

    /// Bytes in front of what has been appended are replaced.
    func replace(at offset: Int, with bytes: [UInt8]) {
        UnsafeMutableRawBufferPointer(rebasing: memory[offset..<count]).copyBytes(from: bytes)
    }

    /// What has been appended, from `offset` on.
    func bytes(from offset: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[offset..<count]) }

    /// Fills the last page with zeros.
    func seal() {
        reserve(count)
        let end = pages.count
        UnsafeMutableRawBufferPointer(rebasing: memory[count..<end]).initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Writes the pages at an offset that is one of a page.
    func write(to descriptor: Int32, at offset: Int, _ files: any FileSystem, path: String) throws(FileError) {
        let all = pages
        var done = 0
        var idle = 0
        while done < all.count {
            let rest = UnsafeRawBufferPointer(rebasing: all[done...])
            let written = try files.write(descriptor, rest, at: offset + done, path: path)
            if written == rest.count { return }
            // A short write ends where it likes; the next one must begin on a page again.
            idle = written < LogSegment.page ? idle + 1 : 0
            guard idle < LogBuffer.idleWrites else { throw FileError(code: .io, operation: "write", path: path) }
            done += written / LogSegment.page * LogSegment.page
        }
    }
}
