// The state lines of a status file as values. Pure; any thread.

import Foundation
import TextFormats

/// A line of type `status`.
public struct StatusRecord: Sendable {
    public var state: JobState
    public var run: Int
    /// Counts the claims of the job; 0 before the first.
    public var epoch: Int
    /// Tells two claims with the same number apart, after a file was lost and begun anew.
    public var tag: String
    public var attempt: Int
    public var crashes: Int
    public var progress: Int
    public var at: Date
    public var due: Date?
    public var startedAt: Date?
    /// The job file's name at this state.
    public var file: String?
    public var result: JSON?
    public var error: JobFailure?
    public var usage: JSON?
    public var note: String?
    /// Only on the line that admits the job.
    public var facts: JSONObject?
    public var fingerprint: String?
    /// The journal before this line no longer counts: the run begins from nothing.
    public var voidsJournal = false

    public init(state: JobState, name: JobFileName, at: Date) {
        self.state = state
        run = name.run
        epoch = 0
        tag = ""
        attempt = name.attempt
        crashes = name.crashes
        progress = 0
        self.at = at
        file = name.description
    }

    var line: StatusLine {
        var fields: JSONObject = [
            "state": .string(state.rawValue), "run": JSON(run), "epoch": JSON(epoch), "attempt": JSON(attempt),
            "crashes": JSON(crashes), "progress": JSON(progress), "at": .string(RFC3339.string(at)),
        ]
        if !tag.isEmpty { fields["tag"] = .string(tag) }
        if let due { fields["due"] = .string(RFC3339.string(due)) }
        if let startedAt { fields["started_at"] = .string(RFC3339.string(startedAt)) }
        if let file { fields["file"] = .string(file) }
        if let note { fields["note"] = .string(note) }
        if let error {
            fields["error"] = ["code": .string(error.code), "detail": .string(error.detail)]
        }
        if let result { fields["result"] = result }
        if let usage { fields["usage"] = usage }
        if voidsJournal { fields["journal"] = "void" }
        if let fingerprint { fields["fingerprint"] = .string(fingerprint) }
        if let facts { fields["job"] = .object(facts) }
        return StatusLine(.status, fields)
    }

    /// - Returns: nil unless the line is a whole status line.
    init?(_ line: StatusLine) {
        let fields = line.fields
        guard line.type == .status, let state = fields["state"]?.string.flatMap(JobState.init(rawValue:)),
            let run = fields["run"]?.int, let epoch = fields["epoch"]?.int, let attempt = fields["attempt"]?.int,
            let at = fields["at"]?.string.flatMap(RFC3339.date)
        else { return nil }
        self.state = state
        self.run = run
        self.epoch = epoch
        self.attempt = attempt
        self.at = at
        tag = fields["tag"]?.string ?? ""
        crashes = fields["crashes"]?.int ?? 0
        progress = fields["progress"]?.int ?? 0
        due = fields["due"]?.string.flatMap(RFC3339.date)
        startedAt = fields["started_at"]?.string.flatMap(RFC3339.date)
        file = fields["file"]?.string
        note = fields["note"]?.string
        result = fields["result"]
        usage = fields["usage"]
        facts = fields["job"]?.object
        fingerprint = fields["fingerprint"]?.string
        voidsJournal = fields["journal"] == "void"
        if let code = fields["error"]?["code"]?.string {
            error = JobFailure(code: code, detail: fields["error"]?["detail"]?.string ?? "", isRetryable: false)
        }
    }

    /// What an event id begins with: "0" before the first claim.
    public var epochText: String { tag.isEmpty ? String(epoch) : "\(epoch)-\(tag)" }
}

/// What the spool knows of a job.
public struct JobRecord: Sendable {
    public var id: JobID
    public var state: JobState
    public var run: Int
    public var attempt: Int
    public var crashes: Int
    /// 0–100.
    public var progress: Int
    public var note: String?
    public var facts: JSONObject
    public var fingerprint: String?
    public var result: JSON?
    public var error: JobFailure?
    public var usage: JSON?
    public var createdAt: Date
    /// Not before then.
    public var runAt: Date?
    public var startedAt: Date?
    /// Of the final state.
    public var completedAt: Date?
    public var updatedAt: Date
    /// The job file's name when the last state was written.
    public var file: String?
    /// Bytes of the status file.
    public var statusSize: Int
    /// A worker has had it, or it has ended: then its job file stood.
    public var hasBeenClaimed: Bool

    init(id: JobID, first: StatusRecord?, last: StatusRecord, statusSize: Int) {
        self.id = id
        state = last.state
        run = last.run
        attempt = last.attempt
        crashes = last.crashes
        progress = last.state == .completed ? 100 : last.progress
        note = last.note
        facts = last.facts ?? first?.facts ?? [:]
        fingerprint = first?.fingerprint
        result = last.result
        error = last.error
        usage = last.usage
        createdAt = id.time
        runAt = last.due ?? first?.due
        startedAt = last.startedAt
        completedAt = last.state.isFinal ? last.at : nil
        updatedAt = last.at
        file = last.file
        self.statusSize = statusSize
        hasBeenClaimed = last.epoch > 0 || last.state != .queued
    }
}
