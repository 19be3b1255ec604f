// A home of its own with everything in it, and jobs run one by one on claims that a test takes.

import DurableFiles
import Foundation
import Jobs
import Logging
import Spool
import TestSupport
import Testing
import TextFormats

@testable import Runtime
@testable import Workers

struct RuntimeBench {
    let folder: TemporaryDirectory
    let services: NanobotServices

    init(settings: String? = nil) throws {
        folder = try TemporaryDirectory()
        if let settings { try LinuxFileSystem().replaceFile(folder.path + "/config.json", Array(settings.utf8)) }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        services = try NanobotServices.open(
            home: NanobotHome(path: folder.path), environment: [:], logger: logger)
    }

    /// Submits, runs on a claim of its own, and returns the record.
    func run(_ json: JSON) throws -> JobRecord {
        let request = try JobRequest.parse(json, now: Date())
        return try run(try services.client.submit(request, source: .cli).id)
    }

    /// Runs a job that waits.
    func run(_ id: JobID) throws -> JobRecord {
        let name = try #require(try services.spool.names(in: .queued).first { $0.id == id })
        guard case .claimed(let claim) = try services.spool.claim(name) else {
            throw SpoolError(.state, "not claimed")
        }
        switch services.makeRouter().run(claim.job, record: claim.record, cancellation: CancellationFlag()) {
        case .completed(let result, let usage): try claim.complete(result: result, usage: usage)
        case .failed(let failure, let usage): try claim.bury(failure, usage: usage)
        case .cancelled(let usage): try claim.cancel(usage: usage)
        case .released(let reason): try claim.release(reason)
        case .postponed(let failure, let seconds):
            try claim.hold(until: Date().addingTimeInterval(seconds), failure)
        case .held(let until, _):
            try claim.hold(until: until, JobFailure(code: "held", detail: "", isRetryable: true))
        }
        return try #require(try services.spool.record(id))
    }
}
