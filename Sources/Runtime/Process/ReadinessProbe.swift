// One look at the disk at a time, on a thread of its own: who asks is answered by the last look if it is fresh, else by the
// one under way, and within 2 s in any case. A disk that hangs holds one thread, however many ask and however long.
// Any task may ask. Never fails.

import Dispatch
import Foundation
import Synchronization

final class ReadinessProbe: Sendable {
    /// Seconds one look serves.
    static let goodFor: TimeInterval = 1
    /// Seconds a look may take before the answer is no.
    static let patience: TimeInterval = 2

    /// What a look found wrong; nil: nothing.
    typealias Problem = String?

    private struct State {
        var last: (problem: Problem, time: TimeInterval)?
        /// Uptime at which the look under way began.
        var since: TimeInterval?
        var waiting: [Int: CheckedContinuation<Problem, Never>] = [:]
        var asked = 0
    }

    private let state = Mutex(State())
    private let uptime: @Sendable () -> TimeInterval
    private let look: @Sendable () -> Problem
    private let step: @Sendable () -> String?

    /// - Parameters:
    ///   - step: what the look under way is doing, for a look that does not come back.
    ///   - look: blocks as long as the disk does.
    init(
        uptime: @escaping @Sendable () -> TimeInterval, step: @escaping @Sendable () -> String?,
        look: @escaping @Sendable () -> Problem
    ) {
        self.uptime = uptime
        self.step = step
        self.look = look
    }

    func problem() async -> Problem {
        await withCheckedContinuation { continuation in ask(continuation) }
    }

    private enum Answer {
        case now(Problem)
        case later(number: Int, seconds: TimeInterval, mustLook: Bool)
    }

    private func ask(_ continuation: CheckedContinuation<Problem, Never>) {
        let time = uptime()
        let answer = state.withLock { state -> Answer in
            if let last = state.last, state.since == nil, time - last.time < Self.goodFor { return .now(last.problem) }
            let begun = state.since ?? time
            let left = begun + Self.patience - time
            guard left > 0 else { return .now(hanging(time - begun)) }
            let mustLook = state.since == nil
            state.since = begun
            state.asked += 1
            state.waiting[state.asked] = continuation
            return .later(number: state.asked, seconds: left, mustLook: mustLook)
        }
        switch answer {
        case .now(let problem): continuation.resume(returning: problem)
        case .later(let number, let seconds, let mustLook):
            if mustLook { begin() }
            DispatchQueue.global().asyncAfter(deadline: .now() + seconds) { [self] in
                let late = state.withLock { $0.waiting.removeValue(forKey: number) }
                late?.resume(returning: hanging(Self.patience))
            }
        }
    }

    private func begin() {
        let thread = Thread { [self] in
            let problem = look()
            let time = uptime()
            let waiting = state.withLock { state in
                state.last = (problem, time)
                state.since = nil
                defer { state.waiting = [:] }
                return state.waiting.values
            }
            for continuation in waiting { continuation.resume(returning: problem) }
        }
        thread.name = "readiness"
        thread.start()
    }

    private func hanging(_ seconds: TimeInterval) -> String {
        let what = step().map { ": to \($0)" } ?? ""
        return "the disk has not answered for \(Int(seconds)) s\(what)"
    }
}
