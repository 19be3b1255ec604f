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

    init(client: JobClient? = nil, common: CommonOptions, terminal: Terminal = .errors) {
        self.client = client
        self.common = common
        self.terminal = terminal
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
        if view.state == .queued, waited > JobProgress.patience { wonder(view) }
    }

    /// Says once why nothing may be happening.
    private mutating func wonder(_ view: JobView) {
        guard !hasWondered, !common.json else { return }
        hasWondered = true
        guard let client else { return }
        if client.spool.isPaused {
            terminal.note("the queue is paused; `\(common.command("resume"))` lets it go on")
        } else if view.runAt <= Date(), view.attempt == 0, view.startedAt == nil {
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
