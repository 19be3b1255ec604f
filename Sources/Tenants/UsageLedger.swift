// How much a user has used today and this month: usage.jsonl, added up. The file is the record and only grows, so it is
// read on from where the last look ended; a look costs one stat while nothing was added. Any thread. Failure: TenantError.
import DurableFiles
import Foundation
import Synchronization
import TextFormats

public final class UsageLedger: Sendable {
    /// Users kept in memory; beyond it the sums are made anew from the files.
    private static let maximumUsers = 10_000

    private struct Account {
        var inode: UInt64
        var offset = 0
        var sums = UsageSums()
    }

    private let accounts = Mutex<[UserID: Account]>([:])

    public init() {}

    /// - Returns: what the user has used from `start` on, to the hour.
    public func total(of workspace: Workspace, since start: Date) throws(TenantError) -> UsageTotal {
        try upToDate(workspace).sums.total(since: start)
    }

    /// - Returns: what usage.jsonl has of one job, if it is among the last ones.
    func said(by job: String, _ workspace: Workspace) throws(TenantError) -> UsageTotal {
        try upToDate(workspace).sums.said(by: job)
    }

    private func upToDate(_ workspace: Workspace) throws(TenantError) -> Account {
        var account = accounts.withLock { $0[workspace.user] }
        let status: FileStatus?
        do throws(FileError) {
            status = try workspace.directory.status(Workspace.usage)
        } catch {
            guard error.code == .notFound else {
                throw TenantError(error, doing: "read usage.jsonl of \"\(workspace.user)\"")
            }
            status = nil
        }
        guard let status else { return Account(inode: 0) }
        // Another file, or one that has shrunk: begin anew.
        if account?.inode != status.inode || (account?.offset ?? 0) > status.size { account = nil }
        var known = account ?? Account(inode: status.inode)
        guard known.offset < status.size else { return known }
        while let next = try Self.read(on: &known, workspace), next > known.offset { known.offset = next }
        let sums = known
        accounts.withLock { accounts in
            if accounts.count >= Self.maximumUsers, accounts[workspace.user] == nil { accounts.removeAll() }
            accounts[workspace.user] = sums
        }
        return sums
    }

    private static func read(on account: inout Account, _ workspace: Workspace) throws(TenantError) -> Int? {
        let page = try workspace.usage(from: account.offset)
        for entry in page.entries { account.sums.add(entry) }
        return page.next
    }
}
