// A child process that is spoken with line by line: what is written goes to its standard input, lines come from its standard
// output, and the end of its standard error is kept for people. It leads a process group of its own that is killed as a whole,
// and it ends with us: its input closes when this process dies, and where setpriv is there the kernel kills it.
//
// All calls block; one thread at a time, but for `waitForOutput`. Failure: TalkingError.
import CLinux
import Foundation
import Glibc

public enum TalkingError: Error, Sendable, Hashable {
    /// It has ended, or has closed its output.
    case ended
    case timeout
    /// `isStopped` said so.
    case stopped
    /// A line without an end.
    case tooLong
}

public final class TalkingProcess {
    /// Milliseconds between looks at `isStopped` while the child says nothing.
    private static let tick: Int32 = 50
    /// Milliseconds a child has to put its things in order.
    private static let grace: Int32 = 500
    private static let chunk = 64 << 10
    private static let errorBytes = 4 << 10
    private static let setpriv = "/usr/bin/setpriv"

    private let pid: pid_t
    private var input: Int32
    private let output: Int32
    private let errors: Int32
    private var pending: [UInt8] = []
    /// Bytes of `pending` that hold no line's end.
    private var scanned = 0
    private var lastErrors = BoundedOutput(limit: 4 << 10)
    private var isEnded = false

    /// - Parameters:
    ///   - program: an absolute path.
    ///   - environment: all of it: nothing of ours is handed on.
    public init(program: String, arguments: [String], environment: [String: String]) throws(SubprocessError) {
        // A child that has gone must be an error of the write, not a signal.
        signal(SIGPIPE, SIG_IGN)
        var pipes: [[Int32]] = []
        for _ in 0..<3 {
            var ends: [Int32] = [-1, -1]
            guard nb_pipe(&ends) == 0 else {
                let failure = errno
                for pipe in pipes.joined() { close(pipe) }
                throw SubprocessError(program: program, errno: failure)
            }
            pipes.append(ends)
        }
        (input, output, errors) = (pipes[0][1], pipes[1][0], pipes[2][0])
        var command = [program] + arguments
        if access(Self.setpriv, X_OK) == 0 { command = [Self.setpriv, "--pdeathsig", "KILL", "--"] + command }
        let argv = CStrings(command)
        let envp = CStrings(environment.map { "\($0.key)=\($0.value)" }.sorted())
        let ends = (input: pipes[0][0], output: pipes[1][1], errors: pipes[2][1])
        let (code, child) =
            access(program, X_OK) == 0
            // The kernel's "with its parent" means the thread that made it: one that stays.
            ? SpawningThread.shared.run {
                var child: pid_t = 0
                let code = nb_spawn_talking(
                    &child, argv.pointers[0], argv.pointers, envp.pointers, ends.input, ends.output, ends.errors)
                return (code, child)
            } : (errno, 0)
        pid = child
        for end in [pipes[0][0], pipes[1][1], pipes[2][1]] { close(end) }
        for end in [input, output, errors] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        guard code == 0 else {
            isEnded = true
            throw SubprocessError(program: program, errno: code)
        }
    }

    deinit {
        stop()
        for end in [input, output, errors] where end >= 0 { close(end) }
    }

