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
    static func take(_ layout: SpoolLayout, _ files: any FileSystem) throws(SpoolError) -> SuspectLock? {
        try stored { () throws(FileError) in
            let descriptor = try files.open(layout.suspectLock, [.read, .write, .create], mode: 0o640)
            let lock = SuspectLock(descriptor: descriptor, files: files)
            return try files.tryLock(descriptor, path: layout.suspectLock) ? lock : nil
        }
    }
}
