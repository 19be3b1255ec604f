// A home as a process builds it, over a file system that can fail.

import Foundation
import Identity
import Jobs
import Scheduler
import Spool
import Synchronization
import Tenants
import TestSupport
import TextFormats

@testable import Accounts

/// Used by one test on one thread; `restart` builds everything anew, as another process would.
final class AccountsHome {
    let folder: TemporaryDirectory
    let clock = ManualClock(Date(timeIntervalSince1970: 1_795_500_000))
    let files = FaultyFileSystem()
    let alice: UserID
    private(set) var workspaces: WorkspaceManager
    private(set) var configs: UserConfigManager
    private(set) var client: JobClient
    private(set) var scheduler: ReportScheduler
    private(set) var accounts: Accounts

    private struct Parts {
        var workspaces: WorkspaceManager
        var configs: UserConfigManager
        var client: JobClient
        var scheduler: ReportScheduler
        var accounts: Accounts

        init(_ path: String, _ files: FaultyFileSystem, _ clock: ManualClock) throws {
            workspaces = WorkspaceManager(root: path + "/workspaces", files: files, now: clock.read)
            configs = UserConfigManager(workspaces: workspaces)
            let spool = try JobSpool(root: path + "/spool", files: files, now: clock.read)
            client = JobClient(spool: spool, workspaces: workspaces, configs: configs, now: clock.read)
            scheduler = ReportScheduler(
                client: client, workspaces: workspaces, configs: configs,
                changes: ChangeMarks(folder: workspaces.root + "/.changed", files: files), now: clock.read)
            accounts = Accounts(
                workspaces: workspaces, configs: configs, scheduler: scheduler, client: client,
                tokens: TokenDesk(
                    store: TokenStore(folder: path + "/tokens", files: files, now: clock.read),
                    incarnation: { [configs] in try? configs.get($0).incarnation }, now: clock.read),
                pause: { _ in })
        }
    }

    init() throws {
        folder = try TemporaryDirectory(inMemory: true)
        alice = try UserID("alice")
        let parts = try Parts(folder.path, files, clock)
        (workspaces, configs, client) = (parts.workspaces, parts.configs, parts.client)
        (scheduler, accounts) = (parts.scheduler, parts.accounts)
    }

    func restart() throws {
        let parts = try Parts(folder.path, files, clock)
        (workspaces, configs, client) = (parts.workspaces, parts.configs, parts.client)
        (scheduler, accounts) = (parts.scheduler, parts.accounts)
    }

    @discardableResult
    func submitChat(_ user: UserID) throws -> SubmittedJob {
        let job: JSON = ["kind": "chat", "user_id": .string(user.rawValue), "message": "hello"]
        return try client.submit(JobRequest.parse(job, now: clock.now), source: .api)
    }

    func jobs(of user: UserID) throws -> [JobView] {
        try client.list(JobFilter(user: user), limit: 100, after: nil)
    }
}
