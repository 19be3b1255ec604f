// A report job: one turn without a session, its text rendered and stored as reports/<job id>.* in the user's workspace.
// Result: {"report_id", "path", "format", "title"}. The report is on disk before the job is final: never "completed"
// without a report. A job that ends in another way has its report removed before its final line (`discard`). The facts
// beside the text are those the turn has read: nothing is asked of a source after the turn.

import Agent
import Foundation
import Jobs
import Logging
import MarketData
import Providers
import Reports
import Spool
import Tenants
import TextFormats
import Workers

struct ReportJobHandler: Sendable {
    let runner: TurnRunner
    let renderer: ReportRenderer
    let now: @Sendable () -> Date

    func run(
        _ job: ClaimedJob, _ setting: JobSetting, _ record: RunRecord, _ cancellation: CancellationFlag,
        _ logger: Logger
    ) -> JobOutcome {
        let preferences = setting.config.preferences
        let request = setting.request
        let focus = request.focusAreas.isEmpty ? setting.config.persona.focusAreas : request.focusAreas
        let brief = ReportBrief(
            type: (request.reportType ?? .daily).rawValue, customPrompt: request.customPrompt, focusAreas: focus,
            format: request.format ?? preferences.reportFormat, language: request.language ?? preferences.language,
            maxLength: preferences.maxReportLength)
        let plan = TurnRunner.Plan(
            kind: .report, session: .standard, message: ReportPrompt.userMessage(brief: brief),
            language: brief.language, isEphemeral: true)
        switch runner.run(plan, job, setting, record, cancellation, logger) {
        case .outcome(let outcome): return outcome
        case .result(let result):
            if let reason = cancellation.reason, reason == .cancelled { return .cancelled(usage: result.usage.json) }
            return store(result, brief, job, setting)
        }
    }

    private func store(_ result: TurnResult, _ brief: ReportBrief, _ job: ClaimedJob, _ setting: JobSetting)
        -> JobOutcome
    {
        let document = ReportDocument(
            brief: brief, text: result.text, generatedAt: now(), model: result.model, quotes: result.quotes,
            histories: histories(of: result.quotes, setting))
        let text = renderer.render(document, as: brief.format)
        var sidecar: JSONObject = [
            "type": .string(brief.type), "title": .string(document.title), "language": .string(brief.language),
            "model": .string(result.model), "generated_at": .string(RFC3339.string(document.generatedAt)),
            "created_at": .string(RFC3339.string(job.createdAt)), "sources": JSON(document.sources),
            "focus_areas": JSON(brief.focusAreas), "user_id": .string(job.user), "job_id": .string(job.id.description),
            "usage": result.usage.json,
        ]
        if let prompt = brief.customPrompt { sidecar["custom_prompt"] = .string(prompt) }
        // What other forms are rendered from, when the stored text is not Markdown itself.
        if brief.format != .markdown { sidecar["markdown"] = .string(document.markdown) }
        do throws(TenantError) {
            let file = try setting.workspace.writeReport(
                id: job.id.description, text: text, fileExtension: brief.format.fileExtension,
                sidecar: .object(sidecar))
            return .completed(
                result: [
                    "report_id": .string(job.id.description), "path": .string(file.path),
                    "format": .string(brief.format.rawValue), "title": .string(document.title),
                    "model": .string(result.model),
                ],
                usage: result.usage.json)
        } catch {
            return .failed(
                JobFailure(code: error.code.rawValue, detail: error.detail, isRetryable: error.isPassing),
                usage: result.usage.json)
        }
    }
    /// For charts: what the user's files and the sources' earlier answers say of each quote up to its time.
    private func histories(of quotes: [Quote], _ setting: JobSetting) -> [String: [PricePoint]] {
        let pieces = runner.loop.services.sources.rememberedQuotes(quotes.map(\.symbol))
        let table = QuoteBook(directory: setting.workspace.directory).read(with: pieces)
        let histories = quotes.map { quote in
            (quote.symbol, table.history(quote.symbol).filter { $0.time <= quote.time ?? .distantFuture })
        }
        return Dictionary(histories, uniquingKeysWith: { first, _ in first })
    }

    /// Removes the report of a job that ends without one: written by this run, or by a run that a crash cut short.
    /// A report that cannot be removed now is shown with its job's state, and `LeftoverReports` tries again.
    func discard(_ job: ClaimedJob, workspaces: WorkspaceManager, _ logger: Logger) {
        do throws(TenantError) {
            try workspaces.open(try UserID(job.user)).removeReport(job.id.description)
        } catch {
            if error.code == .userNotFound || error.code == .invalidUserID { return }
            logger.warning("the report of a job that ended without one is still there", metadata: ["error": "\(error.detail)"])
        }
    }
}
