// A heartbeat job: looks after the tasks in the user's HEARTBEAT.md. Without any task it ends at once and asks no model.
// Result: {"response", "model"} with the answer, or {"silent": true, "reason"} when there was nothing to say. An answer also
// becomes a message of the user's default session, so that it is seen there and can be replied to.

import Agent
import Foundation
import Jobs
import Logging
import Providers
import Spool
import Tenants
import TextFormats
import Workers

struct HeartbeatJobHandler: Sendable {
    let runner: TurnRunner
    /// What a model answers when nothing needs doing.
    static let silentAnswer = "HEARTBEAT_OK"
    static let maximumFile = 64 << 10

    func run(
        _ job: ClaimedJob, _ setting: JobSetting, _ record: RunRecord, _ cancellation: CancellationFlag,
        _ logger: Logger
    ) -> JobOutcome {
        let text: String
        do throws(TenantError) {
            text = try setting.workspace.readText(Workspace.heartbeat, maxBytes: Self.maximumFile) ?? ""
        } catch {
            return .failed(
                JobFailure(code: error.code.rawValue, detail: error.detail, isRetryable: error.isPassing),
                usage: nil)
        }
        let tasks = Self.tasks(in: text)
        guard !tasks.isEmpty else {
            return .completed(result: ["silent": true, "reason": "HEARTBEAT.md has no tasks"], usage: nil)
        }
        let plan = TurnRunner.Plan(
            kind: .heartbeat, session: .standard, message: Self.prompt(tasks),
            language: setting.request.language ?? setting.config.preferences.language, isEphemeral: true)
        switch runner.run(plan, job, setting, record, cancellation, logger) {
        case .outcome(let outcome): return outcome
        case .result(let result):
            if result.text.trimmingCharacters(in: .whitespacesAndNewlines) == Self.silentAnswer {
                return .completed(result: ["silent": true, "reason": "nothing to say"], usage: result.usage.json)
            }
            if let failure = tell(result.text, job, setting) { return .failed(failure, usage: result.usage.json) }
            return .completed(
                result: ["response": .string(result.text), "model": .string(result.model)], usage: result.usage.json)
        }
    }

    /// The entry's id comes from the job: a job that resumes after a crash says nothing twice.
    private func tell(_ text: String, _ job: ClaimedJob, _ setting: JobSetting) -> JobFailure? {
        let entry = SessionEntry(
            id: "\(job.id):0", jobID: job.id.description, message: .assistant(text), time: runner.now())
        do throws(AgentError) {
            try SessionStore(workspace: setting.workspace).append(.standard, [entry])
            return nil
        } catch {
            return JobFailure(code: error.code, detail: error.detail, isRetryable: error.isRetryable)
        }
    }

    /// The list items of the file: its tasks. Struck ones and text in comments are none.
    static func tasks(in text: String) -> [String] {
        var isComment = false
        return text.split(separator: "\n").compactMap { line in
            let line = line.trimmingCharacters(in: .whitespaces)
            if line.contains("<!--") { isComment = true }
            defer { if line.contains("-->") { isComment = false } }
            guard !isComment, line.hasPrefix("- ") || line.hasPrefix("* "), !line.contains("[x]") else { return nil }
            let task = line.dropFirst(2).replacingOccurrences(of: "[ ]", with: "")
                .trimmingCharacters(in: .whitespaces)
            return task.isEmpty ? nil : task
        }
    }

    private static func prompt(_ tasks: [String]) -> String {
        """
        It is time to look after the standing tasks of HEARTBEAT.md:

        \(tasks.map { "- \($0)" }.joined(separator: "\n"))

        Do what is due now, using tools for facts. If nothing is due or there is nothing new to say, answer with \
        \(silentAnswer) and nothing else.
        """
    }
}
