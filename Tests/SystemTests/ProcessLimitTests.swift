// The built binary under limits of the system: few open files and many idle connections, little address space.
import Foundation
import Glibc
import TestSupport
import Testing
import TextFormats

@Suite(.serialized) struct ProcessLimitTests {
    /// A shell that sets limits and then becomes nanobot.
    private func limited(_ limits: String, _ arguments: String, home: String) throws -> NanobotBinary.Result {
        try NanobotBinary.run(
            ["-c", "\(limits); exec \(NanobotBinary.path) \(arguments)"], home: home, program: "/bin/sh")
    }

    @Test("400 idle connections with 256 open files: health answers, chats and jobs go on")
    func idleConnections() throws {
        let folder = try TemporaryDirectory()
        let server = try NanobotProcess(
            home: folder.path, program: "/bin/sh",
            arguments: ["-c", "ulimit -n 256; exec \(NanobotBinary.path) serve --port 0"])
        defer { server.kill() }
        let port = try #require(server.baseURL.split(separator: ":").last.flatMap { UInt16($0) })
        #expect(try server.call("POST", "/users", ["user_id": "alice"]).status == 201)
        var sockets: [Int32] = []
        defer { for socket in sockets { close(socket) } }
        for _ in 0..<400 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            sockets.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            let code = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            #expect(code == 0)
        }
        for index in 0..<20 {
            #expect(try server.call("GET", "/health").status == 200)
            let reply = try server.call(
                "POST", "/chat", ["user_id": "alice", "session_id": .string("s\(index)"), "message": "What is on my watchlist?"])
            #expect(reply.status == 200, "\(reply.text)")
        }
        #expect(try server.call("GET", "/ready").status == 200)
        #expect(server.stop() == 0)
    }

    @Test("too few open files for the workers and the HTTP side are one line at the start")
    func tooFewFiles() throws {
        let folder = try TemporaryDirectory()
        let result = try limited("ulimit -n 160", "serve --port 0", home: folder.path)
        #expect(result.status == 69)
        #expect(result.errors.split(separator: "\n").filter { $0.hasPrefix("nanobot:") }.count == 1)
        #expect(result.errors.contains("ulimit -n"))
    }

    @Test("too little address space is one line and status 69, never a signal", arguments: [240, 320, 480, 640])
    func addressSpace(_ megabytes: Int) throws {
        let folder = try TemporaryDirectory()
        for command in ["serve --port 0", "worker"] {
            // Enough stack for each thread that no limit here is enough.
            let limits = "ulimit -s 16384; ulimit -v \(megabytes * 1_024)"
            let result = try limited(limits, command + " --workers 64", home: folder.path)
            #expect(result.status == 69, "\(command): \(result.errors.suffix(500))")
            #expect(result.errors.contains("address space"))
            #expect(result.output.isEmpty)
        }
    }
}
