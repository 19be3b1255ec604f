// The lock that lets one suspect at a time run in the whole spool, whatever process it is claimed by: control/suspect. A
// job with a counted crash may take its process down; were two in one process, both would be counted.
// Held with a claim, by its thread; the kernel drops it when the process dies. Failure: SpoolError.storage.

import DurableFiles

final class SuspectLock {
    private let files: any FileSystem
    private var descriptor: Int32

    private init(descriptor: Int32, files: any FileSystem) {
        self.descriptor = descriptor
        self.files = files
    }

    deinit { close() }

    func close() {
        guard descriptor >= 0 else { return }
        files.closeQuietly(descriptor)
        descriptor = -1
    }

    /// - Returns: nil when another suspect runs, in this process or another.
    static func take(_ folders: SpoolFolders) throws(SpoolError) -> SuspectLock? {
        let (path, files) = (folders.layout.suspectLock, folders.files)
        return try stored { () throws(FileError) in
            let descriptor = try folders.open(path, [.read, .write, .create])
            let lock = SuspectLock(descriptor: descriptor, files: files)
            return try files.tryLock(descriptor, path: path) ? lock : nil
        }
    }
}
