// A command in a box made of namespaces (bubblewrap): it sees the system's programs read-only, a copy of one user's folder that is in
// memory, and nothing else: no network, no other processes, no other files, no environment, no system calls it does not need. Pure
// but for `prepare` and `check`. Memory of all its processes together is not bounded; that of its files is, by the kernel.
//
// There are two boxes, one in the other. The outer one is the system as it is, with file systems in memory that have a size: the
// kernel itself keeps what is written within it, in whatever way, open files without a name too. The inner one is what the command
// sees: of the user's folder it holds only what the caller copied into those, so its mounts have no path of the host.
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
        /// MiB of /tmp and /dev/shm together, which are memory and gone afterwards.
        public var temporaryMB = 64
        /// Seconds of processor time of each process.
        public var processorSeconds = 60

        public init() {}
    }

    public var program: String
    public var bounds: Bounds
    /// Start bubblewrap as this user and group: for a caller that is root.
    var user: UInt32?

    /// What tells of the machine rather than of the box.
    private static let hiddenFacts = [
        "cmdline", "config.gz", "diskstats", "kallsyms", "key-users", "keys", "locks", "modules", "partitions", "sched_debug",
        "swaps", "timer_list", "sys/kernel/core_pattern", "sys/kernel/hotplug", "sys/kernel/modprobe",
    ]
    public init(program: String = "/usr/bin/bwrap", bounds: Bounds = Bounds()) {
        self.program = program
        self.bounds = bounds
    }

    /// A box that waits for its folders to be filled.
    /// - Parameters:
    ///   - command: for /bin/sh; it starts in /workspace/data.
    ///   - dataBytes: what data/ can hold, with what is copied into it.
    ///   - outputBytes: of output that are kept.
    public func prepare(command: String, dataBytes: Int, outputBytes: Int) throws(SubprocessError) -> CommandBox {
        // Where the outer box has its own files. Nobody can have made a folder of this name before.
        let place = "/tmp/nanobot-\(UUID().uuidString)"
        let shell = ["--", "/bin/sh", "-c", limits + "exec /bin/sh -c \"$1\"", "sh", command]
        return try CommandBox(program: program, place: place) {
            process(outer(place, dataBytes) + [program] + inner(place) + shell, outputBytes)
        }
    }

    /// bubblewrap's own environment can be read in the box, as that of process 1: it gets none.
    private func process(_ arguments: [String], _ outputBytes: Int) -> ChildProcess {
        guard let user else {
            return ChildProcess(program: program, arguments: arguments, seconds: 0, outputBytes: outputBytes)
        }
        let change = ["--reuid=\(user)", "--regid=\(user)", "--clear-groups", "--", program]
        return ChildProcess(program: "/usr/bin/setpriv", arguments: change + arguments, seconds: 0, outputBytes: outputBytes)
    }

    private func outer(_ place: String, _ dataBytes: Int) -> [String] {
        [
            "--die-with-parent", "--unshare-user", "--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc",
            "--tmpfs", "/tmp", "--dir", place, "--dir", "\(place)/rest", "--dir", "\(place)/rest/data",
            "--size", "\(max(dataBytes, 1 << 20))", "--tmpfs", "\(place)/data",
            "--size", "\(bounds.temporaryMB << 20)", "--tmpfs", "\(place)/scratch",
            "--dir", "\(place)/scratch/tmp", "--dir", "\(place)/scratch/shm", "--info-fd", "3", "--block-fd", "4", "--",
        ]
    }

    private func inner(_ place: String) -> [String] {
        var arguments = [
            "--die-with-parent", "--new-session", "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc",
            "--unshare-uts", "--unshare-cgroup-try", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL",
            "--hostname", "nanobot", "--seccomp", "5", "--ro-bind", "/usr", "/usr",
        ]
        for name in ["bin", "lib", "lib64", "sbin"] { arguments += Self.systemFolder(name) }
        for path in ["/etc/alternatives", "/etc/ld.so.cache"] { arguments += ["--ro-bind-try", path, path] }
        arguments += ["--proc", "/proc", "--dev", "/dev"]
        for fact in Self.hiddenFacts where access("/proc/\(fact)", F_OK) == 0 {
            arguments += ["--ro-bind", "/dev/null", "/proc/\(fact)"]
        }
        arguments += [
            "--bind", "\(place)/scratch/tmp", "/tmp", "--bind", "\(place)/scratch/shm", "/dev/shm",
            "--ro-bind", "\(place)/rest", "/workspace", "--bind", "\(place)/data", "/workspace/data",
            // These are in memory, too, and of any size.
            "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/workspace/data", "--clearenv",
        ]
        let environment = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/workspace/data"), ("LANG", "C.UTF-8"), ("TMPDIR", "/tmp"),
        ]
        for (name, value) in environment { arguments += ["--setenv", name, value] }
        return arguments
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
        do throws(SubprocessError) {
            let result = try prepare(command: "true", dataBytes: 1 << 20, outputBytes: 4_096).run(seconds: 10)
            if result.end == .exited(0) { return nil }
            let words = String(decoding: result.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            return "bubblewrap ended with \(result.end): \(words.prefix(300))"
        } catch {
            return error.description
        }
    }
}
