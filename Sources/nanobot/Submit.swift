// `submit chat` and `submit report`: puts a job into the queue, and with --wait shows its progress and prints what came
// of it. Works while no server runs: the job waits for one.

import ArgumentParser
import Foundation
import Jobs
import Runtime
import Spool
import TextFormats

struct Submit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Put a job into the queue; with --wait, print its result.",
        discussion: """
            Prints the job's id (with --json the job), or with --wait the chat's answer or
            the report's text; progress goes to standard error. When it is printed the job
            survives a power cut.
            """,
        subcommands: [SubmitChat.self, SubmitReport.self])

    @OptionGroup(visibility: .hidden) var common: CommonOptions
}

struct SubmitChat: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat",
        abstract: "Send a message to a user's assistant.",
        discussion: """
            Examples:
              nanobot submit chat --user alice --wait "What is on my watchlist?"
              echo "I like short answers." | nanobot submit chat --user alice --wait -
              nanobot submit chat --user alice --on-busy interrupt -- "-5% today: why?"
            """)

    @Argument(help: "The message; - reads it from standard input.")
    var message: String

    @Option(help: ArgumentHelp("Conversation the message belongs to. (default: default)", valueName: "id"))
    var session: String?

    @OptionGroup var job: JobOptions
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        var members = job.members(kind: "chat")
        members["message"] = .string(message == "-" ? try StandardInput.text() : message)
        members["session_id"] = session.map { .string($0) }
        try Submission(members: members, job: job, common: common).run()
    }
}

struct SubmitReport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Order a report about a user's watchlist.",
        discussion: """
            Format and language are the user's preferences unless given. A finished report
            stays in the user's workspace; `nanobot report ID` prints it again.

            Examples:
              nanobot submit report --user alice --report-type daily --wait
              nanobot submit report --user alice --report-type custom \\
                --custom-prompt "How exposed am I to chips?" \\
                --focus-area semiconductors --format html --wait > report.html
              nanobot submit report --user alice --run-at 2026-12-01T07:30:00+01:00
            """)

    @Option(help: "Kind of report. (default: daily)")
    var reportType: ReportType?

    @Option(help: ArgumentHelp("What the report shall answer.", valueName: "text"))
    var customPrompt: String?

    @Option(help: ArgumentHelp("A matter to look at closely; may be repeated.", valueName: "text"))
    var focusArea: [String] = []

    @Option(help: "Form of the text: markdown, html, json or text.")
    var format: String?

    @Option(help: ArgumentHelp("Language tag, such as en or zh.", valueName: "tag"))
    var language: String?

    @OptionGroup var job: JobOptions
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        var members = job.members(kind: "report")
        members["report_type"] = reportType.map { .string($0.rawValue) }
        members["custom_prompt"] = customPrompt.map { .string($0) }
        if !focusArea.isEmpty { members["focus_areas"] = JSON(focusArea) }
        members["format"] = format.map { .string($0) }
        members["language"] = language.map { .string($0) }
        try Submission(members: members, job: job, common: common).run()
    }
}

/// What chats and reports have in common. The rules of the values are those of the job file: JobRequest checks them.
struct JobOptions: ParsableArguments {
    @Option(help: ArgumentHelp("User the job is for.", valueName: "id"))
    var user: String

    @Option(help: ArgumentHelp("0 (first) to 9, among the user's own jobs. (default: 5)", valueName: "n"))
    var priority: Int?

    @Option(help: ArgumentHelp("Do not start before (RFC 3339).", valueName: "time"))
    var runAt: String?

    @Option(help: ArgumentHelp("Do not start after (RFC 3339).", valueName: "time"))
    var expiresAt: String?

    @Option(help: ArgumentHelp("Seconds an attempt may take, 1 to 3600. (default: 300)", valueName: "s"))
    var timeout: Int?

    @Option(help: ArgumentHelp("Times to try. (default: 4)", valueName: "n"))
    var maxAttempts: Int?

    @Option(help: ArgumentHelp("Model, as in openai/gpt-4o-mini. (default: the service's)", valueName: "name"))
    var model: String?

    @Option(help: ArgumentHelp("Submitting again with this key gives the same job, for 7 days.", valueName: "key"))
    var idempotencyKey: String?

    @Option(help: "What to do while the session has a live job: enqueue, reject or interrupt. (default: enqueue)")
    var onBusy: OnBusy?

    @Option(help: ArgumentHelp("The job's id, a UUIDv7 of the last 7 days. (default: a new one)", valueName: "uuid"))
    var id: String?

    @Flag(help: "Wait for the end, print the result.")
    var wait = false

    @Option(help: ArgumentHelp("Wait at most that long, then exit 69; the job goes on.", valueName: "s"))
    var waitTimeout: Double?

    /// A year, in seconds.
    private static let longestWait = 366.0 * 86_400

    func validate() throws {
        if let waitTimeout, !(0...JobOptions.longestWait).contains(waitTimeout) {
            throw ValidationError("--wait-timeout must be a number of seconds, 0 or more.")
        }
    }

    func members(kind: String) -> JSONObject {
        var members: JSONObject = ["kind": .string(kind), "user_id": .string(user)]
        members["id"] = id.map { .string($0) }
        members["priority"] = priority.map { JSON($0) }
        members["run_at"] = runAt.map { .string($0) }
        members["expires_at"] = expiresAt.map { .string($0) }
        members["timeout_s"] = timeout.map { JSON($0) }
        members["max_attempts"] = maxAttempts.map { JSON($0) }
        members["model"] = model.map { .string($0) }
        members["idempotency_key"] = idempotencyKey.map { .string($0) }
        members["on_busy"] = onBusy.map { .string($0.rawValue) }
        return members
    }
}

/// One submission from the command line.
private struct Submission {
    let members: JSONObject
    let job: JobOptions
    let common: CommonOptions

    func run() throws {
        if let service = try common.service() {
            return try RemoteJobs(service: service, common: common).submit(
                members, waits: job.wait || job.waitTimeout != nil, limit: job.waitTimeout)
        }
        let services = try common.open()
        let request = try JobRequest.parse(.object(members), now: services.now())
        let submitted = try services.client.submit(request, source: .cli)
        if !submitted.isNew { common.remark("the same job was submitted before; this is it") }
        if job.wait || job.waitTimeout != nil {
            let limit = job.waitTimeout.map { Date().addingTimeInterval($0) }
            return try JobResult(services: services, common: common).wait(for: submitted.id, until: limit)
        }
        if common.json {
            guard let view = try services.client.view(submitted.id), var answer = view.json.object else {
                throw CommandFailure("not_found", "the job \(submitted.id) is gone already")
            }
            answer["is_new"] = .bool(submitted.isNew)
            answer["status_file"] = .string(submitted.statusFile)
            return try Terminal.output.json(.object(answer))
        }
        try Terminal.output.line(submitted.id.description)
        if Terminal.output.isInteractive {
            Terminal.errors.note("queued; `\(common.command("status \(submitted.id) --follow"))` shows how it goes on")
        }
    }
}
