// A command in a box made of namespaces (bubblewrap): it sees the system's programs read-only, one folder of its own, and
// nothing else: no network, no other processes, no other files, no environment. Pure but for `check`, which runs it once.
// What the box does not bound: what stands in the folder, which its caller watches, and memory of all its processes together.
import Foundation
import Glibc

public struct Bubblewrap: Sendable {
    public struct Bounds: Sendable, Hashable {
        /// MiB of address space of each process.
        public var memoryMB = 512
        /// Processes at once.
        public var processes = 64
        /// MiB of one file.
        public var fileMB = 32
        /// MiB of /tmp, which is memory and gone afterwards.
        public var temporaryMB = 64
        /// Seconds of processor time of each process.
        public var processorSeconds = 60

        public init() {}
    }

    public var program: String
    public var bounds: Bounds
    /// Start bubblewrap as this user and group, who must be able to reach the folder: for a caller that is root.
    var user: UInt32?

    public init(program: String = "/usr/bin/bwrap", bounds: Bounds = Bounds()) {
        self.program = program
        self.bounds = bounds
    }

    /// - Parameters:
    ///   - command: for /bin/sh.
    ///   - readable: folder shown as /workspace, read-only.
    ///   - entries: names of what is shown of it: no links, and no files that serve as locks, which a reader could take.
    ///   - writable: name of the folder in it that may be written; the command starts there.
    public func child(
        command: String, readable: String, entries: [String], writable: String, seconds: Double, outputBytes: Int
    ) -> ChildProcess {
        var arguments = [
            "--die-with-parent", "--new-session", "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc",
            "--unshare-uts", "--unshare-cgroup-try", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL",
            "--hostname", "nanobot", "--ro-bind", "/usr", "/usr",
        ]
        for name in ["bin", "lib", "lib64", "sbin"] { arguments += Self.systemFolder(name) }
        for path in ["/etc/alternatives", "/etc/ld.so.cache"] { arguments += ["--ro-bind-try", path, path] }
        arguments += [
            "--proc", "/proc", "--dev", "/dev", "--size", "\(bounds.temporaryMB << 20)", "--tmpfs", "/tmp",
            "--size", "\(bounds.temporaryMB << 20)", "--tmpfs", "/dev/shm", "--size", "1048576", "--tmpfs", "/workspace",
        ]
        for entry in entries where entry != writable {
            arguments += ["--ro-bind-try", "\(readable)/\(entry)", "/workspace/\(entry)"]
        }
        arguments += [
            "--bind", "\(readable)/\(writable)", "/workspace/\(writable)", "--remount-ro", "/workspace",
            // These are in memory, too, and of any size.
            "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/workspace/\(writable)", "--clearenv",
        ]
        let environment = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/workspace/\(writable)"), ("LANG", "C.UTF-8"),
            ("TMPDIR", "/tmp"),
        ]
        for (name, value) in environment { arguments += ["--setenv", name, value] }
        arguments += ["--", "/bin/sh", "-c", limits + "exec /bin/sh -c \"$1\"", "sh", command]
        // bubblewrap's own environment can be read in the box, as that of process 1: it gets none.
        guard let user else {
            return ChildProcess(program: program, arguments: arguments, seconds: seconds, outputBytes: outputBytes)
        }
        let change = ["--reuid=\(user)", "--regid=\(user)", "--clear-groups", "--", program]
        return ChildProcess(
            program: "/usr/bin/setpriv", arguments: change + arguments, seconds: seconds, outputBytes: outputBytes)
    }

    /// Set by the box's own shell before the command has its say; they cannot be raised again.
    private var limits: String {
        "ulimit -c 0; ulimit -t \(bounds.processorSeconds); ulimit -v \(bounds.memoryMB << 10); "
            + "ulimit -f \(bounds.fileMB << 11); ulimit -n 256; ulimit -p \(bounds.processes); "
    }

    /// /bin is a link into /usr on merged systems and a folder of its own on others.
    private static func systemFolder(_ name: String) -> [String] {
        var target = [CChar](repeating: 0, count: 4_096)
        let count = readlink("/\(name)", &target, target.count - 1)
        guard count > 0 else { return ["--ro-bind-try", "/\(name)", "/\(name)"] }
        let path = String(decoding: target.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return ["--symlink", path, "/\(name)"]
    }

    /// Runs a command that does nothing.
    /// - Returns: why no box can be made here; nil: it can.
    public func check() -> String? {
        // RLIMIT_NPROC does not hold for the system's root, in whatever namespace: a fork bomb would take the machine.
        guard geteuid() != 0 || user != nil else {
            return "nanobot runs as root, whose processes the kernel does not bound; run it as a user of its own"
        }
        let child = child(command: "true", readable: "/", entries: [], writable: "usr", seconds: 10, outputBytes: 4_096)
        do throws(SubprocessError) {
            let result = try child.run()
            if result.end == .exited(0) { return nil }
            let words = String(decoding: result.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            return "bubblewrap ended with \(result.end): \(words.prefix(300))"
        } catch {
            return error.description
        }
    }
}
