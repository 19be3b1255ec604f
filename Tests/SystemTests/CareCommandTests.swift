// The commands an operator asks what is wrong: they make nothing, name what they find, and end with a status.

import DurableFiles
import Foundation
import TestSupport
import Testing
import TextFormats

@Suite struct CareCommandTests {
    @Test("a home that is none is said to be none, and not made", arguments: ["doctor", "check", "queue", "jobs", "list-users"])
    func noHome(command: String) throws {
        let folder = try TemporaryDirectory()
        let home = folder.path + "/mistyped"
        let result = try NanobotBinary.run([command], home: home)
        #expect(result.status != 0)
        #expect(result.errors.contains(home))
        #expect(try !LinuxFileSystem().exists(home))
    }

    @Test("doctor finds a healthy home healthy, and says what is wrong with another")
    func doctor() throws {
        let folder = try TemporaryDirectory()
        let home = folder.path + "/home"
        try LinuxFileSystem().makeDirectory(home, mode: 0o700)
        let config = "\(home)/config.json"
        // A port nobody listens on, so that no other service is taken for this one.
        try LinuxFileSystem().createFile(config, Array(#"{"server":{"port":1}}"#.utf8))
        #expect(try NanobotBinary.run(["create-user", "alice"], home: home).status == 0)
        let well = try NanobotBinary.run(["doctor", "--json"], home: home)
        #expect(well.status == 0, "\(well.errors)")
        let found = try #require(try JSON.parse(well.output).array)
        let verdicts = Dictionary(
            uniqueKeysWithValues: found.compactMap { one in one["name"]?.string.map { ($0, one["verdict"]?.string) } })
        #expect(verdicts["spool"] == "ok" && verdicts["model"] == "ok" && verdicts["service"] == "warning")

        let broken = #"{"model":"house/m","providers":{"house":{"type":"openai","base_url":"http://127.0.0.1:1/v1"}},"server":{"port":1}}"#
        try LinuxFileSystem().replaceFile(config, Array(broken.utf8))
        let ill = try NanobotBinary.run(["doctor"], home: home)
        #expect(ill.status == 1)
        #expect(ill.output.split(separator: "\n").contains { $0.hasPrefix("failure") && $0.contains("account house") })
        try LinuxFileSystem().replaceFile(config, Array(#"{"modle":"x"}"#.utf8))
        #expect(try NanobotBinary.run(["doctor"], home: home).status == 2)
    }

    @Test("check goes on past what does not belong there")
    func foreignFiles() throws {
        let folder = try TemporaryDirectory()
        let home = folder.path + "/home"
        #expect(try NanobotBinary.run(["create-user", "alice"], home: home).status == 0)
        #expect(try NanobotBinary.run(["submit", "chat", "--user", "alice", "hello"], home: home).status == 0)
        let places = ["status/garbage", "order/zz", "done/garbage"]
        for place in places { try LinuxFileSystem().createFile("\(home)/spool/\(place)", [1]) }
        let result = try NanobotBinary.run(["check"], home: home)
        #expect(result.status == 1)
        for place in places { #expect(result.output.contains(place)) }
        #expect(result.output.contains("1 job files"))
    }
}
