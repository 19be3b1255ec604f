// `queue`, `pause`, `resume`: the queue as a whole.

import ArgumentParser
import Foundation
import Jobs
import Runtime
import Spool
import TextFormats

struct ShowQueue: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue", abstract: "Show the queue in numbers.",
        discussion: """
            Provider accounts on hold are known to the process that runs the workers: GET
            /queue tells them.
            """)

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let queue = try common.openExisting().client.queue()
        try common.answer(queue.json, ShowQueue.lines(queue))
    }

    private static func lines(_ queue: QueueSummary) -> [String] {
        var table = TextColumns(["LANE", "QUEUED", "RUNNING"])
        for lane in Lane.allCases {
            let count = queue.lanes[lane]
            table.add([lane.rawValue, String(count?.queued ?? 0), String(count?.running ?? 0)])
        }
        table.add(["all", String(queue.queued), String(queue.running)])
        var lines = table.lines
        lines.append("dead letters: \(queue.dead)")
        if queue.oldestQueuedSeconds > 0 { lines.append("longest wait: \(Moment.span(queue.oldestQueuedSeconds))") }
        if queue.isPaused { lines.append("paused: nothing is started until `nanobot resume`") }
        return lines
    }
}

struct PauseQueue: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Start no more jobs until `resume`, in any process, also after restarts.",
        discussion: "Running jobs go on; new ones are taken in and wait.")

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        try common.open().client.pause()
        try common.answer(["paused": true], ["paused; `\(common.command("resume"))` lets it go on"])
    }
}

struct ResumeQueue: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "resume", abstract: "Let a paused queue go on.")

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        try common.open().client.resume()
        try common.answer(["paused": false], ["resumed"])
    }
}
