// `status`: one job as it stands, as it changes (--follow), or with everything in its status file (--events).

import ArgumentParser
import Foundation
import Jobs
import Runtime
import Spool
import Tenants
import TextFormats

struct ShowStatus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show a job.",
        discussion: """
            With --follow it goes on until the job ends, and fails (exit 1) if the job
            does. With --events it prints the lines of the status file: states, model
            calls, tools, text as it came; one JSON object a line with --json.

            Examples:
              nanobot status 019ac3e4-7f2e-7c41-9d55-0c8e1f6a2b37
              nanobot status 019ac3e4-7f2e-7c41-9d55-0c8e1f6a2b37 --follow --events
            """)

    @Argument(help: ArgumentHelp("The job's id.", valueName: "job-id"))
    var id: String

    @Flag(help: "Go on until the job ends.")
    var follow = false

    @Flag(help: "Print what is in the status file.")
    var events = false

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let id = try common.jobID(id)
        if let service = try common.service() {
            return try RemoteJobs(service: service, common: common).status(id.description, follow: follow, events: events)
        }
        let services = try common.openExisting()
        guard let view = try services.client.view(id) else {
            throw CommandFailure("not_found", "there is no job \(id); `\(common.command("jobs"))` lists them")
        }
        var stream = EventLines(client: services.client, common: common, id: id)
        guard follow else {
            if events { return try stream.printNew() }
            try common.answer(
                view.operatorJSON, JobText.lines(view, record: services.spool.statusPath(view.id), common.clock(services)))
            if view.state == .queued, services.spool.isPaused { common.remark(JobProgress.paused(common)) }
            return
        }
        let last = try followed(id, services, &stream)
        if common.json, !events { try Terminal.output.json(last.operatorJSON) }
        guard last.state == .completed else {
            let why = last.error.map { " (\($0.code): \($0.detail))" } ?? ""
            throw CommandFailure("job_\(last.state.rawValue)", "job \(id) is \(last.state.rawValue)\(why)")
        }
    }

    private func followed(_ id: JobID, _ services: NanobotServices, _ stream: inout EventLines) throws -> JobView {
        let follower = JobFollower(client: services.client)
        defer { follower.stop() }
        // The moving line would fight with the events for the screen.
        let isSilent = events && Terminal.errors.isInteractive
        var progress = JobProgress(client: services.client, common: common)
        let last = try follower.follow(id, until: nil) { view in
            if events { try stream.printNew() }
            if !isSilent { progress.show(view) }
        }
        if events {
            // What was written between the last look and the final line.
            try stream.printNew()
        } else if !common.json {
            let lines = JobText.lines(last, record: services.spool.statusPath(last.id), common.clock(services))
            for line in lines { try Terminal.output.line(line) }
        }
        return last
    }
}

/// The lines of a status file, each printed once.
private struct EventLines {
    let client: JobClient
    let common: CommonOptions
    let id: JobID
    private var offset = 0
    private var epoch: String?

    init(client: JobClient, common: CommonOptions, id: JobID) {
        self.client = client
        self.common = common
        self.id = id
    }

    mutating func printNew() throws {
        while let chunk = try client.lines(id, from: offset, epoch: epoch), !chunk.lines.isEmpty {
            if chunk.isReset { common.remark("the record was begun anew:") }
            for line in chunk.lines { try print(line) }
            offset = chunk.next
            epoch = chunk.epoch
        }
    }

    private func print(_ line: StatusChunk.Line) throws {
        if common.json {
            var object: JSONObject = ["t": .string(line.type.rawValue), "id": .string("\(line.epoch):\(line.next)")]
            object.merge(line.fields)
            return try Terminal.output.line(JSON.object(object).text())
        }
        var words: [String] = []
        for (key, value) in line.fields where !EventLines.hidden.contains(key) {
            words.append("\(key)=\(EventLines.short(value))")
        }
        try Terminal.output.line("\(line.type.rawValue)  \(words.joined(separator: " "))")
    }

    private static let hidden: Set<String> = ["fingerprint", "file", "tag", "epoch", "crashes"]
    /// Characters of one value on a line for people.
    private static let longestValue = 200

    private static func short(_ value: JSON) -> String {
        let text = value.string.map { $0.contains(" ") || $0.isEmpty ? JSON.string($0).text() : $0 } ?? value.text()
        return text.count <= longestValue ? text : text.prefix(longestValue) + "…"
    }
}

/// A job in words.
enum JobText {
    /// - Parameter record: path of its status file; nil where that is elsewhere.
    static func lines(_ view: JobView, record: String?, _ clock: Clock) -> [String] {
        func time(_ date: Date?) -> String { clock.full(date, of: view.userID) }
        var rows: [(String, String)] = [
            ("job", view.id.description),
            ("kind", view.kind.rawValue + (view.sessionID.map { " in session \($0)" } ?? "")),
            ("user", view.userID.rawValue),
            ("status", JobProgress.text(view)),
        ]
        if view.run > 1 { rows.append(("run", "\(view.run)")) }
        rows.append(("created", time(view.createdAt)))
        if view.state == .queued { rows.append(("due", time(view.runAt))) }
        if view.startedAt != nil { rows.append(("started", time(view.startedAt))) }
        if let ended = view.completedAt {
            let took = view.startedAt.map { " (\(Moment.span(ended.timeIntervalSince($0))))" } ?? ""
            rows.append(("ended", time(ended) + took))
        }
        if let usage = view.usage, let tokens = usage["total_tokens"]?.int {
            let cost = usage["cost_usd"]?.double ?? 0
            rows.append(("usage", "\(tokens) tokens" + (cost > 0 ? ", \(cost) USD" : "")))
        }
        if let response = view.response { rows.append(("response", response)) }
        if view.state == .completed, view.reportID != nil { rows.append(("report", "nanobot report \(view.id)")) }
        if let request = view.requestID { rows.append(("request", request)) }
        if let record { rows.append(("record", record)) }
        return rows.map { name, value in
            let indent = "\n" + String(repeating: " ", count: 10)
            return name.padding(toLength: 10, withPad: " ", startingAt: 0)
                + value.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: indent)
        }
    }
}