    /// What it wrote to its standard error last, for a log line.
    public var complaints: String {
        String(decoding: lastErrors.bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    public var processID: Int32 { pid }

    /// Ends it with all it has started: its input is closed, it gets SIGTERM and, if it is still there after `grace`,
    /// SIGKILL. Doing it again changes nothing.
    public func stop() {
        guard !isEnded else { return }
        isEnded = true
        close(input)
        input = -1
        kill(-pid, SIGTERM)
        let over = nb_pidfd(pid)
        if over >= 0 {
            var watched = pollfd(fd: over, events: Int16(POLLIN), revents: 0)
            _ = poll(&watched, 1, Self.grace)
            close(over)
        }
        kill(-pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }

    /// Writes all of it, while what the child says meanwhile is read.
    public func send(_ bytes: [UInt8], until deadline: TimeInterval, isStopped: () -> Bool) throws(TalkingError) {
        var sent = 0
        while sent < bytes.count {
            guard !isEnded else { throw .ended }
            let count = bytes.withUnsafeBytes { write(input, $0.baseAddress! + sent, $0.count - sent) }
            if count > 0 {
                sent += count
                continue
            }
            guard count < 0, errno == EAGAIN || errno == EINTR else { throw ended() }
            try wait(forInput: true, until: deadline, isStopped)
        }
    }

    /// - Parameters:
    ///   - deadline: in `ProcessInfo.systemUptime`.
    ///   - maxBytes: of one line.
    /// - Returns: the next line, without its end.
    public func line(
        until deadline: TimeInterval, maxBytes: Int, isStopped: () -> Bool
    ) throws(TalkingError) -> [UInt8] {
        while true {
            if let end = pending[scanned...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(pending[..<end])
                pending.removeSubrange(...end)
                scanned = 0
                return line
            }
            scanned = pending.count
            guard pending.count <= maxBytes else { throw .tooLong }
            guard !isEnded else { throw .ended }
            try wait(forInput: false, until: deadline, isStopped)
        }
    }

    /// Blocks until the child has said something or has ended, or until `seconds` have passed. Changes nothing, so it may be called
    /// beside the thread that uses the process.
    /// - Returns: whether there is something to be read.
    public func waitForOutput(seconds: Double) -> Bool {
        var watched = [
            pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
        ]
        return poll(&watched, 2, Int32(min(seconds, 3_600) * 1_000)) > 0
    }

    /// The next line, if it is there already; reads what the child has said, also to its standard error.
    public func readyLine(maxBytes: Int) throws(TalkingError) -> [UInt8]? {
        if !pending[scanned...].contains(UInt8(ascii: "\n")) {
            guard !isEnded else { throw .ended }
            drain(errors) { lastErrors.add($0) }
            let isOpen = drain(output) { pending += $0 }
            if !isOpen, !pending[scanned...].contains(UInt8(ascii: "\n")) { throw ended() }
        }
        guard let end = pending[scanned...].firstIndex(of: UInt8(ascii: "\n")) else {
            scanned = pending.count
            guard pending.count <= maxBytes else { throw .tooLong }
            return nil
        }
        defer {
            pending.removeSubrange(...end)
            scanned = 0
        }
        return Array(pending[..<end])
    }

    private func wait(forInput: Bool, until deadline: TimeInterval, _ isStopped: () -> Bool) throws(TalkingError) {
        if isStopped() { throw .stopped }
        guard ProcessInfo.processInfo.systemUptime < deadline else { throw .timeout }
        var watched = [
            pollfd(fd: output, events: Int16(POLLIN), revents: 0),
            pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
            pollfd(fd: forInput ? input : -1, events: Int16(POLLOUT), revents: 0),
        ]
        _ = poll(&watched, 3, Self.tick)
        drain(errors) { lastErrors.add($0) }
        let isOpen = drain(output) { pending += $0 }
        if !isOpen, !pending[scanned...].contains(UInt8(ascii: "\n")) { throw ended() }
    }

    /// With what it complained of at its end.
    private func ended() -> TalkingError {
        drain(errors) { lastErrors.add($0) }
        return .ended
    }

    /// - Returns: false at the stream's end.
    @discardableResult
    private func drain(_ descriptor: Int32, _ take: (UnsafeRawBufferPointer) -> Void) -> Bool {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.chunk, alignment: 1)
        defer { buffer.deallocate() }
        for _ in 0..<16 {
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count == 0 { return false }
            guard count > 0 else { return errno == EAGAIN || errno == EINTR }
            take(UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
        }
        return true
    }
}

/// A thread that lives as long as the process and makes children for others.
/// `@unchecked Sendable`: `work` is used while `condition` is held.
private final class SpawningThread: @unchecked Sendable {
    static let shared = SpawningThread()

    private let condition = NSCondition()
    /// Guarded by `condition`.
    private var work: [() -> Void] = []

    private init() {
        let thread = Thread { [self] in
            while true {
                condition.lock()
                while work.isEmpty { condition.wait() }
                let next = work.removeFirst()
                condition.unlock()
                next()
            }
        }
        thread.name = "spawner"
        thread.start()
    }

    /// Runs `body` on the thread and waits for it.
    func run(_ body: @escaping () -> (Int32, pid_t)) -> (Int32, pid_t) {
        var result: (Int32, pid_t) = (0, 0)
        let isDone = DispatchSemaphore(value: 0)
        condition.withLock {
            work.append {
                result = body()
                isDone.signal()
            }
            condition.signal()
        }
        isDone.wait()
        return result
    }
}
