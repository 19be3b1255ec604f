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
    /// The kernel's number.
    public var errno: Int32

    public var description: String { "\(program) cannot be started: \(String(cString: strerror(errno)))" }
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

    /// Milliseconds between looks at `isStopped` while the child says nothing.
    private static let tick: Int32 = 50
    private static let chunk = 64 << 10

    /// - Parameter isStopped: asked on this thread about every 50 ms; true ends the child.
    public func run(isStopped: () -> Bool = { false }) throws(SubprocessError) -> Result {
        var ends: [Int32] = [-1, -1]
        guard nb_pipe(&ends) == 0 else { throw SubprocessError(program: program, errno: errno) }
        let reading = ends[0]
        defer { close(reading) }
        let pid: pid_t
        do {
            defer { close(ends[1]) }
            pid = try spawn(output: ends[1])
        }
        _ = fcntl(reading, F_SETFL, O_NONBLOCK)
        var output = BoundedOutput(limit: outputBytes)
        let end = watch(pid, reading, &output, isStopped)
        return Result(end: end, output: output.bytes, dropped: output.dropped)
    }

    private func spawn(output: Int32) throws(SubprocessError) -> pid_t {
        let argv = CStrings([program] + arguments)
        let envp = CStrings(environment.map { "\($0.key)=\($0.value)" }.sorted())
        var pid: pid_t = 0
        let code = nb_spawn(&pid, program, argv.pointers, envp.pointers, output)
        guard code == 0 else { throw SubprocessError(program: program, errno: code) }
        return pid
    }

    /// Reads until the child has ended; what it wrote before is read to its end.
    private func watch(_ pid: pid_t, _ reading: Int32, _ output: inout BoundedOutput, _ isStopped: () -> Bool) -> End {
        let deadline = ProcessInfo.processInfo.systemUptime + seconds
        var forced: End?
        while true {
            var descriptor = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
            _ = poll(&descriptor, 1, Self.tick)
            drain(reading, into: &output)
            var status: Int32 = 0
            // Nobody else waits for this child.
            if waitpid(pid, &status, WNOHANG) == pid {
                // Others of its group may still hold the pipe: they go with it.
                kill(-pid, SIGKILL)
                drain(reading, into: &output)
                return forced ?? Self.end(status)
            }
            guard forced == nil else { continue }
            if isStopped() { forced = .stopped }
            if ProcessInfo.processInfo.systemUptime >= deadline { forced = .timedOut }
            if forced != nil { kill(-pid, SIGKILL) }
        }
    }

    /// What is there now, but no more than keeps the clock looked at: a child may write faster than we read.
    private func drain(_ reading: Int32, into output: inout BoundedOutput) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.chunk, alignment: 1)
        defer { buffer.deallocate() }
        for _ in 0..<16 {
            let count = read(reading, buffer.baseAddress, buffer.count)
            guard count > 0 else { return }
            output.add(UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
        }
    }

    private static func end(_ status: Int32) -> End {
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
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
