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

    @Test("the power cut after any system call loses nothing that was acknowledged", arguments: JobOperation.ways)
    func cuts(_ operation: JobOperation, _ way: Way) throws {
        let count = try operation.callCount(way)
        for call in 1...count + 1 {
            let fixture = try SpoolFixture(powerCut: true, way)
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

    @Test("a submission that was refused is not brought back by the log", arguments: [JobOperation.submit, .submitOrdered])
    func refused(_ operation: JobOperation) throws {
        var refusals = 0
        for call in 1...(try operation.callCount(.eagerLog)) {
            let fixture = try SpoolFixture(powerCut: true, .eagerLog)
            let submission = operation.submission(fixture)
            try fixture.disk?.syncAll(fixture.folder.path)
            fixture.files.set(.fail(call: call, errno: 28))
            do throws(SpoolError) {
                _ = try fixture.spool.submit(submission)
                continue
            } catch {
                guard error.code != .outcomeUnknown else { continue }
            }
            refusals += 1
            // Refused jobs may be submitted again, by whatever way, and do not stand in the way of others.
            let again = call.isMultiple(of: 2)
            fixture.files.set(.none)
            if again { _ = try fixture.spool.submit(submission) }
            let other = try fixture.spool.submit(fixture.submission("other")).record.id
            fixture.files.set(.stop(call: 1))
            fixture.files.crash()
            for (name, loss) in PowerCutTests.losses {
                let spool = try fixture.afterPowerCut(loss, name)
                defer { fixture.removeAfterPowerCut(name) }
                #expect(try fixture.places(submission.id, in: spool) == (again ? ["queued"] : []), "call \(call), \(name)")
                #expect(try fixture.places(other, in: spool) == ["queued"], "call \(call), \(name)")
            }
        }
        // Writing its lines, its file and moving it in can fail each.
        #expect(refusals >= 5)
    }
}
