// A regular file of a sealed folder, open for reading piece by piece: a reader sees one file from beginning to end, also when
// its name is given to another file meanwhile. Any thread; a read blocks. Failure: FileError. The descriptor is closed with the
// last reference.

public final class SealedFile: Sendable {
    /// Relative to the sealed folder.
    public let path: String
    /// As it was when it was opened.
    public let status: FileStatus
    private let files: any FileSystem
    private let descriptor: Int32

    /// Takes the descriptor over, also when this throws.
    /// - Throws: `.isDirectory` and `.invalid` for what is no regular file; `.escapes` with `singleName` for a file that has other
    ///   names too; `.tooLarge`.
    init(
        taking descriptor: Int32, path: String, files: any FileSystem, maxBytes: Int, singleName: Bool
    ) throws(FileError) {
        do throws(FileError) {
            let status = try files.status(of: descriptor, path: path)
            guard status.kind == .regular else {
                let code: FileError.Code = status.kind == .directory ? .isDirectory : .invalid
                throw FileError(code: code, operation: "read", path: path)
            }
            guard !singleName || status.links <= 1 else { throw FileError(code: .escapes, operation: "read", path: path) }
            guard status.size <= maxBytes else { throw FileError(code: .tooLarge, operation: "read", path: path) }
            self.status = status
        } catch {
            files.closeQuietly(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.path = path
        self.files = files
    }

    deinit { files.closeQuietly(descriptor) }

    /// Bytes it had when it was opened.
    public var size: Int { status.size }

    /// Up to `count` bytes from `offset`; fewer at the end of the file.
    public func read(from offset: Int, count: Int) throws(FileError) -> [UInt8] {
        try files.readRange(descriptor, from: offset, count: count, path: path)
    }
}
