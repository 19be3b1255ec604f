// The name of a job file carries all the dispatcher needs, so a restart reads names only and every transition is one
// rename. Pure; any thread.
//
//   <due ms>.<lane letter><priority>.<user>.<order key or ->.<hold key>.<run>-<attempt>-<crashes>.<id>[.dead].json[.fin]

import Foundation

public struct JobFileName: Hashable, Sendable, CustomStringConvertible {
    public var id: JobID
    /// Milliseconds since 1970 before which the job does not start.
    public var dueMilliseconds: Int64
    public var lane: Lane
    /// 0 (first) to 9, within one user.
    public var priority: Int
    public var user: String
    public var orderKey: OrderKey?
    /// The provider account that a 429 holds; opaque to the spool.
    public var holdKey: String
    /// 1 for the first; an operator's retry begins the next.
    public var run: Int
    /// How often it was tried and failed in this run.
    public var attempt: Int
    /// How often the process died while trying, counted as docs/job-states.md says.
    public var crashes: Int
    /// Stamped when buried: found in queued/, a stamped name is an operator's retry.
    public var isDead: Bool
    /// Its final line is being written.
    public var isFinishing: Bool

    static let maximumUserLength = 64
    /// Counts are below this; the dispatcher keeps them in 16 bits.
    static let countLimit: Int64 = 65_536
    static let maximumHoldKeyLength = 16

    public init(
        id: JobID, due: Date, lane: Lane, priority: Int, user: String, orderKey: OrderKey?, holdKey: String,
        run: Int = 1, attempt: Int = 0, crashes: Int = 0
    ) {
        self.id = id
        self.dueMilliseconds = Int64((due.timeIntervalSince1970 * 1000).rounded())
        self.lane = lane
        self.priority = priority
        self.user = user
        self.orderKey = orderKey
        self.holdKey = holdKey
        self.run = run
        self.attempt = attempt
        self.crashes = crashes
        isDead = false
        isFinishing = false
    }

    /// The due time (ms) on a clock that shows `now`. A job that was meant to run at once keeps the time of the clock it
    /// was submitted by; when that clock has been set back since, nobody asked to wait until it gets there again.
    public func due(onClockShowing now: Int64) -> Int64 {
        let made = Int64(id.milliseconds)
        let isImmediate = attempt == 0 && crashes == 0 && dueMilliseconds <= made + JobFileName.immediateSpan
        return now < made && isImmediate ? min(now, dueMilliseconds) : dueMilliseconds
    }

    /// Milliseconds between making an id and admitting its job that still count as at once.
    private static let immediateSpan: Int64 = 1_000

    /// A due time that a name can carry: from 1970 on, at most 15 digits.
    var hasUsualDue: Bool { (0..<1_000_000_000_000_000).contains(dueMilliseconds) }

    public var due: Date { Date(timeIntervalSince1970: Double(dueMilliseconds) / 1000) }

    public var description: String {
        let due = String(max(0, dueMilliseconds))
        var text = String(repeating: "0", count: max(0, 13 - due.count)) + due
        text += ".\(lane.letter)\(priority).\(user)."
        text += orderKey?.description ?? "-"
        text += ".\(holdKey).\(run)-\(attempt)-\(crashes).\(id)"
        if isDead { text += ".dead" }
        text += ".json"
        if isFinishing { text += ".fin" }
        return text
    }

    /// - Returns: nil for any name that is none of ours.
    public init?(_ text: String) {
        var parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        isFinishing = parts.last == "fin"
        if isFinishing { parts.removeLast() }
        guard parts.popLast() == "json" else { return nil }
        isDead = parts.last == "dead"
        if isDead { parts.removeLast() }
        guard parts.count == 7, parts[0].utf8.count >= 13, let due = JobFileName.number(parts[0]),
            parts[1].count == 2, let lane = Lane(letter: parts[1].first),
            let priority = parts[1].last?.wholeNumberValue, JobFileName.isKey(parts[2], JobFileName.maximumUserLength),
            JobFileName.isKey(parts[4], JobFileName.maximumHoldKeyLength), let id = JobID(parts[6])
        else { return nil }
        if parts[3] == "-" {
            orderKey = nil
        } else {
            guard let key = OrderKey(parts[3]) else { return nil }
            orderKey = key
        }
        let counts = parts[5].split(separator: "-", omittingEmptySubsequences: false).map {
            JobFileName.number(String($0))
        }
        guard counts.count == 3, let run = counts[0], run >= 1, let attempt = counts[1], let crashes = counts[2],
            max(run, attempt, crashes) < JobFileName.countLimit
        else { return nil }
        self.id = id
        self.dueMilliseconds = due
        self.lane = lane
        self.priority = priority
        self.user = parts[2]
        self.holdKey = parts[4]
        self.run = Int(run)
        self.attempt = Int(attempt)
        self.crashes = Int(crashes)
        // Another spelling of the same facts would be found under a name that does not exist.
        guard description == text else { return nil }
    }

    private static func number(_ text: String) -> Int64? {
        guard !text.isEmpty, text.utf8.count <= 15, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int64(text)
    }

    /// Letters that stay inside one path component and one field of the name.
    static func isKey(_ text: String, _ maximum: Int) -> Bool {
        !text.isEmpty && text.utf8.count <= maximum
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "_")
                    || byte == UInt8(ascii: "-")
            }
    }

    // MARK: What becomes of a name

    /// The name under which a file taken from queued/ runs: a stamped one begins the next run with fresh counts.
    public var claimed: JobFileName {
        guard isDead else { return settled }
        var next = settled
        next.isDead = false
        next.run += 1
        next.attempt = 0
        next.crashes = 0
        return next
    }

    var finishing: JobFileName {
        var next = self
        next.isFinishing = true
        return next
    }

    var settled: JobFileName {
        var next = self
        next.isFinishing = false
        return next
    }

    var buried: JobFileName {
        var next = settled
        next.isDead = true
        return next
    }

    func retried(due: Date) -> JobFileName {
        var next = settled
        next.attempt += 1
        next.dueMilliseconds = Int64((due.timeIntervalSince1970 * 1000).rounded())
        return next
    }

    func postponed(until due: Date) -> JobFileName {
        var next = settled
        next.dueMilliseconds = Int64((due.timeIntervalSince1970 * 1000).rounded())
        return next
    }

    func recovered(countingCrash: Bool) -> JobFileName {
        var next = settled
        if countingCrash { next.crashes += 1 }
        return next
    }
}
