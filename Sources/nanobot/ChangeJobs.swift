// `cancel` and `retry`: several ids at once; one that fails does not keep the others from being done.

import ArgumentParser
import Foundation
import Jobs
import Runtime
import Spool
import TextFormats

struct CancelJobs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancel jobs.",
        discussion: """
            A waiting job is cancelled at once, a running one within about a second.

            Example:
              nanobot cancel 019ac3e4-7f2e-7c41-9d55-0c8e1f6a2b37
            """)

    @Argument(help: ArgumentHelp("The jobs' ids.", valueName: "job-id"))
    var ids: [String]

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let ids = try ids.map { try common.jobID($0) }
        if let service = try common.service() {
            return try RemoteJobs(service: service, common: common).cancel(ids)
        }
        let client = try common.open().client
        try EachJob(common: common).run(ids) { try client.cancel($0) } saying: { view in
            view.state.isFinal ? "\(view.id) \(view.state.rawValue)" : "\(view.id) will end in a moment"
        }
    }
}

struct RetryJobs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Try dead letters again.",
        discussion: """
            A job that failed for good lies in dead/; this begins its next run with fresh
            counts. Model calls that succeeded before are not paid for again.

            Examples:
              nanobot retry 019ac3e4-7f2e-7c41-9d55-0c8e1f6a2b37
              nanobot retry --all
            """)

    @Argument(help: ArgumentHelp("The jobs' ids.", valueName: "job-id"))
    var ids: [String] = []

    @Flag(help: "All dead letters.")
    var all = false

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func validate() throws {
        if ids.isEmpty != all { throw ValidationError("Give the ids of the jobs, or --all.") }
    }

    func run() throws {
        let named = try ids.map { try common.jobID($0) }
        if let service = try common.service() {
            return try RemoteJobs(service: service, common: common).retry(all ? nil : named)
        }
        let services = try common.open()
        let chosen = all ? try services.spool.names(in: .dead).map(\.id).sorted() : named
        if chosen.isEmpty { common.remark("there are no dead letters") }
        try EachJob(common: common).run(chosen) { try services.client.retry($0) } saying: { view in
            "\(view.id) \(view.state.rawValue), run \(view.run)"
        }
    }
}

/// Does the same to several jobs.
struct EachJob {
    let common: CommonOptions

    /// - Throws: the failure if there was one; if several, one that counts them. Each was told before.
    func run(_ ids: [JobID], _ action: (JobID) throws -> JobView, saying text: (JobView) -> String) throws {
        var done: [JobView] = []
        var failures: [CommandFailure] = []
        for id in ids {
            do {
                let view = try action(id)
                done.append(view)
                if !common.json { try Terminal.output.line(text(view)) }
            } catch let error as OutputError {
                throw error
            } catch {
                var failure = CommandFailure(error)
                if !failure.detail.contains(id.description) { failure.detail = "\(id): \(failure.detail)" }
                failures.append(failure)
            }
        }
        if common.json { try Terminal.output.json(.array(done.map(\.operatorJSON))) }
        guard let first = failures.first else { return }
        guard failures.count > 1 else { throw first }
        for failure in failures { Terminal.errors.note(common.json ? failure.json.text() : failure.line) }
        throw CommandFailure(
            first.code, "\(failures.count) of \(ids.count) jobs were left as they are", failures[0].status)
    }
}
