// What has to be thrown away now and then. To be called about once a day, from any one thread; blocking.
// Failure: JobError `storage`; what is left is taken by the next time.

import DurableFiles
import Foundation
import Spool

extension JobClient {
    /// Forgets idempotency keys older than 7 days.
    public func pruneKeys() throws(JobError) { try keys.prune() }

    /// Removes receipts that are older than the jobs they are about can be. Rejected files are never removed.
    /// - Parameter days: the retention of finished jobs.
    /// - Returns: how many were removed.
    @discardableResult
    public func pruneReceipts(olderThanDays days: Int) throws(JobError) -> Int {
        let limit = now().addingTimeInterval(-Double(max(1, days)) * 86_400)
        let folder = spool.layout.path(.receipts)
        var removed = 0
        do throws(FileError) {
            for entry in try spool.files.list(folder) where entry.kind != .directory {
                let path = "\(folder)/\(entry.name)"
                let status = try spool.files.status(path)
                guard status.kind == .regular, status.modified < limit else { continue }
                try spool.files.remove(path)
                removed += 1
            }
        } catch {
            // Somebody else removed one meanwhile: the next time finds the rest.
            guard error.code == .notFound else { throw JobError(error) }
        }
        return removed
    }
}
