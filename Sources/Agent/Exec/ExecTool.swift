// Runs a command of the model's in a box: a copy of the user's workspace is there to be read, data/ in it to be written, and
// nothing else is. What the command leaves in data/ is stored when it has ended. The box is Bubblewrap's; off unless the operator
// switches it on. Any thread; all calls share the memory for boxes.
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
    /// Files, and MiB, of the whole workspace beyond which a command's results are not stored.
    public var files = 10_000
    public var workspaceMB = 256
    /// MiB of memory for the files of all commands that run at one time.
    public var totalMB = 2_048
    public var bounds = Bubblewrap.Bounds()
    public var program = "/usr/bin/bwrap"

    public init() {}
}

public struct ExecTool: Tool {
    /// Inodes of the box's folders beyond which a command is stopped: they are memory of the kernel.
    private static let maximumInodes = 100_000
    private let options: ExecOptions
    private let box: Bubblewrap
    private let memory: BoxMemory

    public init(options: ExecOptions) {
        self.init(options: options, box: Bubblewrap(program: options.program, bounds: options.bounds))
    }

    init(options: ExecOptions, box: Bubblewrap) {
        self.options = options
        self.box = box
        memory = BoxMemory(total: options.totalMB << 20)
    }

    public let name = "exec"
    public let description = """
        Run a shell command in a sealed box without network. A copy of the user's workspace is at /workspace, read-only; \
        the command starts in /workspace/data, the only place it can write (and /tmp, which is gone afterwards). Files and \
        folders it leaves in data are stored when it ends. Returns exit code and output. Use it to compute, convert or \
        search; not for what another tool does.
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
        // A user may have removed it.
        try workspace.directory.makeDirectory(Workspace.data)
        // The box shows what is there now: a folder of that name, not a link to another.
        guard try workspace.directory.status(Workspace.data).kind == .directory else {
            throw ToolFailure(code: "no_data_folder", detail: "the workspace has no folder data/")
        }
        let seconds = min(asked, options.seconds)
        let room = try BoxRoom(workspace: workspace, options: options)
        guard room.memory <= memory.total else {
            throw ToolFailure(code: "disk_quota", detail: "the workspace is too large to be copied into a box; remove files")
        }
        let deadline = ProcessInfo.processInfo.systemUptime + Double(seconds)
        let isStopped = { context.cancellation.isCancelled || ProcessInfo.processInfo.systemUptime >= deadline }
        let result = try memory.with(room.memory, isStopped: isStopped) {
            try run(command, seconds: seconds, in: workspace, room, context)
        }
        guard let result else {
            throw ToolFailure(code: "exec_busy", detail: "other commands need the memory for boxes; try again later")
        }
        return result
    }

    private func run(
        _ command: String, seconds: Int, in workspace: Workspace, _ room: BoxRoom, _ context: ToolContext
    ) throws -> String {
        do {
            let box = try box.prepare(command: command, dataBytes: room.data, outputBytes: options.outputBytes)
            let rest = try SealedDirectory(path: "\(box.folder)/rest")
            let data = try SealedDirectory(path: "\(box.folder)/data")
            let scratch = try SealedDirectory(path: "\(box.folder)/scratch")
            let shown = try workspace.shownToCommands()
            let snapshot = try BoxSnapshot(
                of: workspace, showing: Set(shown), rest: rest, data: data, now: Date()
            ) { context.cancellation.isCancelled }
            var excess: String?
            let result = try box.run(seconds: Double(seconds)) {
                // Not to be measured just now: the next look will.
                let inodes = ((try? data.usage().inodes) ?? 0) + ((try? scratch.usage().inodes) ?? 0)
                if inodes > Self.maximumInodes { excess = "it made more than \(Self.maximumInodes) files and folders" }
                return excess != nil || context.cancellation.isCancelled
            }
            var notStored: String? = "nothing of it is stored"
            if result.end != .stopped {
                let bounds = BoxResults.Bounds(files: options.files, bytes: options.workspaceMB << 20)
                let results = BoxResults(workspace: workspace, box: data, snapshot: snapshot, bounds: bounds)
                notStored = try workspace.withLock(.files) { try results.store() }
            }
            return Self.told(result, seconds: seconds, excess, notStored).text()
        } catch let error as SubprocessError {
            throw ToolFailure(code: "exec_unavailable", detail: error.description)
        } catch let error as FileError {
            throw ToolFailure(code: "storage", detail: "the command's files: \(error.code.rawValue)")
        }
    }

    private static func told(
        _ result: ChildProcess.Result, seconds: Int, _ excess: String?, _ notStored: String?
    ) -> JSON {
        var members: JSONObject = ["output": .string(String(decoding: result.output, as: UTF8.self))]
        if result.dropped > 0 { members["bytes_left_out_in_the_middle"] = JSON(result.dropped) }
        switch result.end {
        case .exited(let code): members["exit_code"] = JSON(Int(code))
        case .signalled(let signal): members["killed_by_signal"] = JSON(Int(signal))
        case .timedOut: members["error"] = .string("stopped after \(seconds) seconds")
        case .stopped: members["error"] = .string("stopped: \(excess ?? "the turn was cancelled")")
        }
        if let notStored { members["not_stored"] = .string(notStored) }
        return .object(members)
    }
}

/// The bytes a command gets.
private struct BoxRoom {
    /// What data/ in the box can hold: what it holds now, and what is left of the workspace's bound.
    var data: Int
    /// What the whole box takes of the memory for boxes.
    var memory: Int

    init(workspace: Workspace, options: ExecOptions) throws {
        let usage = try Self.measure(workspace)
        // What cannot be counted to its end could grow without an end.
        guard usage.isComplete else {
            throw ToolFailure(
                code: "disk_quota", detail: "the workspace holds more than can be counted; some of it has to be removed first")
        }
        let present = try workspace.diskUsage(below: Workspace.data).allocated
        // Enough for one file to be written beside its old version, also where nothing is left.
        let least = min(options.bounds.fileMB << 20, BoxResults.Bounds.slack)
        let left = max((options.workspaceMB << 20) - usage.allocated, least)
        let fixed = usage.allocated + (options.bounds.temporaryMB << 20)
        let room = min(left, max((options.totalMB << 20) - fixed, least))
        data = present + room
        memory = fixed + room
    }

    /// With what an earlier command has locked away or given a name that is no text.
    private static func measure(_ workspace: Workspace) throws(TenantError) -> Workspace.DiskUsage {
        let usage = try workspace.diskUsage()
        guard !usage.isComplete else { return usage }
        try workspace.mend()
        return try workspace.diskUsage()
    }
}
