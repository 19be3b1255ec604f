// The pool's handler: opens the job file, checks that its user is still the one it was admitted for, hands the job to the
// handler of its kind. Called on worker threads, many at once; no state of a job is kept here.

import Agent
import Foundation
import Jobs
import Logging
import Spool
import Tenants
import TextFormats
import Workers

/// What every kind of job starts from.
struct JobSetting {
    var request: JobRequest
    var workspace: Workspace
    var config: UserConfig
    /// When the job's time is over, by the job's own clock.
    var deadline: Date
    /// Who made the job; nil for a file put into the spool by hand.
    var source: JobSource?
}

public struct JobRouter: JobHandler {
    private let chat: ChatJobHandler
    private let report: ReportJobHandler
    private let heartbeat: HeartbeatJobHandler
    private let memory: MemoryJobHandler
    private let workspaces: WorkspaceManager
    private let configs: UserConfigManager
    private let now: @Sendable () -> Date
    private let logger: Logger

    init(
        chat: ChatJobHandler, report: ReportJobHandler, heartbeat: HeartbeatJobHandler,
        memory: MemoryJobHandler, workspaces: WorkspaceManager,
        configs: UserConfigManager, now: @escaping @Sendable () -> Date, logger: Logger
    ) {
        self.chat = chat
        self.report = report
        self.heartbeat = heartbeat
        self.memory = memory
        self.workspaces = workspaces
        self.configs = configs
        self.now = now
        self.logger = logger
    }

    public func policy(for job: ClaimedJob) -> JobPolicy {
        // A job file that cannot be read fails in `run` with its reason; until then the defaults hold.
        guard let admitted = try? AdmittedJob(payload: job.payload, now: now()) else { return JobPolicy() }
        return JobPolicy(
            timeout: TimeInterval(admitted.request.timeout), maxAttempts: admitted.request.maxAttempts,
            expiresAt: job.isOperatorRetry ? nil : admitted.request.expiresAt)
    }

    public func run(_ job: ClaimedJob, record: RunRecord, cancellation: CancellationFlag) -> JobOutcome {
        let setting: JobSetting
        do throws(Refusal) {
            setting = try open(job)
        } catch {
            switch error {
            case .failed(let failure): return .failed(failure, usage: nil)
            case .waits(let reason): return .released(reason: reason)
            }
        }
        var logger = logger
        logger[metadataKey: "job.id"] = "\(job.id)"
        logger[metadataKey: "user.id"] = "\(job.user)"
        if let id = setting.request.requestID { logger[metadataKey: "request.id"] = "\(id)" }
        switch setting.request.kind {
        case .chat: return chat.run(job, setting, record, cancellation, logger)
        case .report: return report.run(job, setting, record, cancellation, logger)
        case .heartbeat:
            if setting.source == .agent, let task = MemoryTask(setting.request.metadata) {
                return memory.run(task, job, setting, record, cancellation, logger)
            }
            return heartbeat.run(job, setting, record, cancellation, logger)
        }
    }

    public func discardResult(of job: ClaimedJob, because failure: JobFailure?) -> Bool {
        // A job file that cannot be read never ran.
        guard let kind = try? AdmittedJob(payload: job.payload, now: now()).request.kind else { return false }
        switch kind {
        case .report:
            report.discard(job, workspaces: workspaces, logger)
            return true
        case .chat:
            // A job whose user is gone or damaged has no session to leave words in.
            if let setting = try? open(job) { chat.leaveWords(job, setting, because: failure, logger) }
            return false
        case .heartbeat: return false
        }
    }

    /// Name and content must agree, and the user must be the person the job was admitted for.
    private func open(_ job: ClaimedJob) throws(Refusal) -> JobSetting {
        let admitted: AdmittedJob
        do throws(JobError) {
            admitted = try AdmittedJob(payload: job.payload, now: now())
        } catch {
            throw .final("invalid_job", "The job file cannot be read: \(error.detail)")
        }
        let request = admitted.request
        guard request.userID.rawValue == job.user, request.id == nil || request.id == job.id else {
            throw .final(
                "contradiction", "The job file's name says user \(job.user) and id \(job.id), its content does not.")
        }
        do throws(TenantError) {
            let config = try configs.get(request.userID)
            guard admitted.incarnation.isEmpty || admitted.incarnation == config.incarnation else {
                throw TenantError(.userNotFound, "The user the job was made for was deleted.")
            }
            let workspace = try workspaces.open(request.userID)
            return JobSetting(
                request: request, workspace: workspace, config: config,
                deadline: now().addingTimeInterval(TimeInterval(request.timeout)), source: admitted.source)
        } catch {
            switch error.code {
            case _ where error.isPassing:
                throw .failed(JobFailure(code: error.code.rawValue, detail: error.detail, isRetryable: true))
            // Damaged since `DamagedUsers` let the job start. No attempt is used; the job waits for the repair.
            case .configCorrupt: throw .waits(error.code.rawValue)
            default: throw .final(error.code.rawValue, error.detail)
            }
        }
    }

    /// Why a job's turn cannot begin.
    private enum Refusal: Error {
        case failed(JobFailure)
        case waits(String)

        static func final(_ code: String, _ detail: String) -> Refusal {
            .failed(JobFailure(code: code, detail: detail, isRetryable: false))
        }
    }
}
