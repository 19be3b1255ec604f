// What a command in the box tries, and must not reach. Skipped where no box can be made (no bubblewrap, no namespaces).

import Foundation
import TestSupport
import Testing

@testable import Subprocesses

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

    /// What a command left.
    private final class Left {
        var output = ""
        var end = ChildProcess.End.stopped
        fileprivate var folder: Int32 = -1

        deinit { close(folder) }

        /// A file of data/.
        func text(_ name: String) -> String? {
            asNobody { try? String(contentsOfFile: "/proc/self/fd/\(folder)/\(name)", encoding: .utf8) }
        }

        /// Bytes in use on the file system of data/.
        var bytes: Int {
            var facts = statvfs()
            return fstatvfs(folder, &facts) == 0 ? Int(facts.f_blocks - facts.f_bfree) * Int(facts.f_frsize) : -1
        }
    }

    /// With config.json, which says "mine", in the workspace.
    private func run(
        _ command: String, seconds: Double = 20, bounds: Bubblewrap.Bounds = .init(), data: Int = 100 << 20
    ) throws -> Left {
        let box = try sandbox(bounds).prepare(command: command, dataBytes: data, outputBytes: 20_000)
        let left = Left()
        try asNobody {
            try "mine".write(toFile: box.folder + "/rest/config.json", atomically: false, encoding: .utf8)
            left.folder = open(box.folder + "/data", O_RDONLY | O_DIRECTORY)
            try #require(left.folder >= 0)
        }
        let result = try box.run(seconds: seconds)
        left.output = String(decoding: result.output, as: UTF8.self)
        left.end = result.end
        return left
    }

    @Test("it reads the workspace and writes data/, which can be read when all its processes are gone")
    func works() throws {
        let left = try run("cat /workspace/config.json; echo new > file; cat file; pwd")
        #expect(left.output == "minenew\n/workspace/data\n")
        #expect(left.text("file") == "new\n")
        #expect(try run("exit 7").end == .exited(7))
        #expect(try run("echo x | cat > /dev/null && echo y > /dev/shm/y && cat < /dev/shm/y").output == "y\n")
    }

    @Test("a box that is never run ends, and a program that makes none says why")
    func unused() throws {
        let folder = try sandbox().prepare(command: "touch /workspace/data/ran", dataBytes: 1 << 20, outputBytes: 100).folder
        #expect(access(folder, F_OK) != 0)
        let error = #expect(throws: SubprocessError.self) {
            try Bubblewrap(program: "/bin/false").prepare(command: "true", dataBytes: 1, outputBytes: 100)
        }
        #expect(error?.description.contains("makes no box") == true)
    }

    @Test(
        "it reaches nothing else",
        arguments: [
            "echo x > /workspace/config.json", "echo x > /workspace/account.json", "rm /workspace/config.json",
            "mv /workspace/data /workspace/d", "ln /workspace/config.json hard", "chmod 777 /workspace", "echo x > /usr/x", "cat /etc/passwd",
            "cat /etc/shadow", "ls /root", "ls /home", "cat /workspace/../etc/passwd", "cat /proc/1/root/etc/passwd",
            "ls /tmp/TemporaryDirectory*", "mount -t tmpfs x /mnt", "unshare -n true", "chroot /usr /bin/true",
            "echo b > /proc/sysrq-trigger", "mknod d b 8 0", "dmesg", "cat /dev/sda /dev/vda /dev/mem",
            "bash -c 'echo > /dev/tcp/127.0.0.1/22'", "ls /sys/class", "ls /var", "ls /run",
            "ulimit -p 100000", "ulimit -v unlimited", "cat /proc/kcore",
        ])
    func sealed(_ command: String) throws {
        let left = try run(command + " 2>&1")
        #expect(left.end != .exited(0), "\(command): \(left.output)")
        #expect(try run("cat /workspace/config.json; ls -A /workspace").output == "mineconfig.json\ndata\n")
    }

    @Test(
        "it makes no namespace, and so gets no capability, no mount and no memory without a bound",
        arguments: [
            "unshare -Ur true", "unshare -Urm mount -t tmpfs x /tmp", "unshare -m true", "unshare -p true", "unshare -C true",
            "bwrap --bind / / true", "bwrap --unshare-user --bind / / true",
        ])
    func namespacesWithin(_ command: String) throws {
        #expect(try run(command).end != .exited(0))
    }

    /// Calls the kernel by number, as no library would.
    @Test("system calls that are no business of a command fail, the others work")
    func systemCalls() throws {
        #if arch(x86_64)
            let numbers = [
                "io_uring_setup": 425, "bpf": 321, "perf_event_open": 298, "keyctl": 250, "add_key": 248, "clone3": 435,
                "userfaultfd": 323, "mount": 165, "ptrace": 101, "setns": 308, "x32 getpid": 0x4000_0027,
            ]
            let clone = 56
        #else
            let numbers = [
                "io_uring_setup": 425, "bpf": 280, "perf_event_open": 241, "keyctl": 219, "add_key": 217, "clone3": 435,
                "userfaultfd": 282, "mount": 40, "ptrace": 117, "setns": 268,
            ]
            let clone = 220
        #endif
        let calls = numbers.map { "('\($0.key)', \($0.value), 0)" }.joined(separator: ", ")
        let left = try run(
            """
            command -v python3 > /dev/null || { echo skipped; exit 0; }
            python3 -c "
            import ctypes, socket, subprocess, threading
            c = ctypes.CDLL(None, use_errno=True)
            for name, number, flags in [\(calls), ('clone', \(clone), 0x10000000), ('clone', \(clone), 0x20000)]:
                ctypes.set_errno(0)
                if c.syscall(number, flags, 0, 0, 0, 0) != -1 or ctypes.get_errno() not in (1, 38): print('open:', name)
            for family in (17, 38, 40):
                try: socket.socket(family, 5 if family == 38 else 3 if family == 17 else 1); print('open: family', family)
                except OSError as e: assert e.errno == 97, e
            import fcntl, os
            held = os.open('lease', os.O_RDONLY | os.O_CREAT)
            for call in (1024, 1026):
                try: fcntl.fcntl(held, call, 0); print('open: fcntl', call)
                except PermissionError: pass
            fcntl.fcntl(held, fcntl.F_GETFL)
            socket.socket(1); socket.socket(2)
            t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()
            print(subprocess.check_output(['echo', 'child']).decode())
            "
            """)
        #expect(left.output == "thread\nchild\n\n" || left.output == "skipped\n", "\(left.output)")
        #expect(left.end == .exited(0))
    }

    @Test("what it writes stays within its size, in whatever way, files without a name too")
    func size() throws {
        let bound = 20 << 20
        let left = try run(
            """
            i=0; while [ $i -lt 20 ]; do i=$((i+1)); ( exec 3> u$i; rm u$i; head -c 3000000 /dev/zero >&3; sleep 2 ) & done
            wait; fallocate -l 15M big; head -c 15000000 /dev/zero > more; echo end
            """, bounds: .init(), data: bound)
        #expect(left.output.contains("end"))
        #expect(left.output.contains("No space left on device"))
        #expect(left.bytes <= bound)
    }

    @Test("no file of the kernel tells it a path of the host, which a mount would")
    func hostPaths() throws {
        let left = try run(
            """
            cat /proc/self/mountinfo /proc/1/mountinfo /proc/mounts /proc/1/environ /proc/1/cmdline /proc/self/cgroup
            cat /proc/cmdline /proc/swaps /proc/keys /proc/sys/kernel/core_pattern; ls -l /proc/1/fd /proc/1/cwd /proc/self/fd 2>&1
            """)
        #expect(left.output.contains("/workspace/data"))
        #expect(left.output.contains("/proc/cmdline: Permission denied"))
        #expect(left.output.contains("core_pattern: Permission denied"))
        // The part of a file system that is mounted: of the system's own folders only what the box shows under the same name.
        for line in left.output.split(separator: "\n") where line.contains(" - ") {
            let words = line.split(separator: " ")
            guard words.count > 4 else { continue }
            let (root, place) = (words[3], words[4])
            let isOwn = root == "/" || root == "/newroot" || root == "/tmp" || root == "/shm" || root.hasPrefix("/nanobot-")
            #expect(isOwn || place.hasSuffix(root) || root == "/null", "\(line)")
        }
    }

    @Test("neither its environment nor that of its first process holds anything of ours")
    func environment() throws {
        setenv("NANOBOT_SECRET_FOR_A_TEST", "do not tell", 1)
        defer { unsetenv("NANOBOT_SECRET_FOR_A_TEST") }
        let output = try run("env; cat /proc/*/environ; cat /proc/self/status | grep CapEff; id -u").output
        #expect(!output.contains("do not tell"))
        #expect(output.contains("CapEff:\t0000000000000000"))
        #expect(output.contains("65534"))
    }

    @Test("it sees no network but its own empty one, and no process but its own")
    func namespaces() throws {
        let output = try run("tail -n +3 /proc/net/dev | grep -v '^ *lo:' | wc -l; ls /proc | grep -c '^[0-9]'").output
        let lines = output.split(separator: "\n")
        #expect(lines.first == "0")
        #expect(try #require(lines.last.flatMap { Int($0) }) < 10)
    }

    @Test("a fork bomb, a memory bomb, an endless loop, a flood and a huge file end within their bounds")
    func bombs() throws {
        var small = Bubblewrap.Bounds()
        small.processes = 20
        small.memoryMB = 64
        small.fileMB = 1
        let counted = try run(
            "i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); echo $i; done 2>/dev/null", seconds: 10, bounds: small).output
        #expect(try #require(counted.split(separator: "\n").compactMap { Int($0) }.max()) < small.processes)
        _ = try run("b() { b | b & }; b; while :; do :; done", seconds: 1, bounds: small)
        #expect(try run("echo fine").output == "fine\n")
        let memory = try run("x=x; while :; do x=$x$x; done", bounds: small).end
        #expect(memory != .exited(0) && memory != .timedOut, "\(memory)")
        #expect(try run("while :; do :; done", seconds: 0.5).end == .timedOut)
        #expect(try run("yes | head -c 50000000").output.utf8.count == 20_000)
        let huge = try run("head -c 5000000 /dev/zero > huge", bounds: small)
        #expect(huge.end != .exited(0))
        #expect(try #require(huge.text("huge")).utf8.count <= 1 << 20)
    }

    @Test("what it starts in the background, by whatever way, is gone when it has ended")
    func background() throws {
        let left = try run(
            "(setsid sh -c 'while :; do date +%N > alive; done' >/dev/null 2>&1 &); (nohup sh -c 'while :; do date +%N > alive2; done' >/dev/null 2>&1 &) ; until [ -s alive ]; do :; done; exit 0")
        #expect(left.end == .exited(0))
        let before = left.text("alive")
        // Long enough for a living loop to write a thousand times.
        _ = try run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
        #expect(left.text("alive") == before)
    }
}
