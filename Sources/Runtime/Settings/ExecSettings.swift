// The settings `tools.exec`, read strictly. Failure: FieldError that names the key.
import Agent
import Foundation
import Logging
import Subprocesses
import TextFormats

/// nil options: the tool is off, which is the default.
struct ExecSettings {
    static func read(_ tools: inout ObjectReader) throws(FieldError) -> ExecOptions? {
        guard var reader = try tools.object("exec") else { return nil }
        var options = ExecOptions()
        let isOn = try reader.bool("enabled") ?? false
        options.seconds = try reader.int("timeout_s", in: 1...600) ?? options.seconds
        options.outputBytes = try reader.int("output_bytes", in: 1_024...(1 << 20)) ?? options.outputBytes
        options.bounds.memoryMB = try reader.int("memory_mb", in: 16...65_536) ?? options.bounds.memoryMB
        options.bounds.processes = try reader.int("processes", in: 4...4_096) ?? options.bounds.processes
        options.bounds.fileMB = try reader.int("file_mb", in: 1...4_096) ?? options.bounds.fileMB
        options.files = try reader.int("files", in: 10...90_000) ?? options.files
        options.workspaceMB = try reader.int("workspace_mb", in: 1...1_000_000) ?? options.workspaceMB
        options.totalMB = try reader.int("total_mb", in: 256...1_000_000) ?? options.totalMB
        options.program = try reader.string("bubblewrap", min: 1, max: 4_096) ?? options.program
        options.bounds.processorSeconds = options.seconds
        guard options.program.hasPrefix("/") else { throw reader.error("bubblewrap", "must be an absolute path") }
        try reader.finish()
        return isOn ? options : nil
    }

    /// The tool, if a box can be made on this machine; the log says why not.
    static func tools(_ options: ExecOptions?, logger: Logger) -> [any Tool] {
        guard let options else { return [] }
        if let problem = Bubblewrap(program: options.program, bounds: options.bounds).check() {
            logger.error("the tool exec is not offered", metadata: ["reason": "\(problem)"])
            return []
        }
        return [ExecTool(options: options)]
    }
}
