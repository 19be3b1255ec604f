// A descriptor that is closed with its last owner, however far the making of that owner came. Any thread.

import DurableFiles

final class OpenDescriptor: Sendable {
    let raw: Int32
    private let files: any FileSystem

    /// Takes over a descriptor that is open.
    init(_ raw: Int32, _ files: any FileSystem) {
        self.raw = raw
        self.files = files
    }

    deinit { files.closeQuietly(raw) }
}
