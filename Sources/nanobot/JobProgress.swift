// Shows a job's progress on standard error while somebody waits: one line that moves on a terminal, else a line per
// change. Used on the waiting thread.

import Foundation
import Jobs
import Spool

struct JobProgress {
    /// Seconds a due job may wait before we wonder whether anybody works.
    private static let patience: TimeInterval = 5

    /// nil: the job is a service's elsewhere.
    private let client: JobClient?
    private let common: CommonOptions
    private let terminal: Terminal
    private let startedAt = Date()
    private var lastText = ""
    private var hasWondered = false
    private let isPaused: () -> Bool
    private var wasPaused = false

    /// - Parameter isPaused: whether the queue is; asked each time a waiting job is shown.
    init(
        client: JobClient? = nil, common: CommonOptions, terminal: Terminal = .errors, isPaused: @escaping () -> Bool
    ) {
        self.client = client
        self.common = common
        self.terminal = terminal
        self.isPaused = isPaused
    }

    init(client: JobClient, common: CommonOptions) {
        self.init(client: client, common: common) { client.spool.isPaused }
    }

    mutating func show(_ view: JobView) {
        let text = JobProgress.text(view)
        let waited = Date().timeIntervalSince(startedAt)
        if terminal.isInteractive {
            if view.state.isFinal {
                terminal.note("\(view.kind.rawValue) \(view.id): \(text) after \(Moment.span(waited))")
            } else {
                terminal.passing("\(view.kind.rawValue) \(view.id): \(text) · \(Moment.span(waited))")
            }
        } else if text != lastText, !common.json {
            terminal.note("\(view.kind.rawValue) \(view.id): \(text)")
        }
        lastText = text
        guard view.state == .queued else { return }
        tellPause()
        if !wasPaused, waited > JobProgress.patience { wonder(view) }
    }

    /// Says at once that the queue is paused, and that it goes on.
    private mutating func tellPause() {
        guard !common.json, isPaused() != wasPaused else { return }
        wasPaused.toggle()
        terminal.note(wasPaused ? JobProgress.paused(common) : "the queue goes on")
    }

    static func paused(_ common: CommonOptions) -> String {
        "the queue is paused: nothing is started until `\(common.command("resume"))`"
    }

    /// Says once why nothing may be happening.
    private mutating func wonder(_ view: JobView) {
        guard !hasWondered, !common.json else { return }
        hasWondered = true
        guard client != nil else { return }
        if view.runAt <= Date(), view.attempt == 0, view.startedAt == nil {
            terminal.note("no worker has taken the job yet; is `\(common.command("serve"))` running, or are all busy?")
        }
    }

    static func text(_ view: JobView) -> String {
        switch view.state {
        case .queued:
            if view.attempt > 0 {
                let reason = view.error.map { " after \($0.code)" } ?? ""
                return "queued for attempt \(view.attempt + 1)\(reason), \(Moment.relative(view.runAt, now: Date()))"
            }
            let isLater = view.runAt > Date().addingTimeInterval(1)
            return isLater ? "queued for \(Moment.relative(view.runAt, now: Date()))" : "queued"
        case .running:
            let note = view.note.map { " · \($0)" } ?? ""
            return "running \(view.progress) %\(note)"
        case .completed: return "completed"
        case .failed, .cancelled:
            return view.error.map { "\(view.state.rawValue) (\($0.code): \($0.detail))" } ?? view.state.rawValue
        }
    }
}
