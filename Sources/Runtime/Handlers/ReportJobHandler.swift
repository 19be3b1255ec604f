// A report job: one turn without a session, its text rendered and stored as reports/<job id>.* in the user's workspace.
// Result: {"report_id", "path", "format", "title"}. The report is on disk before the job is final: never "completed"
// without a report.

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
        let (pieces, _) = runner.loop.services.sources.quotes(setting.config.watchlist.stocks)
        let table = QuoteBook(directory: setting.workspace.directory).read(with: pieces)
        let quotes = table.quotes(setting.config.watchlist.stocks).found
        let histories = Dictionary(
            quotes.map { ($0.symbol, table.history($0.symbol)) }, uniquingKeysWith: { first, _ in first })
        let document = ReportDocument(
            brief: brief, text: result.text, generatedAt: now(), model: result.model, quotes: quotes,
            histories: histories)
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
}
