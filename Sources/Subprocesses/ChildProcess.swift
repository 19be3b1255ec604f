// One child process with bounds: no shell of ours, nothing inherited but what is given, a bounded output, an end. `run`
// blocks its thread until the child is gone and reaped; any thread, many at once. Failure: SubprocessError when the child
// cannot be started; however it ends after that is a result.
//
// The child leads a process group of its own, which is killed as a whole. What leaves that group is for whoever built the
// command to keep in (Bubblewrap: a process namespace that ends with its first process).
import CLinux
import Foundation
import Glibc

/// The child could not be started.
public struct SubprocessError: Error, Sendable, CustomStringConvertible {
    public var program: String
    /// The kernel's number; 0 where `detail` says why.
    public var errno: Int32
    public var detail: String?

    public var description: String {
        "\(program) cannot be started: \(detail ?? String(cString: strerror(errno)))"
    }
}

public struct ChildProcess: Sendable {
    /// An absolute path.
    public var program: String
    /// Without the program's own name.
    public var arguments: [String]
    /// All of it: nothing of ours is handed on.
    public var environment: [String: String]
    /// Seconds after which it is killed.
    public var seconds: Double
    /// Bytes of output kept: the first half and the last half; what is between is read and dropped.
    public var outputBytes: Int

    public init(
        program: String, arguments: [String], environment: [String: String] = [:], seconds: Double, outputBytes: Int
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.seconds = seconds
        self.outputBytes = outputBytes
    }

    public enum End: Sendable, Hashable {
        case exited(Int32)
        case signalled(Int32)
        /// Killed by us: its time was over, or `isStopped` said so.
        case timedOut
        case stopped
    }

    public struct Result: Sendable, Hashable {
        public var end: End
        /// What it wrote to standard output and standard error, in the order written.
        public var output: [UInt8]
        /// Bytes left out in the middle.
        public var dropped: Int
    }

    /// - Parameter isStopped: asked on this thread about every 50 ms; true ends the child.
    public func run(isStopped: () -> Bool = { false }) throws(SubprocessError) -> Result {
        try start().wait(seconds: seconds, isStopped: isStopped)
    }

    /// - Parameter passed: descriptors the child gets as its own 3, 4, …; they stay ours, too.
    func start(passed: [Int32] = []) throws(SubprocessError) -> RunningChild {
        var ends: [Int32] = [-1, -1]
        guard nb_pipe(&ends) == 0 else { throw SubprocessError(program: program, errno: errno) }
        defer { close(ends[1]) }
        let argv = CStrings([program] + arguments)
        let envp = CStrings(environment.map { "\($0.key)=\($0.value)" }.sorted())
        var pid: pid_t = 0
        let code = nb_spawn(&pid, program, argv.pointers, envp.pointers, ends[1], passed, Int32(passed.count))
        guard code == 0 else {
            close(ends[0])
            throw SubprocessError(program: program, errno: code)
        }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        return RunningChild(pid: pid, reading: ends[0], outputBytes: outputBytes)
    }
}

/// A child that has begun. One thread at a time. It ends, with its group, when this object goes.
final class RunningChild {
    /// Milliseconds between looks at `isStopped` while the child says nothing.
    private static let tick: Int32 = 50
    private static let chunk = 64 << 10

    private let pid: pid_t
    private let reading: Int32
    private var output: BoundedOutput
    private var end: ChildProcess.End?

    init(pid: pid_t, reading: Int32, outputBytes: Int) {
        self.pid = pid
        self.reading = reading
        output = BoundedOutput(limit: outputBytes)
    }

    deinit {
        if end == nil {
            kill(-pid, SIGKILL)
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        }
        close(reading)
    }

    /// Reads until the child has ended; what it wrote before is read to its end.
    func wait(seconds: Double, isStopped: () -> Bool) -> ChildProcess.Result {
        let deadline = ProcessInfo.processInfo.systemUptime + seconds
        var forced: ChildProcess.End?
        while end == nil {
            var descriptor = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
            _ = poll(&descriptor, 1, Self.tick)
            drain()
            if let ended = reap() {
                end = forced ?? ended
                break
            }
            guard forced == nil else { continue }
            if isStopped() { forced = .stopped }
            if ProcessInfo.processInfo.systemUptime >= deadline { forced = .timedOut }
            if forced != nil { kill(-pid, SIGKILL) }
        }
        return ChildProcess.Result(end: end ?? .stopped, output: output.bytes, dropped: output.dropped)
    }

    /// - Returns: nil while it is running.
    private func reap() -> ChildProcess.End? {
        var status: Int32 = 0
        // Nobody else waits for this child.
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        // Others of its group may still hold the pipe: they go with it.
        kill(-pid, SIGKILL)
        drain()
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
    }

    /// What is there now, but no more than keeps the clock looked at: a child may write faster than we read.
    private func drain() {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.chunk, alignment: 1)
        defer { buffer.deallocate() }
        for _ in 0..<16 {
            let count = read(reading, buffer.baseAddress, buffer.count)
            guard count > 0 else { return }
            output.add(UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
        }
    }
}

/// The first and the last half of what is written, never more than the limit.
struct BoundedOutput {
    let limit: Int
    private var head: [UInt8] = []
    private var tail: [UInt8] = []
    private(set) var dropped = 0

    init(limit: Int) { self.limit = limit }

    var bytes: [UInt8] { head + tail }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        let room = max(0, limit / 2 - head.count)
        head += bytes.prefix(room)
        tail += bytes.dropFirst(room)
        let over = tail.count - (limit - limit / 2)
        guard over > 0 else { return }
        tail.removeFirst(over)
        dropped += over
    }
}

/// Strings as C wants them for exec; freed with the object.
final class CStrings {
    let pointers: [UnsafeMutablePointer<CChar>?]

    init(_ strings: [String]) { pointers = strings.map { strdup($0) } + [nil] }

    deinit { for pointer in pointers { free(pointer) } }
}
