// Several jobs at once: one after the other they are checked and their files made, then one frame of the spool's log makes
// all of them durable (Spool/SubmissionBatch.swift), then what follows from each is done. Each job has its own answer.
// Blocks until all are answered.

import Spool
import Synchronization
import Tenants

extension JobClient {
    /// Several jobs, answered one by one in the order given; jobs of one session run in that order. What is not refused
    /// becomes durable together, and is or is not admitted each for itself.
    public func submitBatch(
        _ requests: [JobRequest], source: JobSource, route: String? = nil
    ) -> [Result<SubmittedJob, JobError>] {
        let run = BatchRun(client: self, count: requests.count)
        for (index, request) in requests.enumerated() { run.add(request, at: index, source: source, route: route) }
        return run.finish()
    }
}

/// One batch on its way. Stays on the thread that made it.
final class BatchRun {
    typealias Answer = Result<SubmittedJob, JobError>

    private let client: JobClient
    private let batch: SubmissionBatch
    private var answers: [Answer?]
    /// Added to the spool's batch, in this order.
    private var pending: [(index: Int, id: JobID, draft: JobDraft)] = []
    private var current = 0

    init(client: JobClient, count: Int) {
        self.client = client
        batch = client.spool.batch()
        answers = Array(repeating: nil, count: count)
    }

    func add(_ request: JobRequest, at index: Int, source: JobSource, route: String?) {
        if !batch.hasRoom { commit() }
        current = index
        do throws(JobError) {
            if let job = try client.submit(request, source: source, route: route, in: self) {
                answers[index] = .success(job)
            }
        } catch {
            answers[index] = .failure(error)
        }
    }

    /// - Returns: nil when the job waits for the batch's commit.
    func admit(_ draft: JobDraft, _ id: JobID) throws(JobError) -> SubmittedJob? {
        // The same job twice in one batch: the second time it exists.
        if batch.isPending(id) { commit() }
        let submission = client.submission(draft, id)
        let answer = try client.spoolCall(id) { () throws(SpoolError) in try batch.add(submission) }
        if let answer { return client.conclude(draft, id, answer) }
        pending.append((current, id, draft))
        return nil
    }

    /// Something is held back.
    var isHolding: Bool { !pending.isEmpty }

    /// What is held back becomes durable now, and can be asked about and claimed.
    func commit() {
        let outcomes = batch.commit()
        for (index, id, draft) in pending {
            let outcome = outcomes[id] ?? .failure(SpoolError(.outcomeUnknown, "The batch was not answered.", id: id))
            do throws(SpoolError) {
                let job = client.conclude(draft, id, try outcome.get())
                client.census.settle(draft.request.userID.rawValue, isAdmitted: job.isNew)
                answers[index] = .success(job)
            } catch {
                client.census.settle(draft.request.userID.rawValue, isAdmitted: false)
                answers[index] = .failure(JobError(error, id))
            }
        }
        pending = []
    }

    func finish() -> [Answer] {
        commit()
        return answers.map { answer in
            answer ?? .failure(JobError(.outcomeUnknown, "the job was not answered; ask again with the same id or key"))
        }
    }
}
