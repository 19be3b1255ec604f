// What has been said of jobs, kept as long as the record is the same file: an answer then costs one stat and no reading.
// Whatever happens to a job is appended to its record, which changes its size. Only on file systems of this machine, where a
// name's entry is in memory and a stat waits for nobody: it may be asked on an event loop (decision 0017). Any thread.

import DurableFiles
import Spool
import Synchronization
import Tenants
import TextFormats

/// A job as it stands, ready to be sent.
public struct KnownJob: Sendable {
    public var view: JobView
    /// As the job's user is shown it.
    public var forUser: Text
    /// As an administrator is shown it.
    public var forOperator: Text
    /// The record it was read from.
    fileprivate var record: FileStatus

    public var json: [UInt8] { forUser.json }
    public var tag: String { forUser.tag }

    public struct Text: Sendable {
        public var json: [UInt8]
        /// With its quotes.
        public var tag: String

        init(_ json: JSON) {
            self.json = json.bytes()
            tag = "\"\(Fingerprint.sha256Hex(self.json).prefix(32))\""
        }
    }
}

final class KnownJobs: Sendable {
    /// The whole cache goes when it holds so many: what is polled comes back at once.
    private static let maximum = 4_096

    private let spool: JobSpool
    private let entries = Mutex<[JobID: KnownJob]>([:])

    init(spool: JobSpool) { self.spool = spool }

    /// One stat; nil: it has to be read.
    func find(_ id: JobID) -> KnownJob? {
        guard let entry = entries.withLock({ $0[id] }) else { return nil }
        // A record that cannot be looked at is one that has to be read, which says why.
        guard let record = status(id), record == entry.record else {
            entries.withLock { $0[id] = nil }
            return nil
        }
        return entry
    }

    /// What the record is now; nil where nothing is kept.
    func status(_ id: JobID) -> FileStatus? {
        spool.files.isShared ? nil : try? spool.files.status(spool.layout.statusPath(id))
    }

    /// - Parameter record: as it was before the view was read from it. Appending changes its size and its time.
    func keep(_ view: JobView, _ record: FileStatus?) {
        guard let record, status(view.id) == record else { return }
        let text = KnownJob.Text(view.json)
        let entry = KnownJob(
            view: view, forUser: text, forOperator: view.error == nil ? text : KnownJob.Text(view.operatorJSON), record: record)
        entries.withLock { entries in
            if entries.count >= Self.maximum { entries.removeAll() }
            entries[view.id] = entry
        }
    }
}
