// All that is kept of a user, as a tar archive, piece by piece: manifest.json, workspace/…, jobs/N.jsonl, tokens.json (without what
// opens anything). Files are read one after the other, each whole, as they are at that moment; one that is gone by then is left
// out. Blocks; one thread at a time. Failure: TenantError, JobError.

import DurableFiles
import Foundation
import Identity
import Jobs
import Spool
import Synchronization
import Tenants
import TextFormats

final class UserArchive: Sendable {
    private enum Part {
        case manifest, file(String), jobs, end
    }

    private struct State {
        /// What is to come, the next one last.
        var parts: [Part]
        /// The jobs of the pieces before end here.
        var lastJob: JobID?
        var jobPieces = 0
    }

    /// Bytes of one file: sessions are the largest there are.
    private static let maximumFile = 256 << 20
    private static let jobsPerPiece = 1_000

    private let user: UserID
    private let directory: SealedDirectory
    private let services: APIServices
    private let now: Date
    private let state: Mutex<State>

    /// - Throws: `userNotFound`.
    init(_ user: UserID, services: APIServices, now: Date) throws {
        self.user = user
        self.services = services
        self.now = now
        let workspace = try services.workspaces.open(user)
        directory = workspace.directory
        let files = try workspace.exportedFiles().map { Part.file($0) }
        state = Mutex(State(parts: [.end, .jobs] + files.reversed() + [.manifest]))
    }

    /// - Returns: nil after the archive's end.
    func next() throws -> [UInt8]? {
        try state.withLock { state in
            while let part = state.parts.popLast() {
                switch part {
                case .manifest: return entry("manifest.json", manifest)
                case .file(let path): if let piece = try file(path) { return piece }
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

    private func file(_ path: String) throws -> [UInt8]? {
        do throws(FileError) {
            let modified = try directory.status(path).modified
            return entry("workspace/\(path)", try directory.read(path, maxBytes: Self.maximumFile), modified)
        } catch {
            guard error.code == .notFound else { throw TenantError(error, doing: "export \(path)") }
            return nil
        }
    }

    private func jobs(_ state: inout State) throws -> [UInt8]? {
        let views = try services.jobs.list(JobFilter(user: user), limit: Self.jobsPerPiece, after: state.lastJob)
        guard let last = views.last else { return nil }
        state.lastJob = last.id
        state.jobPieces += 1
        state.parts.append(.jobs)
        return entry("jobs/\(state.jobPieces).jsonl", views.flatMap { $0.json.bytes() + [UInt8(ascii: "\n")] })
    }

    private func tokens() throws -> [UInt8] {
        JSON.array(try services.tokens.store.list(user: user).map(\.publicJSON)).bytes()
    }
}
