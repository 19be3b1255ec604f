// Where code spans and link targets end, found for all of them in one pass each, made when the first is asked for. A value,
// one thread. Questions come in ascending order of their places, so that all answers together are linear too.
import TextFormats

struct InlineIndex {
    private struct CodeRuns {
        var starts: [Int] = []
        /// Runs before it begin before every place still to be asked for.
        var next = 0
    }

    private let bytes: [UInt8]
    /// Runs of backticks by their length; nil before the first question.
    private var codeRuns: [Int: CodeRuns]?
    /// Each "](" with the ")" that ends its target; nil before the first question.
    private var targets: [(open: Int, close: Int?)]?
    private var nextTarget = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The place of the next run of exactly `length` backticks.
    mutating func codeEnd(after start: Int, length: Int, _ steps: StepCounter) -> Int? {
        var runs = codeRuns ?? allCodeRuns(steps)
        codeRuns = nil
        defer { codeRuns = runs }
        guard var own = runs.removeValue(forKey: length) else { return nil }
        while own.next < own.starts.count, own.starts[own.next] < start {
            own.next += 1
            steps.add()
        }
        runs[length] = own
        return own.next < own.starts.count ? own.starts[own.next] : nil
    }

    private func allCodeRuns(_ steps: StepCounter) -> [Int: CodeRuns] {
        var runs: [Int: CodeRuns] = [:]
        var place = 0
        while place < bytes.count {
            let start = place
            while place < bytes.count, bytes[place] == UInt8(ascii: "`") { place += 1 }
            if place > start { runs[place - start, default: CodeRuns()].starts.append(start) } else { place += 1 }
        }
        steps.add(bytes.count)
        return runs
    }

    /// The ")" that ends the target opened by the "(" at this place, behind a "]". A target may hold balanced brackets but
    /// no blank.
    mutating func targetEnd(of open: Int, _ steps: StepCounter) -> Int? {
        guard open < bytes.count, bytes[open] == UInt8(ascii: "(") else { return nil }
        if targets == nil { targets = allTargets(steps) }
        while let target = targets?[safe: nextTarget], target.open < open {
            nextTarget += 1
            steps.add()
        }
        guard let target = targets?[safe: nextTarget], target.open == open else { return nil }
        return target.close
    }

    private func allTargets(_ steps: StepCounter) -> [(open: Int, close: Int?)] {
        var found: [(open: Int, close: Int?)] = []
        /// Open brackets: their number in `found`, or nil for those of no target.
        var open: [Int?] = []
        for (place, byte) in bytes.enumerated() {
            switch byte {
            case UInt8(ascii: "("):
                let isTarget = place > 0 && bytes[place - 1] == UInt8(ascii: "]")
                open.append(isTarget ? found.count : nil)
                if isTarget { found.append((place, nil)) }
            case UInt8(ascii: ")"):
                if case .some(.some(let number)) = open.popLast() { found[number].close = place }
            case 0x00...0x20: open.removeAll(keepingCapacity: true)
            default: break
            }
        }
        steps.add(2 * bytes.count)
        return found
    }
}

extension Array {
    fileprivate subscript(safe index: Int) -> Element? { index < count ? self[index] : nil }
}
