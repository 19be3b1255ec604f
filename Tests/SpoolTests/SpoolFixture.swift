// A spool in a temporary folder, and submissions for it.

import DurableFiles
import Foundation
@testable import Spool
import TestSupport
import TextFormats

/// How a spool makes things durable.
enum Way: String, CaseIterable {
    case files
    case log
    /// With the log; what goes into it while files are made is there before them, and not after.
    case eagerLog
}

struct SpoolFixture {
    let folder: TemporaryDirectory
    let clock = ManualClock()
    let files: FaultyFileSystem
    /// What a power cut would leave; nil unless asked for.
    let disk: PowerCutFileSystem?
    let spool: JobSpool

    /// - Parameter log: through a shared log of small segments, checkpointed when the test says so.
    init(powerCut: Bool = false, log: Bool) throws { try self.init(powerCut: powerCut, log ? .log : .files) }

    init(powerCut: Bool = false, _ way: Way = .files) throws {
        folder = try TemporaryDirectory(inMemory: true)
        disk = powerCut ? try PowerCutFileSystem(root: folder.path) : nil
        files = FaultyFileSystem(over: disk ?? LinuxFileSystem(), eager: way == .eagerLog)
        var bounds = SharedLog.Bounds()
        bounds.segment = 8 * LogSegment.page
        bounds.commit = 4 * LogSegment.page
        bounds.isAutomatic = false
        spool = try JobSpool(
            root: folder.path + "/spool", files: files, durability: way == .files ? .files : .sharedLog, bounds: bounds,
            now: clock.read)
    }

    /// The spool as it is found when the power is back, on a disk of its own.
    func afterPowerCut(_ loss: PowerCutFileSystem.Loss, _ name: String) throws -> JobSpool {
        let root = folder.path + ".after-\(name)"
        try disk?.restore(to: root, loss)
        return try JobSpool(root: root + "/spool", now: clock.read)
    }

    func removeAfterPowerCut(_ name: String) { try? LinuxFileSystem().removeTree(folder.path + ".after-\(name)") }

    /// A process that claims the first waiting job and dies with it.
    func claimAndDie(after step: (RunRecord) throws -> Void = { _ in }) throws {
        let files = FaultyFileSystem()
        let dying = try JobSpool(root: spool.layout.root, files: files, now: clock.read)
        _ = try claimFirst(dying) { claim in
            try step(claim.record)
            files.set(.stop(call: 1))
            _ = claim.job
        }
        files.crash()
    }

    /// Another process on the same spool.
    func another() throws -> JobSpool { try JobSpool(root: spool.layout.root, now: clock.read) }

    func submission(
        _ payload: String = "{}", id: JobID? = nil, user: String = "alice", key: OrderKey? = nil, dueIn: Double = 0
    ) -> Submission {
        Submission(
            id: id ?? JobID.make(now: clock.now), user: user, lane: .scheduled, priority: 5,
            due: clock.now.addingTimeInterval(dueIn), orderKey: key, holdKey: "offline", payload: Array(payload.utf8),
            fingerprint: "of \(payload)", facts: ["kind": "report", "user_id": .string(user)])
    }

    static let key = OrderKey("00112233445566778899aabbccddeeff")

    /// Where the files of a job are, over all live and last folders.
    func places(_ id: JobID, in spool: JobSpool? = nil) throws -> [String] {
        let spool = spool ?? self.spool
        var places: [String] = []
        for folder in [Folder.queued, .running, .dead] {
            places += try spool.names(in: folder).filter { $0.id == id }.map { _ in folder.rawValue }
        }
        for day in try spool.doneDays() {
            places += try spool.doneNames(day: day).filter { $0.id == id }.map { _ in "done" }
        }
        return places
    }

    func finalLines(_ id: JobID, in spool: JobSpool? = nil) throws -> [StatusRecord] {
        let chunk = try (spool ?? self.spool).lines(id, from: 0, epoch: nil)
        return (chunk?.lines ?? []).compactMap(\.status).filter { $0.state.isFinal }
    }
}

/// Claims the first waiting job that can be had and gives it to `body`.
func claimFirst(_ spool: JobSpool, _ body: (consuming Claim) throws -> Void) throws -> String {
    for name in try spool.names(in: .queued).sorted(by: { $0.id < $1.id }) {
        switch try spool.claim(name) {
        case .claimed(let claim):
            try body(claim)
            return "claimed"
        case .busy: return "busy"
        case .blocked: continue
        case .isolated: return "isolated"
        case .gone: continue
        case .finished: return "finished"
        }
    }
    return "nothing"
}

extension LogSegment {
    /// The first page of a segment, as bytes.
    static func head(nonce: UInt64) -> [UInt8] {
        let buffer = LogBuffer()
        fill(buffer, headWith: nonce)
        return Array(buffer.pages)
    }

    /// A frame, as bytes.
    static func frame(nonce: UInt64, number: Int, body: [UInt8]) -> [UInt8] {
        let buffer = LogBuffer()
        fill(buffer, nonce: nonce, number: number, parts: [body])
        return Array(buffer.pages)
    }
}
