// One file of a workspace on its way to a client: read piece by piece, and the same file to its end or not at all. Blocks; one
// thread at a time. Failure: FileError, and Changed.

import DurableFiles
import Synchronization
import Tenants

final class FilePieces: Sendable {
    /// The file is not what its tag says any more: the answer must not look whole.
    struct Changed: Error {}

    let size: Int
    private let file: SealedFile
    private let fingerprint: String
    private struct State {
        var offset = 0
        var sent = RunningFingerprint()
    }
    private let state = Mutex(State())

    /// - Parameter fingerprint: of the file's content, read before.
    init(_ file: SealedFile, fingerprint: String) {
        self.file = file
        self.fingerprint = fingerprint
        size = file.size
    }

    /// - Returns: nil after the last piece. The last one is given out only when all of them together are the content that was
    ///   announced.
    func next() throws -> [UInt8]? {
        try state.withLock { state in
            let count = min(PacedWriter.piece, size - state.offset)
            guard count > 0 else { return nil }
            let bytes = try file.read(from: state.offset, count: count)
            guard bytes.count == count else { throw Changed() }
            state.sent.add(bytes)
            state.offset += count
            if state.offset == size, state.sent.hex != fingerprint { throw Changed() }
            return bytes
        }
    }
}
