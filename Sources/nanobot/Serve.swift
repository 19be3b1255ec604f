// `serve` and `worker`: a process that runs until SIGTERM or SIGINT. What runs is Runtime's; here are the flags, the
// one line that says it is ready, and the exit status.

import ArgumentParser
import CLinux
import Foundation
import Runtime
import TextFormats

/// Flags of both.
struct ServerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Worker threads, 1 to 4096. (env: NANOBOT_WORKERS; default: \"workers\" in config.json, or 16)",
            valueName: "n"))
    var workers: Int?

    @Option(help: "How log lines on standard error look. (env: NANOBOT_LOG_FORMAT)")
    var logFormat: LogFormat?

    static let workerRange = 1...4_096

    func validate() throws {
        if let workers, !ServerOptions.workerRange.contains(workers) {
            throw ValidationError("--workers must be a number from 1 to 4096.")
        }
    }

    func format(_ environment: [String: String]) -> LogFormat {
        logFormat ?? environment["NANOBOT_LOG_FORMAT"].flatMap(LogFormat.init(rawValue:)) ?? .text
    }
}

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the service: HTTP API, workers, scheduler and drop box in one process.",
        discussion: """
            Prints one line when it answers, logs to standard error, and runs until
            SIGTERM or Ctrl-C: running jobs then get 20 seconds to reach their next step
            and are resumed at the next start.

            Without a token only this machine can be served. To serve others, set
            NANOBOT_ADMIN_TOKEN (16 characters or more) or put it into <home>/admin-token,
            and put a TLS proxy in front.

            Several processes may share one home or spool:
              nanobot serve --no-workers                      # answers and schedules
              nanobot worker --workers 64                     # works, as often as you like

            Examples:
              nanobot serve
              nanobot serve --port 9000 --workers 32 --home /srv/nanobot
              NANOBOT_MODEL=openai/gpt-4o-mini OPENAI_API_KEY=… nanobot serve
            """,
        aliases: ["api"])

    @Option(help: ArgumentHelp("Address to bind. (env: NANOBOT_HOST; default: 127.0.0.1)", valueName: "address"))
    var host: String?

    @Option(help: ArgumentHelp("Port to bind; 0 takes a free one. (env: NANOBOT_PORT; default: 8000)", valueName: "n"))
    var port: Int?

    @Flag(name: .customLong("no-workers"), help: "Run no jobs in this process.")
    var withoutWorkers = false

    @Flag(name: .customLong("no-scheduler"), help: "Fire no schedules in this process.")
    var withoutScheduler = false

    @Flag(name: .customLong("no-drop-box"), help: "Take in no files from incoming/ in this process.")
    var withoutDropBox = false

    @OptionGroup var server: ServerOptions
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func validate() throws {
        if let port, !(0...65_535).contains(port) { throw ValidationError("--port must be a number from 0 to 65535.") }
        if let host, host.isEmpty { throw ValidationError("--host must not be empty.") }
    }

    func run() async throws {
        try AddressSpace.atStart.checkService(workers: server.workers ?? 1, blockingThreads: 1)
        let services = try common.openServer(format: server.format(common.environment)) { settings in
            settings.host = host ?? settings.host
            settings.port = port ?? settings.port
            settings.workers = server.workers ?? settings.workers
        }
        var parts = ServerParts.all
        if withoutWorkers { parts.remove(.workers) }
        if withoutScheduler { parts.remove(.scheduler) }
        if withoutDropBox { parts.remove(.dropBox) }
        try await ServerRun(services: services, parts: parts, common: common).run()
    }
}

/// The command `worker`.
struct WorkOnly: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Run workers only: no HTTP, no scheduler, no drop box.",
        discussion: """
            Any number of worker processes may share a spool, on one machine or on several
            that mount it. Each runs until SIGTERM or Ctrl-C.

            Example:
              nanobot worker --workers 64 --home /srv/nanobot
            """)

    @OptionGroup var server: ServerOptions
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() async throws {
        try AddressSpace.atStart.checkService(workers: server.workers ?? 1, blockingThreads: 1)
        let services = try common.openServer(format: server.format(common.environment)) { settings in
            settings.workers = server.workers ?? settings.workers
        }
        try await ServerRun(services: services, parts: .workers, common: common).run()
    }
}

/// One run of a server from the command line.
struct ServerRun {
    let services: NanobotServices
    let parts: ServerParts
    let common: CommonOptions

    func run() async throws {
        // What a burst of large bodies took is not kept for the next one.
        nb_give_memory_back()
        let server = NanobotServer(services: services, parts: parts, environment: common.environment) { port in
            announce(port: port)
        }
        do {
            do {
                try AddressSpace.atStart.checkService(
                    workers: parts.contains(.workers) ? services.settings.workers : 0,
                    blockingThreads: server.blockingThreads)
            } catch {
                services.closeSpool()
                throw error
            }
            try await server.run()
        } catch {
            throw failure(error)
        }
    }

    /// Whatever keeps a server from running may pass or be another process's doing, unless the settings are wrong.
    private func failure(_ error: any Error) -> CommandFailure {
        var failure = CommandFailure(error)
        if failure.code == "failed" {
            failure.code = "unavailable"
            failure.status = .unavailable
            let isTaken = failure.detail.contains("errno: \(EADDRINUSE)") || failure.detail.contains("in use")
            if parts.contains(.api), isTaken {
                failure.detail =
                    "\(services.settings.host) port \(services.settings.port) is taken by another process; "
                    + "choose another with --port, or --port 0 for a free one"
            } else {
                failure.detail = "the service cannot run: \(failure.detail)"
            }
        }
        return failure
    }

    /// The ready line. Whoever started the service may have closed standard output; that must not end it.
    private func announce(port: Int) {
        // Two thirds of what an idle service would keep resident is code that only the start has run.
        nb_release_program_pages()
        if common.json {
            try? Terminal.output.line(facts(port: port).text())
            return
        }
        let settings = services.settings
        var text = parts.contains(.api) ? "nanobot answers at \(url(port: port))" : "nanobot works"
        text += " · home \(services.home.path)"
        if services.home.spool != "\(services.home.path)/spool" { text += " · spool \(services.home.spool)" }
        text += " · model \(settings.model)"
        text += parts.contains(.workers) ? " · \(settings.workers) workers" : " · no workers"
        if parts.contains(.api) {
            if !parts.contains(.scheduler) { text += " · no scheduler" }
            if !parts.contains(.dropBox) { text += " · no drop box" }
        }
        // As above.
        try? Terminal.output.line(text)
    }

    private func facts(port: Int) -> JSON {
        let settings = services.settings
        return [
            "url": parts.contains(.api) ? .string(url(port: port)) : .null, "home": .string(services.home.path),
            "spool": .string(services.home.spool), "model": .string(settings.model),
            "workers": JSON(parts.contains(.workers) ? settings.workers : 0),
            "scheduler": .bool(parts.contains(.scheduler)), "drop_box": .bool(parts.contains(.dropBox)),
            "pid": JSON(Int(ProcessInfo.processInfo.processIdentifier)), "version": .string(NanobotServer.version),
        ]
    }

    private func url(port: Int) -> String {
        let host = services.settings.host
        let isBareIPv6 = host.contains(":") && !host.hasPrefix("[")
        let scheme = services.settings.server.tls == nil ? "http" : "https"
        return "\(scheme)://\(isBareIPv6 ? "[\(host)]" : host):\(port)"
    }
}
