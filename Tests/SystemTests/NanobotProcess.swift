// The built binary as a process, spoken to over HTTP: what an application team and an operator see.
// NANOBOT_BINARY names the binary; by default the debug build of this checkout.

import DurableFiles
import Foundation
import HTTPTransport
import Synchronization
import TestSupport
import TextFormats

struct SystemFailure: Error, CustomStringConvertible {
    var description: String
}

enum NanobotBinary {
    static let path: String = {
        if let path = ProcessInfo.processInfo.environment["NANOBOT_BINARY"], !path.isEmpty { return path }
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        return "\(root)/.build/debug/nanobot"
    }()

    /// Environment of a child: nothing of ours that could change its behaviour.
    static func environment(_ extra: [String: String]) -> [String: String] {
        var environment = ["PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TZ": "UTC"]
        if let path = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] { environment["LD_LIBRARY_PATH"] = path }
        environment.merge(extra) { $1 }
        return environment
    }

    struct Result {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Runs a command to its end.
    /// - Parameter program: another one, that becomes the binary.
    static func run(
        _ arguments: [String], home: String, environment: [String: String] = [:], program: String = path
    ) throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = NanobotBinary.environment(environment.merging(["NANOBOT_HOME": home]) { $1 })
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let collected = Mutex(Data())
        let reader = Thread { collected.withLock { $0 = errors.fileHandleForReading.readDataToEndOfFile() } }
        reader.start()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Result(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: collected.withLock { $0 }, as: UTF8.self))
    }
}

/// A running `nanobot serve` (or `worker`).
final class NanobotProcess {
    let home: String
    private(set) var baseURL = ""
    private let process = Process()
    private let log: String

    /// Starts and waits until it says where it listens.
    /// - Parameter program: another one than the binary, that becomes it.
    init(
        home: String, program: String = NanobotBinary.path, arguments: [String] = ["serve", "--port", "0"],
        environment: [String: String] = [:]
    ) throws {
        self.home = home
        log = home + "/server.log"
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = NanobotBinary.environment(environment.merging(["NANOBOT_HOME": home]) { $1 })
        let output = Pipe()
        process.standardOutput = output
        FileManager.default.createFile(atPath: log, contents: nil)
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        process.standardInput = FileHandle.nullDevice
        try process.run()
        baseURL = try NanobotProcess.readAddress(output.fileHandleForReading, log: log)
    }

    /// Blocks until the line with the address; end of file means the server gave up.
    private static func readAddress(_ handle: FileHandle, log: String) throws -> String {
        var text = ""
        while true {
            let data = handle.availableData
            guard !data.isEmpty else {
                let tail = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
                throw SystemFailure(description: "the server did not start: \(text) \(tail.suffix(2_000))")
            }
            text += String(decoding: data, as: UTF8.self)
            if let match = text.firstMatch(of: /http:\/\/127\.0\.0\.1:\d+/) { return String(match.0) }
        }
    }

    var isRunning: Bool { process.isRunning }
    var processIdentifier: Int32 { process.processIdentifier }

    /// kill -9.
    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// SIGTERM, and waits for the end. - Returns: the exit status.
    @discardableResult
    func stop() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    deinit { if process.isRunning { kill() } }

    // MARK: HTTP

    struct Answer {
        var status: Int
        var body: JSON
        var text: String
        var response: HTTPResponse

        subscript(key: String) -> JSON? { body[key] }
    }

    func call(_ method: String, _ path: String, _ body: JSON? = nil, headers: [(String, String)] = []) throws -> Answer {
        var request = HTTPRequest(method: method, url: baseURL + path)
        request.headers = headers + (body == nil ? [] : [("Content-Type", "application/json")])
        request.body = body?.bytes()
        request.deadline = 100
        let response = try NanobotProcess.client.send(request, cancellation: nil, onBody: nil)
        let text = String(decoding: response.body, as: UTF8.self)
        return Answer(status: response.status, body: (try? JSON.parse(text)) ?? .null, text: text, response: response)
    }

    private static let client = HTTPClient(policy: .anywhere)

    func get(_ path: String, headers: [(String, String)] = []) throws -> Answer {
        try call("GET", path, headers: headers)
    }

    func post(_ path: String, _ body: JSON, headers: [(String, String)] = []) throws -> Answer {
        try call("POST", path, body, headers: headers)
    }

    /// Waits, by long polls, until the job is final. - Returns: the job.
    func waitForJob(_ id: String, rounds: Int = 8) throws -> Answer {
        var last: Answer?
        for _ in 0..<rounds {
            let answer = try get("/jobs/\(id)?wait=15")
            if let status = answer["status"]?.string, ["completed", "failed", "cancelled"].contains(status) { return answer }
            last = answer
        }
        throw SystemFailure(description: "the job did not end: \(last?.text ?? "")")
    }

    /// The final status lines in a job's status file.
    func finalLines(_ id: String) throws -> [JSON] {
        let files = LinuxFileSystem()
        for day in try files.list(home + "/spool/status") {
            for shard in try files.list(home + "/spool/status/\(day.name)") {
                let path = home + "/spool/status/\(day.name)/\(shard.name)/\(id).jsonl"
                guard try files.exists(path) else { continue }
                let text = String(decoding: try files.readFile(path), as: UTF8.self)
                return text.split(separator: "\n").compactMap { try? JSON.parse(String($0)) }.filter {
                    $0["t"] == "status" && ["completed", "failed", "cancelled"].contains($0["state"]?.string ?? "")
                }
            }
        }
        return []
    }
}
