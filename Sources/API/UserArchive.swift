// All that is kept of a user, as a tar archive, piece by piece: manifest.json, workspace/…, jobs/N.jsonl, tokens.json (without what
// opens anything). Files are read one after the other, each as long as it is when its turn comes: what is appended later is left out,
// and so is a file that is gone by then. Blocks; one thread at a time. Failure: TenantError, JobError, and Changed for a file that
// becomes shorter while it is read: nothing can be put in its place, so the archive ends there, without its end.

import DurableFiles
import Foundation
import Identity
import Jobs
import Spool
import Synchronization
import Tenants
import TextFormats

public final class UserArchive: Sendable {
    /// A file became shorter while it was read.
    public struct Changed: Error {}

    private enum Part {
        case manifest, file(String), jobs, end
        /// The rest of a file, from an offset.
        case rest(SealedFile, Int)
    }

    private struct State {
        /// What is to come, the next one last.
        var parts: [Part]
        /// The jobs of the pieces before end here.
        var lastJob: JobID?
        var jobPieces = 0
    }

    /// Jobs of one file of the archive, and how many of them are asked for at a time.
    private static let jobsPerFile = 1_000
    private static let jobsPerCall = 50

    private let user: UserID
    private let directory: SealedDirectory
    private let client: JobClient
    private let store: TokenStore
    private let now: Date
    private let state: Mutex<State>
    /// What the names of the files to come hold in memory.
    let nameBytes: Int

    /// - Throws: `userNotFound`.
    public init(
        _ user: UserID, workspaces: WorkspaceManager, jobs: JobClient, tokens: TokenStore, now: Date
    ) throws {
        self.user = user
        client = jobs
        store = tokens
        self.now = now
        let workspace = try workspaces.open(user)
        directory = workspace.directory
        let names = try workspace.exportedFiles()
        nameBytes = names.reduce(0) { $0 + $1.utf8.count + 64 }
        state = Mutex(State(parts: [.end, .jobs] + names.reversed().map { Part.file($0) } + [.manifest]))
    }

    /// - Returns: nil after the archive's end.
    public func next() throws -> [UInt8]? {
        try state.withLock { state in
            while let part = state.parts.popLast() {
                switch part {
                case .manifest: return entry("manifest.json", manifest)
                case .file(let path): if let piece = try file(path, &state) { return piece }
                case .rest(let file, let offset): return try rest(of: file, from: offset, &state)
                case .jobs: if let piece = try jobs(&state) { return piece }
                case .end: return try entry("tokens.json", tokens()) + TarArchive.end
                }
            }
            return nil
        }
    }

    private func entry(_ path: String, _ content: [UInt8], _ modified: Date? = nil) -> [UInt8] {
        TarArchive.file("\(user)/\(path)", content, modified: modified ?? now)
    }

    private var manifest: [UInt8] {
        let manifest: JSON = [
            "user_id": .string(user.rawValue), "exported_at": .string(RFC3339.string(now)), "format": 1,
        ]
        return manifest.bytes()
    }

    private func file(_ path: String, _ state: inout State) throws -> [UInt8]? {
        let file: SealedFile
        do throws(FileError) {
            file = try directory.openFile(path)
        } catch {
            guard error.code == .notFound else { throw TenantError(error, doing: "export \(path)") }
            return nil
        }
        let header = TarArchive.header("\(user)/workspace/\(path)", size: file.size, modified: file.status.modified)
        return header + (try rest(of: file, from: 0, &state))
    }

    private func rest(of file: SealedFile, from offset: Int, _ state: inout State) throws -> [UInt8] {
        let count = min(PacedWriter.piece, file.size - offset)
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try file.read(from: offset, count: count)
        } catch {
            throw TenantError(error, doing: "export \(file.path)")
        }
        guard bytes.count == count else { throw Changed() }
        guard offset + count == file.size else {
            state.parts.append(.rest(file, offset + count))
            return bytes
        }
        return bytes + TarArchive.padding(file.size)
    }

    private func jobs(_ state: inout State) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        var count = 0
        while count < Self.jobsPerFile, bytes.count < PacedWriter.piece {
            let views = try client.list(JobFilter(user: user), limit: Self.jobsPerCall, after: state.lastJob)
            guard let last = views.last else { break }
            state.lastJob = last.id
            count += views.count
            for view in views { bytes += view.json.bytes() + [UInt8(ascii: "\n")] }
        }
        guard count > 0 else { return nil }
        state.jobPieces += 1
        state.parts.append(.jobs)
        return entry("jobs/\(state.jobPieces).jsonl", bytes)
    }

    private func tokens() throws -> [UInt8] {
        JSON.array(try store.list(user: user).map(\.publicJSON)).bytes()
    }
}
