// Submits many jobs at once: jobs of one session one after the other, the rest side by side on a few threads, because
// the spool answers concurrent submitters with shared fsyncs. Used by JobClient; blocks until all are answered.

import Synchronization
import Tenants

struct BatchSubmission {
    typealias Answer = Result<SubmittedJob, JobError>
    /// Threads at most; more gain nothing on one disk.
    private static let width = 8

    private let requests: [JobRequest]
    /// Places in `requests`; each group is submitted in order.
    private let groups: [[Int]]

    init(_ requests: [JobRequest]) {
        struct Session: Hashable {
            var user: UserID
            var session: SessionID
        }
        self.requests = requests
        var groups: [[Int]] = []
        var places: [Session: Int] = [:]
        for (index, request) in requests.enumerated() {
            let session = request.sessionID.map { Session(user: request.userID, session: $0) }
            if let session, let place = places[session] {
                groups[place].append(index)
            } else {
                if let session { places[session] = groups.count }
                groups.append([index])
            }
        }
        self.groups = groups
    }

    func run(_ submit: @escaping @Sendable (JobRequest) throws(JobError) -> SubmittedJob) -> [Answer] {
        let work = Work(groups: groups.count)
        let body: @Sendable () -> Void = { [requests, groups] in
            while let group = work.next() {
                for index in groups[group] {
                    do throws(JobError) {
                        work.finish(index, .success(try submit(requests[index])))
                    } catch {
                        work.finish(index, .failure(error))
                    }
                }
            }
        }
        let helpers = (1..<max(1, min(Self.width, groups.count))).map { _ in ServiceThread() }
        for helper in helpers { helper.start("batch-submit", body) }
        body()
        for helper in helpers { helper.join() }
        return work.answers(count: requests.count)
    }

    private final class Work: Sendable {
        private struct State {
            var next = 0
            var answers: [Int: Answer] = [:]
        }

        private let groups: Int
        private let state = Mutex(State())

        init(groups: Int) { self.groups = groups }

        func next() -> Int? {
            state.withLock { state in
                guard state.next < groups else { return nil }
                defer { state.next += 1 }
                return state.next
            }
        }

        func finish(_ index: Int, _ answer: Answer) { state.withLock { $0.answers[index] = answer } }

        /// Every place has been answered by then: each group was run to its end.
        func answers(count: Int) -> [Answer] {
            state.withLock { state in (0..<count).compactMap { state.answers[$0] } }
        }
    }
}
