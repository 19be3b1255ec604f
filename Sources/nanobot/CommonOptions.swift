// The options every command has, and what they lead to: the home, the services built from it, the way answers are
// printed. Values; used by one command on the main thread.

import ArgumentParser
import DurableFiles
import Foundation
import Logging
import NanobotClient
import Runtime
import Spool
import Tenants
import TextFormats

struct CommonOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Folder of this installation: spool, workspaces, config.json. (env: NANOBOT_HOME; default: ~/.nanobot)",
            valueName: "dir"),
        completion: .directory)
    var home: String?

    @Option(
        help: ArgumentHelp("The queue's folder, if it is not <home>/spool. (env: NANOBOT_SPOOL)", valueName: "dir"),
        completion: .directory)
    var spool: String?

    @Option(
        help: ArgumentHelp(
            "Ask the service that answers there instead of the files of a home. (env: NANOBOT_SERVER)", valueName: "url"))
    var server: String?

    @Option(
        help: ArgumentHelp("File with the token for --server. (env: NANOBOT_TOKEN, the token itself)", valueName: "file"),
        completion: .file())
    var tokenFile: String?

    @Flag(help: "Answer with JSON on standard output; errors are {\"error\": {code, detail}} on standard error.")
    var json = false

    @Flag(help: "Log what happens inside to standard error.")
    var verbose = false

    var environment: [String: String] { ProcessInfo.processInfo.environment }

    var location: NanobotHome { NanobotHome.standard(home: home, spool: spool, environment: environment) }

    /// The service to ask, where one is named.
    func service() throws -> ServiceClient? {
        guard let url = serverURL else {
            guard tokenFile == nil else { throw CommandFailure.usage("--token-file says nothing without --server") }
            return nil
        }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw CommandFailure("invalid_server", "\"\(url)\" is no address of a service; it begins with http:// or https://", .usage)
        }
        guard home == nil, spool == nil else {
            throw CommandFailure.usage("--server stands for a home elsewhere: leave out --home and --spool")
        }
        return ServiceClient(url: url, token: try token())
    }

    var serverURL: String? {
        // A home that was named wins over the environment.
        let named = server ?? (home == nil && spool == nil ? environment["NANOBOT_SERVER"] : nil)
        return named.flatMap { $0.isEmpty ? nil : $0 }
    }

    private func token() throws -> String? {
        guard let tokenFile else { return environment["NANOBOT_TOKEN"].flatMap { $0.isEmpty ? nil : $0 } }
        let text = String(decoding: try LinuxFileSystem().readSystemFile(tokenFile, maxBytes: 64 << 10), as: UTF8.self)
        let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !token.isEmpty else { throw CommandFailure("invalid_token_file", "\(tokenFile) is empty", .usage) }
        return token
    }

    /// For commands that need the files themselves.
    func refuseServer() throws {
        guard serverURL != nil else { return }
        throw CommandFailure(
            "local_only", "this command works on the files of a home, not with --server (or NANOBOT_SERVER): run it where they are",
            .usage)
    }

    /// Everything this installation is made of. Opens the spool; starts no thread, reaches no provider.
    func open() throws -> NanobotServices {
        StandardErrorLog.bootstrap(format: .text, level: LogLevel(verbose ? .debug : .error))
        return try services(logger: Logger(label: "nanobot"))
    }

    /// As `open`, for commands that only look: a mistyped home is said to be none, and not made.
    func openExisting() throws -> NanobotServices {
        let location = location
        // What cannot be looked at is for `open` to say.
        guard (try? LinuxFileSystem().exists(location.spool)) ?? true else {
            throw CommandFailure(
                "no_home",
                "there is no nanobot at \(location.path) (no folder \(location.spool)); name its home with --home, or start "
                    + "one with `\(command("serve"))` or `\(command("create-user NAME"))`", .failed)
        }
        return try open()
    }

    /// As `open`, for commands that run parts of the service: logs as the settings say, flags win over settings.
    func openServer(
        format: LogFormat, quietly: Bool = false, change: (inout Settings) -> Void
    ) throws -> NanobotServices {
        let level = LogLevel(verbose ? .debug : .notice)
        StandardErrorLog.bootstrap(format: format, level: level)
        var unknownLevel: String?
        let services = try services(logger: Logger(label: "nanobot"), isServer: true) { settings in
            change(&settings)
            guard !verbose else { return }
            if quietly {
                level.set(.error)
            } else if let named = Logger.Level(rawValue: settings.logLevel.lowercased()) {
                level.set(named)
            } else {
                unknownLevel = settings.logLevel
            }
        }
        if let unknownLevel {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw SettingsError(place: "log_level", detail: "\"\(unknownLevel)\" is no level; use one of \(known)")
        }
        return services
    }

    private func services(
        logger: Logger, isServer: Bool = false, change: (inout Settings) -> Void = { _ in }
    ) throws -> NanobotServices {
        try refuseServer()
        let location = location
        HomeOwner.remember(location)
        try ServiceUser.become(ownerOf: location)
        do {
            return try NanobotServices.open(
                home: location, environment: environment, logger: logger, isServer: isServer, change: change)
        } catch {
            var failure = CommandFailure(error)
            guard failure.status != .usage else { throw failure }
            failure.status = .unavailable
            failure.detail = "the home \(location.path) (spool \(location.spool)) cannot be used: \(failure.detail)"
            throw failure
        }
    }

    // MARK: - Arguments

    /// - Throws: CommandFailure `invalid_job_id`.
    func jobID(_ text: String) throws -> JobID {
        guard let id = JobID(text.lowercased()) else {
            throw CommandFailure(
                "invalid_job_id",
                "\"\(text.prefix(80))\" is no job id (36 characters, as in 019ac3e4-…); "
                    + "`\(command("jobs"))` lists them",
                .usage)
        }
        return id
    }

    /// A command line for the user to type next, with the home that is in use.
    func command(_ rest: String) -> String {
        var words = ["nanobot", rest]
        if let home { words += ["--home", CommonOptions.quoted(home)] }
        if let spool { words += ["--spool", CommonOptions.quoted(spool)] }
        if let server { words += ["--server", CommonOptions.quoted(server)] }
        if let tokenFile { words += ["--token-file", CommonOptions.quoted(tokenFile)] }
        return words.joined(separator: " ")
    }

    private static func quoted(_ text: String) -> String {
        let isPlain = text.allSatisfy { $0.isLetter || $0.isNumber || "/._-~".contains($0) }
        return isPlain ? text : "'" + text.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }

    // MARK: - Answers

    /// Times of the home's users in their zones.
    func clock(_ services: NanobotServices) -> Clock {
        // A user who cannot be read has no zone; the times are shown in this machine's.
        Clock { user in (try? services.configs.get(user))?.timeZone }
    }

    /// The same of a service's users.
    func clock(_ service: ServiceClient) -> Clock {
        // As above; a user's token may not read others.
        Clock { user in (try? service.user(user.rawValue))?["preferences"]?["timezone"]?.string }
    }

    /// The answer of a command: `value` for programs, else the lines of `text`.
    func answer(_ value: @autoclosure () -> JSON, _ text: @autoclosure () -> [String]) throws {
        if json { return try Terminal.output.json(value()) }
        for line in text() { try Terminal.output.line(line) }
    }

    /// A remark for people; programs that asked for JSON are spared.
    func remark(_ text: String) {
        if !json { Terminal.errors.note(text) }
    }
}
