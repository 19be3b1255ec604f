// Runs a command of the model's in a box: the user's workspace is there to be read, data/ in it to be written, and nothing
// else is. Stateless. The box is Bubblewrap's; off unless the operator switches it on.
import DurableFiles
import Foundation
import HTTPTransport
import Subprocesses
import Tenants
import TextFormats

public struct ExecOptions: Sendable, Hashable {
    /// Seconds a command may take, unless it asks for less.
    public var seconds = 30
    /// Bytes of output that are kept.
    public var outputBytes = 64 << 10
    /// Files, and MiB, of the whole workspace beyond which a command is stopped.
    public var files = 10_000
    public var workspaceMB = 256
    public var bounds = Bubblewrap.Bounds()
    public var program = "/usr/bin/bwrap"

    public init() {}
}

public struct ExecTool: Tool {
    private let options: ExecOptions
    private let box: Bubblewrap

    public init(options: ExecOptions) {
        self.options = options
        box = Bubblewrap(program: options.program, bounds: options.bounds)
    }

    public let name = "exec"
    public let description = """
        Run a shell command in a sealed box without network. The user's workspace is at /workspace, read-only; the \
        command starts in /workspace/data, the only place it can write (and /tmp, which is gone afterwards). Returns \
        exit code and output. Use it to compute, convert or search; not for what another tool does.
        """
    public let isIdempotent = false
    public let isReadOnly = false
    static let maximumCommand = 20_000

    public var parameters: JSON {
        ToolSchema.object(
            [
                "command": ToolSchema.text("For /bin/sh"),
                "timeout_s": ["type": "integer", "minimum": 1, "description": "Seconds; the operator sets the most"],
            ], required: ["command"])
    }

    public func run(_ arguments: JSON, _ context: ToolContext) throws -> String {
        var reader = try ObjectReader(arguments)
        let command = try reader.require(reader.string("command", min: 1, max: Self.maximumCommand), "command")
        let asked = try reader.int("timeout_s", in: 1...86_400) ?? options.seconds
        try reader.finish()
        guard !command.utf8.contains(0) else {
            throw ToolFailure(code: "invalid_arguments", detail: "command: must not contain a NUL")
        }
        let workspace = context.turn.workspace
        // The box shows what stands there now: a folder of that name, not a link to another.
        guard try workspace.directory.status(Workspace.data).kind == .directory else {
            throw ToolFailure(code: "no_data_folder", detail: "the workspace has no folder data/")
        }
        let entries = try workspace.shownToCommands()
        let child = box.child(
            command: command, readable: workspace.path, entries: entries, writable: Workspace.data,
            seconds: Double(min(asked, options.seconds)), outputBytes: options.outputBytes)
        var room = try RoomWatch(workspace: workspace, options: options)
        let result: ChildProcess.Result
        do throws(SubprocessError) {
            result = try child.run { context.cancellation.isCancelled || room.isExceeded() }
        } catch {
            throw ToolFailure(code: "exec_unavailable", detail: error.description)
        }
        // What the command has locked or named so that nobody can look at it would be hidden from the next count. Where that
        // fails, the count says that it is not complete.
        try? workspace.mend()
        return Self.told(result, seconds: min(asked, options.seconds), room.found).text()
    }

    /// Looks now and then at how much stands in the workspace: the box bounds the size of one file only.
    private struct RoomWatch {
        /// The part of the time that may go into looking.
        private static let restFactor = 20.0
        private static let interval: TimeInterval = 0.5
        private let workspace: Workspace
        private let files: Int
        private let bytes: Int
        private var next: TimeInterval = 0
        private(set) var found: String?

        /// A workspace that is too full already may not grow; the command may be the one that makes room.
        init(workspace: Workspace, options: ExecOptions) throws {
            self.workspace = workspace
            let usage = try Self.measure(workspace)
            // What cannot be counted to its end could grow without an end.
            guard usage.isComplete else {
                throw ToolFailure(
                    code: "disk_quota", detail: "the workspace holds more than can be counted; some of it has to be removed first")
            }
            files = max(options.files, usage.files)
            bytes = max(options.workspaceMB << 20, usage.bytes)
        }

        /// With what a command has locked away or given a name that is no text.
        private static func measure(_ workspace: Workspace) throws(TenantError) -> Workspace.DiskUsage {
            let usage = try workspace.diskUsage()
            guard !usage.isComplete else { return usage }
            try workspace.mend()
            return try workspace.diskUsage()
        }

        mutating func isExceeded() -> Bool {
            let begin = ProcessInfo.processInfo.systemUptime
            guard begin >= next else { return false }
            found = excess()
            let end = ProcessInfo.processInfo.systemUptime
            next = end + max(Self.interval, (end - begin) * Self.restFactor)
            return found != nil
        }

        private func excess() -> String? {
            // A workspace that cannot be measured just now is measured again by the next look.
            guard let usage = try? Self.measure(workspace) else { return nil }
            guard usage.isComplete else { return "the workspace holds more than can be counted; remove some" }
            if usage.files > files { return "the workspace has more than the \(files) files it may have; remove some" }
            if usage.bytes > bytes { return "the workspace has more than the \(bytes >> 20) MiB it may have; remove files" }
            return nil
        }
    }

    private static func told(_ result: ChildProcess.Result, seconds: Int, _ excess: String?) -> JSON {
        var members: JSONObject = ["output": .string(String(decoding: result.output, as: UTF8.self))]
        if result.dropped > 0 { members["bytes_left_out_in_the_middle"] = JSON(result.dropped) }
        switch result.end {
        case .exited(let code): members["exit_code"] = JSON(Int(code))
        case .signalled(let signal): members["killed_by_signal"] = JSON(Int(signal))
        case .timedOut: members["error"] = .string("stopped after \(seconds) seconds")
        case .stopped: members["error"] = .string("stopped: \(excess ?? "the turn was cancelled")")
        }
        return .object(members)
    }
}
