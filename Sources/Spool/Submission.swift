// What is admitted, and what comes of it. Values; any thread.

import Foundation
import TextFormats

/// A job to be admitted. `payload` and `holdKey` mean nothing to the spool.
public struct Submission: Sendable {
    public var id: JobID
    /// `[a-z0-9_-]`, 1–64 bytes.
    public var user: String
    public var lane: Lane
    /// 0 (first) to 9.
    public var priority: Int
    public var due: Date
    public var orderKey: OrderKey?
    /// `[a-z0-9_-]`, 1–16 bytes.
    public var holdKey: String
    public var payload: [UInt8]
    /// Equal for equal content, whatever the id.
    public var fingerprint: String
    /// What every reader of the status file shall know without opening the job file.
    public var facts: JSONObject
    /// The id was drawn for this submission: nobody else has it, and no file.
    public var isFresh: Bool

    public init(
        id: JobID, user: String, lane: Lane, priority: Int, due: Date, orderKey: OrderKey?, holdKey: String,
        payload: [UInt8], fingerprint: String, facts: JSONObject, isFresh: Bool = false
    ) {
        self.id = id
        self.user = user
        self.lane = lane
        self.priority = priority
        self.due = due
        self.orderKey = orderKey
        self.holdKey = holdKey
        self.payload = payload
        self.fingerprint = fingerprint
        self.facts = facts
        self.isFresh = isFresh
    }

    /// Written before the job file stands, so that whoever finds only the file knows what it is.
    var admissionLine: StatusLine {
        StatusLine(
            .event,
            ["event": "admitting", "fingerprint": .string(fingerprint), "job": .object(facts)])
    }

    var fileName: JobFileName {
        JobFileName(
            id: id, due: due, lane: lane, priority: priority, user: user, orderKey: orderKey, holdKey: holdKey)
    }
}

public enum Submitted: Sendable {
    case created(JobRecord)
    /// The id was admitted before, with the same content.
    case existing(JobRecord)

    public var record: JobRecord {
        switch self {
        case .created(let record), .existing(let record): return record
        }
    }
}
