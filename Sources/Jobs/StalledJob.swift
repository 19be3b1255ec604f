// Running jobs that do not get on: nothing was written to the record for longer than the job may run at all. A worker that
// lives would have ended it by then, or its process would have ended with status 70. So the worker's process is stopped
// (SIGSTOP, a frozen container or machine) and holds the job, or it is dead and no process is there to recover the job.
// Reads only; any thread.

import DurableFiles
import Foundation
import Spool
import TextFormats

public struct StalledJob: Sendable, Hashable {
    public var id: JobID
    public var user: String
    /// When the last line was written to its record.
    public var since: Date
    /// A process holds the job. False: its process died, and no worker is there to recover it.
    public var isHeld: Bool

    public var json: JSON {
        [
            "job_id": .string(id.description), "user_id": .string(user), "since": .string(RFC3339.string(since)),
            "held": .bool(isHeld),
        ]
    }
}

extension JobClient {
    /// Seconds beyond a job's own time limit: the grace of a worker (30) and some more.
    static let stallGrace: TimeInterval = 35
    /// Seconds: no job may run shorter, so a younger record need not be looked at.
    private static let shortestLimit: TimeInterval = 1
    /// The limit of a job whose file cannot be read.
    private static let usualLimit: TimeInterval = 300
    /// Jobs named at most.
    static let stalledAtMost = 100

    func stalled(_ running: [JobFileName]) throws(JobError) -> [StalledJob] {
        var stalled: [StalledJob] = []
        let time = now()
        for name in running where stalled.count < Self.stalledAtMost {
            // One that has just ended, or whose record cannot be looked at, is named by nobody here.
            guard let since = try? spool.files.status(spool.statusPath(name.id)).modified,
                time.timeIntervalSince(since) > Self.shortestLimit + Self.stallGrace,
                time.timeIntervalSince(since) > limit(name) + Self.stallGrace,
                let isHeld = try spoolCall(name.id, { () throws(SpoolError) in try spool.isHeld(name) })
            else { continue }
            stalled.append(StalledJob(id: name.id, user: name.user, since: since, isHeld: isHeld))
        }
        return stalled.sorted { ($0.since, $0.id) < ($1.since, $1.id) }
    }

    private func limit(_ name: JobFileName) -> TimeInterval {
        let path = spool.layout.path(.running, name)
        guard let payload = try? spool.files.readFile(path, maxBytes: JobSpool.maximumPayload),
            let job = try? AdmittedJob(payload: payload, now: now())
        else { return Self.usualLimit }
        return TimeInterval(job.request.timeout)
    }
}
