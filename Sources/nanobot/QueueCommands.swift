// `queue`, `pause`, `resume`: the queue as a whole.

import ArgumentParser
import Foundation
import Jobs
import NanobotClient
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
        if let service = try common.service() {
            let queue = try service.queue()
            return try common.answer(queue, ShowQueue.lines(queue))
        }
        let queue = try common.openExisting().client.queue()
        try common.answer(queue.json, ShowQueue.lines(queue.json))
    }

    /// GET /queue in words.
    private static func lines(_ queue: JSON) -> [String] {
        var table = TextColumns(["LANE", "QUEUED", "RUNNING"])
        for lane in Lane.allCases {
            let count = queue["lanes"]?[lane.rawValue]
            table.add([lane.rawValue, String(count?["queued"]?.int ?? 0), String(count?["running"]?.int ?? 0)])
        }
        table.add(["all", String(queue["queued"]?.int ?? 0), String(queue["running"]?.int ?? 0)])
        var lines = table.lines
        lines.append("dead letters: \(queue["dead"]?.int ?? 0)")
        if let oldest = queue["oldest_queued_seconds"]?.double, oldest > 0 {
            lines.append("longest wait: \(Moment.span(oldest))")
        }
        if queue["paused"] == true { lines.append("paused: nothing is started until `nanobot resume`") }
        for hold in queue["holds"]?.array ?? [] {
            let until = hold["until"]?.string.flatMap(RFC3339.date)
            lines.append("on hold: \(hold["key"]?.string ?? "?") until \(Clock().full(until))")
        }
        for job in queue["stalled"]?.array ?? [] { lines.append(stalledLine(job)) }
        return lines
    }

    private static func stalledLine(_ job: JSON) -> String {
        let (id, since) = (job["job_id"]?.string ?? "", Clock().full(job["since"]?.string.flatMap(RFC3339.date)))
        let why =
            job["held"] == true
            ? "a process holds it and does not get on (stopped or frozen?): let that process go on, or end it"
            : "its process died, and no worker is there to recover it: start one"
        return "stalled: \(id), nothing since \(since): \(why)"
    }
}

struct PauseQueue: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Start no more jobs until `resume`, in any process, also after restarts.",
        discussion: "Running jobs go on; new ones are taken in and wait.")

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        if let service = try common.service() { try service.pauseQueue() } else { try common.open().client.pause() }
        try common.answer(["paused": true], ["paused; `\(common.command("resume"))` lets it go on"])
    }
}

struct ResumeQueue: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "resume", abstract: "Let a paused queue go on.")

    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        if let service = try common.service() { try service.resumeQueue() } else { try common.open().client.resume() }
        try common.answer(["paused": false], ["resumed"])
    }
}
