// How the binary is started: under a preloaded library, and with secrets that others may read.

import DurableFiles
import Foundation
import TestSupport
import Testing
import TextFormats

@Suite struct LaunchTests {
    private static let compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    @Test(
        "a preloaded library that sets a variable before main hides no argument, and unknown words are no success",
        .enabled(if: compiler != nil))
    func preloaded() throws {
        let folder = try TemporaryDirectory()
        let source = "#include <stdlib.h>\n__attribute__((constructor)) static void f(void) { setenv(\"H\", \"1\", 1); }\n"
        try source.write(toFile: folder.path + "/p.c", atomically: true, encoding: .utf8)
        let compilation = Process()
        compilation.executableURL = URL(fileURLWithPath: try #require(Self.compiler))
        compilation.arguments = ["-shared", "-fPIC", "-o", folder.path + "/p.so", folder.path + "/p.c"]
        try compilation.run()
        compilation.waitUntilExit()
        let preload = ["LD_PRELOAD": folder.path + "/p.so"]
        let home = folder.path + "/home"
        let server = try NanobotProcess(home: try made(home), environment: preload)
        #expect(try server.get("/health").status == 200)
        #expect(server.stop() == 0)
        let wrong = try NanobotBinary.run(["srve"], home: home, environment: preload)
        #expect(wrong.status == 2 && wrong.errors.contains("serve"))
        let json = try NanobotBinary.run(["show-user", "nobody", "--json"], home: home, environment: preload)
        #expect(json.status == 1 && json.errors.contains("user_not_found"))
    }

    private func made(_ home: String) throws -> String {
        try LinuxFileSystem().makeDirectory(home, mode: 0o700)
        return home
    }

    @Test("a start and doctor name every file with a secret that others may read or change, and no other")
    func rights() throws {
        let folder = try TemporaryDirectory()
        let home = try made(folder.path + "/home")
        let files = LinuxFileSystem()
        try files.createFile("\(home)/admin-token", Array("a-long-admin-token-0123".utf8), mode: 0o600)
        try files.createFile("\(home)/house.key", Array("key-of-house".utf8), mode: 0o600)
        try files.createFile("\(home)/link-target", Array("key-of-link".utf8), mode: 0o600)
        try FileManager.default.createSymbolicLink(atPath: "\(home)/link.key", withDestinationPath: "\(home)/link-target")
        let config = #"""
            {"server":{"port":1},"providers":{"house":{"type":"openai","base_url":"http://127.0.0.1:1/v1","api_key_file":"house.key"},
            "link":{"type":"openai","base_url":"http://127.0.0.1:1/v1","api_key_file":"link.key"}},
            "tools":{"mcp_servers":{"crm":{"url":"http://127.0.0.1:1/","headers":{"Authorization":"Bearer x"}}}}}
            """#
        try files.createFile("\(home)/config.json", Array(config.utf8), mode: 0o600)
        #expect(try NanobotBinary.run(["token", "create", "--admin"], home: home).status == 0)
        let words = { () throws -> String in
            let found = try JSON.parse(try NanobotBinary.run(["doctor", "--json"], home: home).output).array ?? []
            return try #require(found.first { $0["name"] == "secrets" }).text()
        }
        #expect(try words().contains("\"ok\""))
        let exposed: [(String, UInt32)] = [
            ("admin-token", 0o644), ("house.key", 0o660), ("link-target", 0o604), ("config.json", 0o644), ("tokens", 0o755),
        ]
        for (name, mode) in exposed {
            let path = "\(home)/\(name)"
            let before = try files.status(path).mode
            try files.setMode(path, mode)
            let said = try words()
            let shown = name == "link-target" ? "link.key" : name
            #expect(said.contains("warning") && said.contains("/\(shown) (") && said.contains(String(format: "%04o", mode)))
            let server = try NanobotProcess(home: home)
            _ = server.stop()
            let log = try String(contentsOfFile: home + "/server.log", encoding: .utf8)
            #expect(log.contains("/\(shown)") && !log.contains("a-long-admin") && !log.contains("key-of"))
            try files.setMode(path, before)
        }
        try files.setMode("\(home)/house.key", 0o640)
        #expect(try words().contains("\"ok\""), "a group may read a key")
        let quiet = try NanobotProcess(home: home)
        _ = quiet.stop()
        #expect(try !String(contentsOfFile: home + "/server.log", encoding: .utf8).contains("a secret"))
    }
}
