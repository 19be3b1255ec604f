// Which runs of "*" and "_" belong together (CommonMark 0.31, "process emphasis"). A value, one thread; cannot fail. A run
// that found no partner leaves a floor for all runs like it, so that none looks at the same runs again.
import TextFormats

struct EmphasisMatcher {
    struct Run {
        let mark: UInt8
        let originalLength: Int
        let canOpen: Bool
        let canClose: Bool
        /// Marks that belong to no pair so far.
        var length: Int
        fileprivate var previous: Int
        fileprivate var next = -1
        /// The outermost pair that this run opens, then inwards by `Pair.nextOpened`; -1: none.
        var opened = -1
        /// The innermost pair that this run closes, then outwards by `Pair.nextClosed`; -1: none.
        var closed = -1
        fileprivate var lastClosed = -1
    }

    struct Pair {
        let mark: UInt8
        /// 1 or 2 marks.
        let length: Int
        let nextOpened: Int
        fileprivate(set) var nextClosed = -1
    }

    private(set) var runs: [Run] = []
    private(set) var pairs: [Pair] = []
    /// The last run that may still get a partner; all of them are linked by `previous` and `next`.
    private var last = -1

    /// - Returns: the run's number.
    mutating func add(_ mark: UInt8, length: Int, canOpen: Bool, canClose: Bool) -> Int {
        let number = runs.count
        runs.append(
            Run(
                mark: mark, originalLength: length, canOpen: canOpen, canClose: canClose, length: length, previous: last
            ))
        if last >= 0 { runs[last].next = number }
        last = number
        return number
    }

    /// Pairs the runs from `bottom` on; those get no partner later.
    mutating func match(from bottom: Int, _ steps: StepCounter) {
        /// For each kind of closing run: no opening run is at or before this one.
        var floors = [Int](repeating: bottom - 1, count: 12)
        var closing = last
        while closing >= 0, runs[closing].previous >= bottom {
            closing = runs[closing].previous
            steps.add()
        }
        if closing < bottom { return }
        while closing >= 0, !steps.isStopped {
            steps.add()
            let run = runs[closing]
            guard run.canClose else {
                closing = run.next
                continue
            }
            let kind = (run.mark == UInt8(ascii: "*") ? 6 : 0) + (run.canOpen ? 3 : 0) + run.originalLength % 3
            if let opening = partner(of: closing, above: floors[kind], steps) {
                pair(opening, closing)
                unlink(from: opening, to: closing)
                if runs[opening].length == 0 { unlink(opening) }
                guard runs[closing].length == 0 else { continue }
                unlink(closing)
            } else {
                floors[kind] = run.previous
                if !run.canOpen { unlink(closing) }
            }
            closing = run.next
        }
        while last >= bottom { unlink(last) }
    }

    private func partner(of closing: Int, above floor: Int, _ steps: StepCounter) -> Int? {
        let run = runs[closing]
        var opening = run.previous
        while opening > floor {
            steps.add()
            let other = runs[opening]
            if other.mark == run.mark, other.canOpen {
                // Of two runs that could be either, "***" would else take a part of "*" and "**".
                let isOdd =
                    (run.canOpen || other.canClose) && run.originalLength % 3 != 0
                    && (run.originalLength + other.originalLength) % 3 == 0
                if !isOdd { return opening }
            }
            opening = other.previous
        }
        return nil
    }

    private mutating func pair(_ opening: Int, _ closing: Int) {
        let (left, right) = (runs[opening].length, runs[closing].length)
        // Of three and three the inner pair is the single one: "***a***" is strong, and emphasis in it.
        let length = left >= 3 && right >= 3 ? (right % 2 == 0 ? 2 : 1) : min(left, right, 2)
        let number = pairs.count
        pairs.append(Pair(mark: runs[opening].mark, length: length, nextOpened: runs[opening].opened))
        runs[opening].opened = number
        if runs[closing].lastClosed >= 0 {
            pairs[runs[closing].lastClosed].nextClosed = number
        } else {
            runs[closing].closed = number
        }
        runs[closing].lastClosed = number
        runs[opening].length -= length
        runs[closing].length -= length
    }

    /// Leaves out the runs between two.
    private mutating func unlink(from opening: Int, to closing: Int) {
        runs[opening].next = closing
        runs[closing].previous = opening
    }

    private mutating func unlink(_ number: Int) {
        let (previous, next) = (runs[number].previous, runs[number].next)
        if previous >= 0 { runs[previous].next = next }
        if next >= 0 { runs[next].previous = previous } else { last = previous }
    }
}
