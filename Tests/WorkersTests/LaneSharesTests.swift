import Spool
import Testing

@testable import Workers

@Suite struct LaneSharesTests {
    @Test("with three or more workers every lane owns one and the minimums add up to all", arguments: [3, 4, 8, 16, 4096])
    func minimumsAddUp(workers: Int) {
        let shares = LaneShares(workers: workers)
        let minimum = shares.minimum
        #expect(minimum.interactive + minimum.scheduled + minimum.background == workers)
        #expect(minimum.interactive >= 1 && minimum.scheduled >= 1 && minimum.background >= 1)
        #expect(minimum.interactive >= minimum.scheduled && minimum.scheduled >= minimum.background)
        #expect(shares.ceiling.interactive == workers)
        #expect(shares.ceiling.scheduled < workers)
        #expect(shares.ceiling.background < workers)
    }

    @Test("a flood in a lower lane leaves workers to the higher lanes", arguments: [Lane.scheduled, .background])
    func floodLeavesRoom(flood: Lane) {
        var ledger = LaneLedger(shares: LaneShares(workers: 16))
        while ledger.choose({ $0 == flood }) != nil { ledger.started(flood) }
        #expect(ledger.running[flood] == (flood == .scheduled ? 12 : 10))
        #expect(ledger.choose { _ in true } == .interactive)
    }

    @Test("a chat flood uses every worker when nobody else waits, and gives the minimums back as workers fall free")
    func minimumsComeBack() {
        var ledger = LaneLedger(shares: LaneShares(workers: 16))
        for _ in 0..<16 {
            #expect(ledger.choose { $0 == .interactive } == .interactive)
            ledger.started(.interactive)
        }
        var served: [Lane] = []
        for _ in 0..<6 {
            ledger.ended(.interactive)
            guard let lane = ledger.choose({ _ in true }) else { break }
            ledger.started(lane)
            served.append(lane)
        }
        #expect(Set(served.prefix(3)) == [.scheduled, .background])
        #expect(ledger.running == PerLane(interactive: 13, scheduled: 2, background: 1))
    }

    @Test("with one or two workers all lanes take turns by weight", arguments: [1, 2])
    func rotation(workers: Int) {
        var ledger = LaneLedger(shares: LaneShares(workers: workers))
        var turns = PerLane(repeating: 0)
        var open: [Lane] = []
        for _ in 0..<1_200 {
            while open.count < workers, let lane = ledger.choose({ _ in true }) {
                ledger.started(lane)
                turns[lane] += 1
                open.append(lane)
            }
            ledger.ended(open.removeFirst())
        }
        #expect(turns.interactive > turns.scheduled && turns.scheduled > turns.background)
        #expect(turns.background >= 1_200 / 13)
    }
}
