// Cuts the power after every single system call of an operation, for disks that lose what was not synced in different
// ways, and reopens what is left: nothing acknowledged is lost, nothing ends twice, no job stands in two places.

import DurableFiles
import Foundation
import Spool
import TestSupport
import Testing
import TextFormats

@Suite struct PowerCutTests {
    private static let losses: [(String, PowerCutFileSystem.Loss)] = [
        ("strict", .strict), ("names", .namesOnly), ("mixed-1", .mixed(seed: 1)), ("mixed-2", .mixed(seed: 2)), ("zeros", .zeros),
    ]

    @Test("the power cut after any system call loses nothing that was acknowledged", arguments: JobOperation.allCases, [false, true])
    func cuts(_ operation: JobOperation, log: Bool) throws {
        let count = try operation.callCount(log: log)
        for call in 1...count + 1 {
            let fixture = try SpoolFixture(powerCut: true, log: log)
            let submission = operation.submission(fixture)
            try operation.prepare(fixture, submission)
            // What came before is on disk.
            try fixture.disk?.syncAll(fixture.folder.path)
            let acknowledged = operation.perform(fixture, submission, stoppingAt: call)
            for (name, loss) in PowerCutTests.losses {
                let spool = try fixture.afterPowerCut(loss, name)
                defer { fixture.removeAfterPowerCut(name) }
                try operation.checkAfterwards(
                    fixture, submission, acknowledged: acknowledged, at: call, in: spool, "power cut (\(name))")
            }
        }
    }
}
