// A spool, one user and a clock in a fresh folder.

import DurableFiles
import Foundation
import Glibc
import Spool
import Synchronization
import Tenants
import TestSupport
import TextFormats

@testable import Jobs

final class JobHouse: Sendable {
    let directory: TemporaryDirectory
    let clock = ManualClock()
    let files: any FileSystem
    let spool: JobSpool
    let client: JobClient
    let user: UserID
    let notices = Mutex<[DropNotice]>([])

    /// - Parameter files: the spool's file system; the user is made on the real one.
    init(
        files: any FileSystem = LinuxFileSystem(), in directory: TemporaryDirectory? = nil, userLimit: Int = 100,
        totalLimit: Int = 1_000
    ) throws {
        let directory = try directory ?? TemporaryDirectory(inMemory: true)
        self.directory = directory
        self.files = files
        user = try UserID("demo")
        let workspaces = WorkspaceManager(root: "\(directory.path)/workspaces", now: clock.read)
        if try !workspaces.exists(user) { _ = try workspaces.create(user) }
        spool = try JobSpool(root: "\(directory.path)/spool", files: files, now: clock.read)
        client = JobClient(
            spool: spool, workspaces: workspaces, configs: UserConfigManager(workspaces: workspaces),
            options: JobClientOptions(userWaitingLimit: { _ in userLimit }, totalWaitingLimit: totalLimit), now: clock.read)
    }

    func addUser(_ name: String) throws {
        let workspaces = WorkspaceManager(root: "\(directory.path)/workspaces", now: clock.read)
        _ = try workspaces.create(try UserID(name))
    }

    func request(_ members: JSONObject) throws -> JobRequest {
        var all: JSONObject = ["kind": "chat", "user_id": "demo", "message": "hello"]
        all.merge(members)
        return try JobRequest.parse(.object(all), now: clock.now)
    }

    @discardableResult
    func submit(_ members: JSONObject = [:]) throws -> SubmittedJob {
        try client.submit(try request(members), source: .api)
    }

    /// Claims the job by hand and runs `body` while it is running; it is given back afterwards unless it was ended.
    func whileRunning(_ id: JobID, _ body: () throws -> Void) throws {
        let claim = try claim(id)
        try body()
        try claim.release("test")
    }

    func claim(_ id: JobID) throws -> Claim {
        guard let name = try spool.names(in: .queued).first(where: { $0.id == id }) else { throw NotClaimed() }
        switch try spool.claim(name) {
        case .claimed(let claim): return claim
        default: throw NotClaimed()
        }
    }

    struct NotClaimed: Error {}

    // MARK: - Drop box

    func path(_ folder: Folder, _ name: String) -> String { spool.layout.path(folder, name) }

    func dropBox() -> DropBox {
        DropBox(
            client: client, spool: spool,
            options: DropBoxOptions(now: clock.read, notify: { notice in self.notices.withLock { $0.append(notice) } }))
    }

    /// Writes and closes a file, as `cp` does.
    func drop(_ name: String, _ text: String, into folder: Folder = .incoming) throws {
        try drop(name, Array(text.utf8), into: folder)
    }

    func drop(_ name: String, _ bytes: [UInt8], into folder: Folder = .incoming) throws {
        try LinuxFileSystem().createSynced(path(folder, name), bytes)
    }

    /// Two looks, the second when the dropped files have been unchanged for their quiet time.
    func scanSettled(_ box: DropBox) {
        box.scan()
        clock.advance(by: DropCandidates.quietTime)
        box.scan()
    }

    func names(_ folder: Folder) throws -> [String] {
        try LinuxFileSystem().list(spool.layout.path(folder)).map(\.name).filter { !$0.hasPrefix(".") }.sorted()
    }

    func json(_ folder: Folder, _ name: String) throws -> JSON {
        try JSON.parse(try LinuxFileSystem().readFile(path(folder, name)))
    }

    var queuedIDs: [JobID] { get throws { try spool.names(in: .queued).map(\.id).sorted() } }
}

extension [DropNotice] {
    var left: [String] {
        compactMap { notice in
            if case .left(let name, _) = notice { return name }
            return nil
        }
    }
}

/// Runs `body` and gives the error it must throw.
func jobError(_ body: () throws -> Void) -> JobError? {
    do {
        try body()
        return nil
    } catch {
        return error as? JobError
    }
}
