// The steps of `nanobot example`. Runs on a thread of its own, blocking; the workers run beside it.

import Accounts
import Foundation
import Jobs
import Runtime
import Scheduler
import Spool
import Tenants
import TextFormats

struct ExampleGuide: Sendable {
    let services: NanobotServices
    let common: CommonOptions
    let language: String
    /// The workers have ended: waiting on makes no sense.
    let isOver: @Sendable () -> Bool

    /// Seconds one job may take.
    private static let patience: TimeInterval = 300

    /// Made-up numbers, and said to be so wherever they are shown.
    private static let sampleQuotes = """
        symbol,name,price,previous_close,currency,time
        AAPL,Apple (sample data),231.40,228.95,USD,2026-01-02T21:00:00Z
        NVDA,NVIDIA (sample data),188.12,191.03,USD,2026-01-02T21:00:00Z
        TSLA,Tesla (sample data),401.77,395.20,USD,2026-01-02T21:00:00Z

        """

    init(
        services: NanobotServices, common: CommonOptions, language: String, isOver: @escaping @Sendable () -> Bool
    ) {
        self.services = services
        self.common = common
        self.language = language
        self.isOver = isOver
    }

    func run() throws {
        let isChinese = language.hasPrefix("zh")
        try say("nanobot, step by step, in \(services.home.path) (model: \(services.settings.model))")
        let user = try UserID("demo")
        try createUser(user)
        let question = isChinese ? "我的自选股今天怎么样？" : "What is on my watchlist, and how is it doing?"
        let chat = try step(
            "3. A chat message becomes a job file in queued/; a worker claims it with a file lock and runs the agent.",
            "submit chat --user demo --wait \"\(question)\"",
            ["kind": "chat", "user_id": "demo", "message": .string(question)])
        try show(chat.response ?? "")
        let report = try step(
            "4. A report is a job too. It is polled by its id; the text ends up in the user's workspace.",
            "submit report --user demo --report-type daily --language \(language) --wait",
            ["kind": "report", "user_id": "demo", "report_type": "daily", "language": .string(language)])
        try show(try services.workspaces.open(user).readReport(report.id.description).text)
        try explainFiles(report)
        try explainSchedule(user)
        try say(
            """

            6. Now for real:
               nanobot serve                          # HTTP API at http://127.0.0.1:8000/docs, workers, scheduler
               nanobot create-user alice --language en --stock AAPL
               NANOBOT_MODEL=openai/gpt-4o-mini OPENAI_API_KEY=… nanobot serve    # with a language model
            """)
        if common.json {
            try Terminal.output.json(["chat": chat.json, "report": report.json, "home": .string(services.home.path)])
        }
    }

    private func createUser(_ user: UserID) throws {
        try say("\n1. A user has a workspace: settings, memory, conversations, reports, data.")
        try command("create-user demo --language \(language) --stock AAPL --stock NVDA --stock TSLA --stock MSFT")
        try services.accounts.create(
            user,
            initial: InitialUserData(
                watchlist: WatchlistChange(stocks: ["AAPL", "NVDA", "TSLA", "MSFT"]),
                preferences: PreferencesChange(language: language)))
        try say("\n2. Facts come from files in its data/ folder (here made-up samples, and none for MSFT):")
        try services.workspaces.open(user).writeText("\(Workspace.data)/quotes.csv", ExampleGuide.sampleQuotes)
        try say("   \(services.workspaces.path(of: user))/data/quotes.csv")
    }

    private func step(_ text: String, _ commandLine: String, _ job: JSON) throws -> JobView {
        try say("\n\(text)")
        try command(commandLine)
        let request = try JobRequest.parse(job, now: services.now())
        let submitted = try services.client.submit(request, source: .cli)
        let follower = JobFollower(client: services.client, isGivenUp: isOver)
        defer { follower.stop() }
        var progress = JobProgress(client: services.client, common: common)
        let limit = Date().addingTimeInterval(ExampleGuide.patience)
        let view = try follower.follow(submitted.id, until: limit) { progress.show($0) }
        Terminal.errors.clearPassing()
        guard view.state == .completed else {
            throw CommandFailure(
                "job_\(view.state.rawValue)", "the example's \(view.kind.rawValue) is \(JobProgress.text(view))")
        }
        return view
    }

    private func explainFiles(_ report: JobView) throws {
        try say("\n5. The queue is a folder. The job file moved from queued/ to running/ to done/; its record:")
        try say("   \(services.spool.statusPath(report.id))")
        if let chunk = try services.client.lines(report.id, from: 0, epoch: nil) {
            for line in chunk.lines {
                guard let state = line.status?.state else { continue }
                try say("     \(state.rawValue) \(line.status?.progress ?? 0) %")
            }
        }
        try say("   A file dropped into \(services.spool.layout.path(.incoming)) is taken in by `nanobot serve`.")
    }

    private func explainSchedule(_ user: UserID) throws {
        let summary = try services.scheduler.summary(user)
        guard let next = summary.upcoming.first else { return }
        try say(
            "   The preferences made a schedule: \(next.id) at \(summary.daily.schedule) \(summary.daily.timezone), "
                + "next \(RFC3339.string(next.runAt)).")
    }

    // MARK: - Words

    private func command(_ rest: String) throws { try say("   $ nanobot \(rest)") }

    private func show(_ text: String) throws {
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) { try say("   | \(line)") }
    }

    private func say(_ text: String) throws {
        if !common.json { try Terminal.output.line(text) }
    }
}
