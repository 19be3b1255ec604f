// What the pool needs from outside: what a job means and who may start. Implemented in Runtime.

import Foundation
import Spool
import TextFormats

/// Does the work of one job. Called on worker threads, for different jobs at the same time.
public protocol JobHandler: Sendable {
    /// What the job allows itself. Called after the claim, before `run`; reads the payload.
    func policy(for job: ClaimedJob) -> JobPolicy

    /// Runs the job to its end, blocking. Must return within `policy.timeout` plus the pool's grace time, soon after
    /// `cancellation` is set, and must not keep `record`, which belongs to the calling thread.
    func run(_ job: ClaimedJob, record: RunRecord, cancellation: CancellationFlag) -> JobOutcome

    /// Removes what `run` has already put where others see it, and leaves there what others see of a job without a
    /// result. Called on the worker's thread when it is decided that the job fails or is cancelled, before its final
    /// line; a crash between the two brings the job back.
    /// - Parameter failure: nil: the job is cancelled.
    /// - Returns: whether the final line must carry no result, as nothing is left of it.
    func discardResult(of job: ClaimedJob, because failure: JobFailure?) -> Bool
}

extension JobHandler {
    public func discardResult(of job: ClaimedJob, because failure: JobFailure?) -> Bool { false }
}

public struct JobPolicy: Sendable {
    /// Seconds, 1…3,600.
    public var timeout: TimeInterval
    /// Tries in one run before the job is buried, at least 1.
    public var maxAttempts: Int
    /// After this time the job is not begun any more; an operator's retry ignores it.
    public var expiresAt: Date?

    public init(timeout: TimeInterval = 300, maxAttempts: Int = 4, expiresAt: Date? = nil) {
        self.timeout = timeout
        self.maxAttempts = maxAttempts
        self.expiresAt = expiresAt
    }
}

public enum JobOutcome: Sendable {
    case completed(result: JSON, usage: JSON?)
    case failed(JobFailure, usage: JSON?)
    case cancelled(usage: JSON?)
    /// Not finished; goes on where its journal ends. Counts nothing. For drain.
    case released(reason: String)
    /// The provider account asks for a pause until then; all jobs with this hold key wait. Counts nothing.
    case held(until: Date, reason: String)
    /// Something that passes by itself keeps the job, and no other, from going on. Counts nothing.
    case postponed(JobFailure, seconds: TimeInterval)
}

/// A further opinion on whether a job may start now: plans, quotas.
public protocol Admission: Sendable {
    /// Called on a worker thread before the claim; must be quick.
    func mayStart(_ name: JobFileName) -> AdmissionAnswer
}

public enum AdmissionAnswer: Sendable, Equatable {
    case start
    /// Ask again then; the job keeps its place in its order key.
    case notBefore(Date)
}
