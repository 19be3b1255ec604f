// Which lane the next free worker serves (DESIGN §3, invariant 9). Pure; called under the dispatcher's lock; never fails.
//
// With three or more workers every lane owns a minimum: scheduled 1/8 of the workers (at least 1), background 1/16 (at
// least 1), interactive all the others. The lane furthest below its minimum, in proportion, is served first, so a lane
// with waiting work gets its minimum as soon as enough workers fall free. A lane above its minimum borrows what no lane
// below its own has work for, the higher lane first. Interactive may borrow every worker; the lower lanes together leave
// a quarter of the workers (at least 1) to interactive, and background leaves scheduled's minimum too: a flood of reports
// never makes a chat wait for a report to end.
//
// With one or two workers minimums cannot all be had at once: lanes with work take turns by weight (stride scheduling,
// Waldspurger and Weihl 1995), so none starves. Refused: strict priority, which starves background for good.

import Spool

/// How the workers are divided between the lanes.
public struct LaneShares: Sendable, Equatable {
    /// The least number of workers a lane with waiting work gets, once that many have fallen free.
    public var minimum: PerLane<Int>
    /// The most workers a lane and all lanes below it may use together.
    public var ceiling: PerLane<Int>
    /// Turns out of their sum when there are too few workers for minimums.
    public var weight: PerLane<Int>

    /// The default division for `workers` threads (1…4096).
    public init(workers: Int) {
        let reserve = workers > 1 ? max(1, workers / 4) : 0
        let scheduled = workers >= 3 ? max(1, workers / 8) : 0
        let background = workers >= 3 ? max(1, workers / 16) : 0
        minimum = PerLane(
            interactive: workers >= 3 ? workers - scheduled - background : 0,
            scheduled: scheduled, background: background)
        ceiling = PerLane(
            interactive: workers, scheduled: workers - reserve, background: max(1, workers - reserve - scheduled))
        weight = PerLane(interactive: 8, scheduled: 3, background: 1)
    }
}

/// One value for each lane.
public struct PerLane<Value> {
    public var interactive: Value
    public var scheduled: Value
    public var background: Value

    public init(interactive: Value, scheduled: Value, background: Value) {
        self.interactive = interactive
        self.scheduled = scheduled
        self.background = background
    }

    public init(repeating value: Value) {
        self.init(interactive: value, scheduled: value, background: value)
    }

    public subscript(lane: Lane) -> Value {
        get {
            switch lane {
            case .interactive: interactive
            case .scheduled: scheduled
            case .background: background
            }
        }
        set {
            switch lane {
            case .interactive: interactive = newValue
            case .scheduled: scheduled = newValue
            case .background: background = newValue
            }
        }
    }
}

extension PerLane: Sendable where Value: Sendable {}
extension PerLane: Equatable where Value: Equatable {}

/// Who uses how many workers now, and whose turn it is.
struct LaneLedger {
    let shares: LaneShares
    private(set) var running = PerLane(repeating: 0)
    /// Stride scheduling: the lane with the smallest pass is next; a served lane's pass grows by 1/weight.
    private var pass = PerLane(repeating: 0)
    /// The pass at which the lane served last began its turn.
    private var rotation = 0

    /// One turn in units that every small weight divides nearly evenly.
    private static let stride = 1 << 20

    init(shares: LaneShares) {
        self.shares = shares
    }

    /// The lane to serve next among those with work that could start now; nil when none may.
    func choose(_ hasWork: (Lane) -> Bool) -> Lane? {
        let open = Lane.highestFirst.filter { hasRoom($0) && hasWork($0) }
        if shares.minimum == PerLane(repeating: 0) {
            return open.min { max(pass[$0], rotation) < max(pass[$1], rotation) }
        }
        let starved = open.filter { running[$0] < shares.minimum[$0] }
        // running/minimum compared without division; `min` keeps the first, that is the higher lane, of equals.
        return starved.min { running[$0] * shares.minimum[$1] < running[$1] * shares.minimum[$0] } ?? open.first
    }

    mutating func started(_ lane: Lane) {
        running[lane] += 1
        // A lane that was idle does not save up turns: it starts from where the others are.
        rotation = max(pass[lane], rotation)
        pass[lane] = rotation + Self.stride / max(1, shares.weight[lane])
    }

    mutating func ended(_ lane: Lane) {
        running[lane] -= 1
    }

    private func hasRoom(_ lane: Lane) -> Bool {
        var used = 0
        for below in Lane.highestFirst.reversed() {
            used += running[below]
            if below == lane { break }
        }
        guard used < shares.ceiling[lane] else { return false }
        // What a lane takes also counts against the ceilings of the lanes above it.
        return Lane.highestFirst.prefix { $0 != lane }.allSatisfy { usedFrom($0) < shares.ceiling[$0] }
    }

    private func usedFrom(_ lane: Lane) -> Int {
        Lane.highestFirst.drop { $0 != lane }.reduce(0) { $0 + running[$1] }
    }
}

extension Lane {
    /// All lanes, the one served first in front.
    static let highestFirst: [Lane] = allCases.sorted()
}
