// What a command in the box tries, and must not reach. Skipped where no box can be made (no bubblewrap, no namespaces).

import Foundation
import TestSupport
import Testing

@testable import Subprocesses

private let nobody: UInt32 = 65_534

/// Root's tests make their boxes as nobody.
private func sandbox(_ bounds: Bubblewrap.Bounds = .init()) -> Bubblewrap {
    var box = Bubblewrap(bounds: bounds)
    if geteuid() == 0 { box.user = nobody }
    return box
}

@Suite(.enabled(if: sandbox().check() == nil, "bubblewrap cannot make a box here"))
struct BubblewrapTests {
    @Test("root gets no box: the kernel does not bound its processes")
    func root() {
        guard geteuid() == 0 else { return }
        #expect(Bubblewrap().check()?.contains("root") == true)
    }

    private struct Box {
        let folder: TemporaryDirectory
        var workspace: String { folder.path + "/alice" }

        init() throws {
            folder = try TemporaryDirectory()
            for path in ["/alice", "/alice/data", "/bob"] {
                try #require(mkdir(folder.path + path, 0o755) == 0)
            }
            if geteuid() == 0 {
                for path in ["", "/alice", "/alice/data", "/bob"] {
                    try #require(chown(folder.path + path, nobody, nobody) == 0)
                }
            }
            try "mine".write(toFile: folder.path + "/alice/config.json", atomically: false, encoding: .utf8)
            try "theirs".write(toFile: folder.path + "/bob/secret", atomically: false, encoding: .utf8)
        }

        func run(_ command: String, seconds: Double = 20, bounds: Bubblewrap.Bounds = .init()) throws -> (String, ChildProcess.End) {
            let result = try sandbox(bounds).child(
                command: command, readable: workspace, entries: ["config.json", "data", "gone"], writable: "data", seconds: seconds, outputBytes: 20_000
            ).run()
            return (String(decoding: result.output, as: UTF8.self), result.end)
        }

        func text(_ path: String) -> String? { try? String(contentsOfFile: folder.path + path, encoding: .utf8) }
    }

    @Test("it reads the workspace and writes data/")
    func works() throws {
        let box = try Box()
        #expect(try box.run("cat /workspace/config.json; echo new > file; cat file; pwd").0 == "minenew\n/workspace/data\n")
        #expect(box.text("/alice/data/file") == "new\n")
        #expect(try box.run("exit 7").1 == .exited(7))
    }

    @Test(
        "it reaches nothing else",
        arguments: [
            "echo x > /workspace/config.json", "echo x > /workspace/account.json", "rm /workspace/config.json",
            "mv /workspace/data /workspace/d", "ln /workspace/config.json hard", "echo x > /usr/x", "cat /etc/passwd",
            "cat /etc/shadow", "ls /root", "ls /home", "cat /workspace/../../bob/secret", "cat /proc/1/root/etc/passwd",
            "ls /tmp/TemporaryDirectory*", "mount -t tmpfs x /mnt", "unshare -n true", "chroot /usr /bin/true",
            "echo b > /proc/sysrq-trigger", "mknod d b 8 0", "dmesg", "cat /dev/sda /dev/vda /dev/mem",
            "bash -c 'echo > /dev/tcp/127.0.0.1/22'", "ls /sys/class", "ls /var", "ls /run",
            "ulimit -p 100000", "ulimit -v unlimited", "cat /proc/kcore",
        ])
    func sealed(_ command: String) throws {
        let box = try Box()
        let (output, end) = try box.run(command)
        #expect(end != .exited(0), "\(command): \(output)")
        #expect(!output.contains("theirs"))
        #expect(box.text("/alice/config.json") == "mine")
        #expect(box.text("/alice/account.json") == nil)
        #expect(box.text("/bob/secret") == "theirs")
    }

    @Test("it cannot take the locks of the service's files, and sees no links")
    func locks() throws {
        let box = try Box()
        try "".write(toFile: box.workspace + "/.config.lock", atomically: false, encoding: .utf8)
        try #require(symlink("/etc/passwd", box.workspace + "/link") == 0)
        #expect(try box.run("ls -A /workspace").0 == "config.json\ndata\n")
        #expect(try box.run("flock /workspace/.config.lock true && echo taken").0.contains("taken") == false)
        #expect(try box.run("echo x > /workspace/new && echo made").0.contains("made") == false)
    }

    @Test("neither its environment nor that of its first process holds anything of ours")
    func environment() throws {
        setenv("NANOBOT_SECRET_FOR_A_TEST", "do not tell", 1)
        defer { unsetenv("NANOBOT_SECRET_FOR_A_TEST") }
        let (output, _) = try Box().run("env; cat /proc/*/environ; cat /proc/self/status | grep CapEff; id -u")
        #expect(!output.contains("do not tell"))
        #expect(output.contains("CapEff:\t0000000000000000"))
        #expect(output.contains("65534"))
    }

    @Test("it sees no network but its own empty one, and no process but its own")
    func namespaces() throws {
        let (output, _) = try Box().run("tail -n +3 /proc/net/dev | grep -v '^ *lo:' | wc -l; ls /proc | grep -c '^[0-9]'")
        let lines = output.split(separator: "\n")
        #expect(lines.first == "0")
        #expect(try #require(lines.last.flatMap { Int($0) }) < 10)
    }

    @Test("a fork bomb, a memory bomb, an endless loop, a flood and a huge file end within their bounds")
    func bombs() throws {
        let box = try Box()
        var small = Bubblewrap.Bounds()
        small.processes = 20
        small.memoryMB = 64
        small.fileMB = 1
        let (counted, _) = try box.run(
            "i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); echo $i; done 2>/dev/null", seconds: 10, bounds: small)
        #expect(try #require(counted.split(separator: "\n").compactMap { Int($0) }.max()) < small.processes)
        _ = try box.run("b() { b | b & }; b; while :; do :; done", seconds: 1, bounds: small)
        #expect(try box.run("echo fine").0 == "fine\n")
        let memory = try box.run("x=x; while :; do x=$x$x; done", bounds: small).1
        #expect(memory != .exited(0) && memory != .timedOut, "\(memory)")
        #expect(try box.run("while :; do :; done", seconds: 0.5).1 == .timedOut)
        let (flood, _) = try box.run("yes | head -c 50000000")
        #expect(flood.utf8.count == 20_000)
        #expect(try box.run("head -c 5000000 /dev/zero > huge", bounds: small).1 != .exited(0))
        #expect(try #require(FileHandle(forReadingAtPath: box.workspace + "/data/huge")).seekToEnd() <= 1 << 20)
    }

    @Test("what it starts in the background, by whatever way, is gone when it has ended")
    func background() throws {
        let box = try Box()
        let (_, end) = try box.run(
            "(setsid sh -c 'while :; do date +%N > alive; done' >/dev/null 2>&1 &); (nohup sh -c 'while :; do date +%N > alive2; done' >/dev/null 2>&1 &) ; until [ -e alive ]; do :; done; exit 0")
        #expect(end == .exited(0))
        // The kernel kills what is left of the box; that takes a moment.
        _ = try box.run("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done")
        let before = box.text("/alice/data/alive")
        // Long enough for a living loop to write a thousand times.
        _ = try box.run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
        #expect(box.text("/alice/data/alive") == before)
    }
}
