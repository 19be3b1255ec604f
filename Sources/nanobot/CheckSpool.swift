// `check`: verifies a spool at rest or in use, and with --repair does what is safe.

import ArgumentParser
import DurableFiles
import Foundation
import Jobs
import Runtime
import Spool
import TextFormats

struct CheckSpool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Verify the spool.",
        discussion: """
            Looks at names, job files, status files (every line's checksum), order files
            and marks, and whether they agree: no job in two places, none that runs
            without a lock, none that was admitted and lost. Exit 1 if there are problems;
            notes are no problems. Works beside a running service.

            --repair gives orphans back to the queue, moves the files of ended jobs
            where they belong, and puts into aside/ what is no file (a folder, a pipe,
            a link) where the spool has one. It removes nothing, and leaves files that
            it cannot read to you.

            Examples:
              nanobot check
              nanobot check --spool /srv/nanobot/spool --repair --json
            """)

    @Flag(help: "Recover orphans, move finished files; then check again.")
    var repair = false

    @Flag(help: "Leave out the records of jobs that ended: quick for a long history.")
    var live = false

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        try common.refuseServer()
        let location = common.location
        try ServiceUser.become(ownerOf: location)
        // A check makes nothing: a misspelled path must not become a healthy empty spool.
        guard try LinuxFileSystem().exists("\(location.spool)/\(Folder.queued.rawValue)") else {
            throw CommandFailure("no_spool", "\(location.spool) is no spool: it has no queued/ folder", .unavailable)
        }
        let spool = try JobSpool(root: location.spool)
        var result = try inspect(spool)
        var repaired: [String] = []
        if repair, result.findings.contains(where: { $0.repair != nil }) {
            repaired = try SpoolRepair(spool: spool).run(result.findings)
            result = try inspect(spool)
        }
        try common.answer(CheckSpool.json(result, repaired), CheckSpool.lines(result, repaired))
        let problems = result.problems.count
        guard problems == 0 else {
            let remedy = result.findings.contains { $0.repair != nil } && !repair ? "; --repair mends some" : ""
            let count = problems == 1 ? "1 problem" : "\(problems) problems"
            throw CommandFailure("problems_found", "\(count) in \(location.spool)\(remedy)")
        }
    }

    private func inspect(_ spool: JobSpool) throws -> SpoolInspection {
        var inspection = SpoolInspection(spool: spool, withEnded: !live) { done, all in
            Terminal.errors.passing("checking \(done) of \(all) jobs")
        }
        try inspection.run()
        Terminal.errors.clearPassing()
        return inspection
    }

    private static func json(_ result: SpoolInspection, _ repaired: [String]) -> JSON {
        [
            "spool": .string(result.spool.layout.root), "jobs": JSON(result.jobCount),
            "records": JSON(result.recordCount), "problems": .array(result.problems.map(\.json)),
            "notes": .array(result.notes.map(\.json)), "repaired": JSON(repaired),
        ]
    }

    private static func lines(_ result: SpoolInspection, _ repaired: [String]) -> [String] {
        var lines = repaired.map { "repaired  \($0)" }
        lines += result.notes.map { "note      \($0.path): \($0.detail)" }
        lines += result.problems.map { "problem   \($0.path): \($0.detail)" }
        lines.append(
            "\(result.jobCount) job files, \(result.recordCount) status files: \(result.problems.count) problems, "
                + "\(result.notes.count) notes")
        return lines
    }
}

/// What can be mended without deciding anything that only a person can.
struct SpoolRepair {
    let spool: JobSpool

    /// - Returns: what was done, a sentence each. - Throws: SpoolError when the disk refuses.
    func run(_ findings: [SpoolFinding]) throws -> [String] {
        var done: [String] = []
        if findings.contains(where: { $0.repair == .recoverOrphans }) {
            let pass = try spool.recoverOrphans()
            done += pass.requeued.map { "\($0) given back to queued/" }
            done += pass.settled.map { "\($0) had ended; its file was moved" }
            done += pass.buried.map { "\($0) buried: it crashed too often" }
            if let failure = pass.failures.first { throw failure }
        }
        for finding in findings where finding.repair == .setAside {
            do throws(SpoolError) {
                let found = try spool.setAside(finding.path)
                done.append("\(finding.path) is now \(found.path)")
            } catch {
                // Gone meanwhile; what cannot be moved is found again.
                guard !error.isPassing else { throw error }
            }
        }
        for case .moveEnded(let name)? in findings.map(\.repair) {
            // A claim looks first whether the job has ended, and then only moves the file.
            switch try spool.claim(name) {
            case .finished: done.append("\(name.id) had ended; its file was moved")
            case .claimed(let claim): try claim.release("check")
            default: break  // busy, blocked or gone: whoever has it moves it
            }
        }
        return done
    }
}
