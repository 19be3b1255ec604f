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

    /// Bytes of most names, but for the user.
    private static let usualLength = 140

    public var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(JobFileName.usualLength + user.utf8.count)
        let due = String(max(0, dueMilliseconds))
        text.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: max(0, 13 - due.utf8.count)))
        text += due.utf8
        text.append(UInt8(ascii: "."))
        text += String(lane.letter).utf8
        text += String(priority).utf8
        for field in [user, orderKey?.description ?? "-", holdKey, String(run)] {
            text.append(UInt8(ascii: "."))
            text += field.utf8
        }
        for count in [attempt, crashes] {
            text.append(UInt8(ascii: "-"))
            text += String(count).utf8
        }
        text.append(UInt8(ascii: "."))
        text += id.description.utf8
        if isDead { text += ".dead".utf8 }
        text += ".json".utf8
        if isFinishing { text += ".fin".utf8 }
        return String(decoding: text, as: UTF8.self)
    }

    /// - Returns: nil for any name that is none of ours.
    public init?(_ text: String) {
        var text = text
        guard let name = text.withUTF8({ JobFileName(bytes: $0) }) else { return nil }
        self = name
    }

    private init?(bytes: UnsafeBufferPointer<UInt8>) {
        var fields = NameFields(bytes)
        guard let due = fields.number(minimumDigits: 13), fields.take("."), let lane = fields.next().flatMap(Lane.init(letter:)),
            let priority = fields.digit(), fields.take("."), let user = fields.key(JobFileName.maximumUserLength),
            fields.take(".")
        else { return nil }
        if fields.take("-") {
            orderKey = nil
        } else {
            guard let key = OrderKey(fields.text(32)) else { return nil }
            orderKey = key
        }
        guard fields.take("."), let holdKey = fields.key(JobFileName.maximumHoldKeyLength), fields.take("."),
            let run = fields.number(), run >= 1, fields.take("-"), let attempt = fields.number(), fields.take("-"),
            let crashes = fields.number(), max(run, attempt, crashes) < JobFileName.countLimit, fields.take("."),
            let id = JobID(fields.text(36))
        else { return nil }
        isDead = fields.take(".dead")
        guard fields.take(".json") else { return nil }
        isFinishing = fields.take(".fin")
        guard fields.isAtEnd else { return nil }
        self.id = id
        self.dueMilliseconds = due
        self.lane = lane
        self.priority = priority
        self.user = user
        self.holdKey = holdKey
        self.run = Int(run)
        self.attempt = Int(attempt)
        self.crashes = Int(crashes)
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

    /// Its next claim is one of a job that is suspected of killing its process. An operator's retry begins with fresh counts.
    public var isSuspect: Bool { claimed.crashes > 0 }

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

/// Reads a name from left to right. Only the one spelling that `description` writes is taken: another one of the same
/// facts would be looked for under a name that does not exist.
private struct NameFields {
    private var rest: Slice<UnsafeBufferPointer<UInt8>>

    init(_ bytes: UnsafeBufferPointer<UInt8>) { rest = bytes[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func next() -> UInt8? { rest.popFirst() }

    mutating func take(_ text: StaticString) -> Bool {
        let matches = text.withUTF8Buffer { rest.starts(with: $0) }
        if matches { rest = rest.dropFirst(text.utf8CodeUnitCount) }
        return matches
    }

    mutating func digit() -> Int? {
        guard let byte = rest.first, (0x30...0x39).contains(byte) else { return nil }
        rest = rest.dropFirst()
        return Int(byte - 0x30)
    }

    /// At most 15 digits; more than `minimumDigits` only where the first is no zero.
    mutating func number(minimumDigits: Int = 1) -> Int64? {
        let start = rest
        var value: Int64 = 0
        while let digit = digit() {
            value = value * 10 + Int64(digit)
            guard start.count - rest.count <= 15 else { return nil }
        }
        let count = start.count - rest.count
        guard count == minimumDigits || (count > minimumDigits && start.first != 0x30) else { return nil }
        return value
    }

    mutating func text(_ count: Int) -> String {
        defer { rest = rest.dropFirst(count) }
        return String(decoding: rest.prefix(count), as: UTF8.self)
    }

    mutating func key(_ maximum: Int) -> String? {
        let end = rest.firstIndex(of: UInt8(ascii: ".")) ?? rest.endIndex
        let text = String(decoding: rest[..<end], as: UTF8.self)
        guard JobFileName.isKey(text, maximum) else { return nil }
        rest = rest[end...]
        return text
    }
}
