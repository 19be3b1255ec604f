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
        let child = box.child(
            command: command, readable: workspace.path, writable: Workspace.data,
            seconds: Double(min(asked, options.seconds)), outputBytes: options.outputBytes)
        let result: ChildProcess.Result
        do throws(SubprocessError) {
            result = try child.run { context.cancellation.isCancelled }
        } catch {
            throw ToolFailure(code: "exec_unavailable", detail: error.description)
        }
        return Self.told(result, seconds: min(asked, options.seconds)).text()
    }

    private static func told(_ result: ChildProcess.Result, seconds: Int) -> JSON {
        var members: JSONObject = ["output": .string(String(decoding: result.output, as: UTF8.self))]
        if result.dropped > 0 { members["bytes_left_out_in_the_middle"] = JSON(result.dropped) }
        switch result.end {
        case .exited(let code): members["exit_code"] = JSON(Int(code))
        case .signalled(let signal): members["killed_by_signal"] = JSON(Int(signal))
        case .timedOut: members["error"] = .string("stopped after \(seconds) seconds")
        case .stopped: members["error"] = "stopped: the turn was cancelled"
        }
        return .object(members)
    }
}
