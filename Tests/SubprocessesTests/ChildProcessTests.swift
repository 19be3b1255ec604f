// Children with bounds, without a box.

import Foundation
import Testing

@testable import Subprocesses

@Suite struct ChildProcessTests {
    private func shell(_ command: String, seconds: Double = 20, bytes: Int = 1_000) -> ChildProcess {
        ChildProcess(
            program: "/bin/sh", arguments: ["-c", command], environment: ["ONLY": "this"], seconds: seconds,
            outputBytes: bytes)
    }

    @Test("both outputs come back in order, with the exit code; the environment is what was given")
    func plain() throws {
        let result = try shell("echo one; echo two >&2; echo $ONLY $HOME; exit 3").run()
        #expect(result.end == .exited(3))
        #expect(String(decoding: result.output, as: UTF8.self) == "one\ntwo\nthis\n")
        #expect(try shell("kill -9 $$").run().end == .signalled(9))
    }

    @Test("of a long output the beginning and the end are kept, whatever its length")
    func long() throws {
        let result = try shell("yes 123456789 | head -c 5000000; printf END", bytes: 100).run()
        #expect(result.end == .exited(0))
        #expect(result.output.count == 100)
        #expect(result.dropped == 5_000_003 - 100)
        #expect(String(decoding: result.output, as: UTF8.self).hasPrefix("123456789\n"))
        #expect(String(decoding: result.output, as: UTF8.self).hasSuffix("END"))
    }

    @Test("a child that does not end is ended: by its time, or because its turn was cancelled, with its own children")
    func ended() throws {
        #expect(try shell("cat /dev/zero > /dev/null", seconds: 0.2).run().end == .timedOut)
        var looks = 0
        let stopped = try shell("cat /dev/zero > /dev/null & wait").run {
            looks += 1
            return looks > 2
        }
        #expect(stopped.end == .stopped)
        // It holds the output open after its parent's end: nobody waits for it.
        #expect(try shell("cat /dev/zero > /dev/null & echo done", seconds: 20).run().end == .exited(0))
    }

    @Test("none of our descriptors reaches the child")
    func descriptors() throws {
        let leak = open("/etc/hostname", O_RDONLY)
        defer { close(leak) }
        let result = try shell("ls /proc/self/fd").run()
        // The fourth is the folder that ls reads.
        #expect(String(decoding: result.output, as: UTF8.self) == "0\n1\n2\n3\n")
    }

    @Test("a program that is not there is an error; many children at once are all reaped")
    func errors() throws {
        let missing = ChildProcess(program: "/no/such", arguments: [], seconds: 1, outputBytes: 10)
        #expect(throws: SubprocessError.self) { try missing.run() }
        let group = DispatchGroup()
        for _ in 0..<32 {
            DispatchQueue.global().async(group: group) {
                #expect((try? self.shell("echo hi").run().end) == .exited(0))
            }
        }
        group.wait()
    }
}
