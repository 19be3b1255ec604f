// A box that is ready for its command: its folders are there, empty, in memory, and may be filled through `folder`. Then `run`. What
// the command leaves in them can be read, by whoever opened them before, when `run` has returned: no process of the box is alive
// then. Everything vanishes with the last open descriptor, also when this process is killed. One thread. Failure: SubprocessError.
import CLinux
import Foundation
import Glibc

public final class CommandBox {
    /// Milliseconds bubblewrap has to set the box up, and the kernel to end what is left of it.
    private static let patience: Int32 = 10_000

    /// A path to the box's folders: `rest` is shown as /workspace, read-only; `data` as /workspace/data; `scratch` holds /tmp
    /// and /dev/shm. For this user's processes only, while the box is there.
    public let folder: String
    private let child: RunningChild
    /// The first process of the box's own process namespace: when it is gone, all others are.
    private let first: Int32
    private var release: Int32

    /// - Parameters:
    ///   - make: makes the process that becomes the box; it writes who it is to its descriptor 3, waits for a byte from 4 and
    ///     reads its filter from 5.
    ///   - place: where the box has its folders, as it sees them.
    init(program: String, place: String, make: () -> ChildProcess) throws(SubprocessError) {
        var (told, gate): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        var filter: Int32 = -1
        defer { for descriptor in [told[0], told[1], gate[0], filter] where descriptor >= 0 { close(descriptor) } }
        func check(_ result: Int32) throws(SubprocessError) {
            if result < 0 { throw SubprocessError(program: program, errno: errno) }
        }
        try check(nb_pipe(&told))
        try check(nb_pipe(&gate))
        let gateway = gate[1]
        release = gateway
        filter = nb_seccomp_filter()
        var isMade = false
        defer { if !isMade { close(gateway) } }
        try check(filter)
        let child = try make().start(passed: [told[1], gate[0], filter])
        self.child = child
        close(told[1])
        told[1] = -1
        do throws(SubprocessError) {
            let pid = try Self.firstProcess(told[0], program)
            first = nb_pidfd(pid)
            try check(first)
            folder = "/proc/\(pid)/root\(place)"
        } catch {
            throw Self.explained(error, child)
        }
        isMade = true
        do throws(SubprocessError) {
            try awaitFolders(program)
        } catch {
            throw Self.explained(error, child)
        }
    }

    deinit {
        if release >= 0 { end() }
        close(first)
    }

    /// The number in bubblewrap's `{"child-pid": 123, …}`.
    private static func firstProcess(_ descriptor: Int32, _ program: String) throws(SubprocessError) -> Int32 {
        var bytes = [UInt8](repeating: 0, count: 1_024)
        var text = ""
        while !text.contains("}") {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, patience) > 0 else { break }
            let count = read(descriptor, &bytes, bytes.count)
            guard count > 0, text.utf8.count < 4_096 else { break }
            text += String(decoding: bytes.prefix(count), as: UTF8.self)
        }
        let digits = text.firstRange(of: "\"child-pid\":").map { text[$0.upperBound...].drop { $0 == " " }.prefix { $0.isNumber } }
        guard let pid = digits.flatMap({ Int32($0) }) else {
            throw SubprocessError(program: program, errno: 0, detail: "it makes no box")
        }
        return pid
    }

    /// The folders are in sight when everything else has been set up.
    private func awaitFolders(_ program: String) throws(SubprocessError) {
        for _ in 0..<Self.patience {
            if access("\(folder)/scratch", F_OK) == 0 { return }
            guard !isGone(within: 1) else { break }
        }
        throw SubprocessError(program: program, errno: 0, detail: "the box is not there")
    }

    /// What bubblewrap wrote says more.
    private static func explained(_ error: SubprocessError, _ child: RunningChild) -> SubprocessError {
        let result = child.wait(seconds: 0) { true }
        let words = String(decoding: result.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !words.isEmpty else { return error }
        return SubprocessError(program: error.program, errno: error.errno, detail: String(words.prefix(300)))
    }

    /// Lets the command begin, and returns when nothing of the box is alive.
    /// - Parameters:
    ///   - seconds: after which it is killed.
    ///   - isStopped: as of `ChildProcess.run`.
    public func run(seconds: Double, isStopped: () -> Bool = { false }) throws(SubprocessError) -> ChildProcess.Result {
        var byte: UInt8 = 1
        _ = write(release, &byte, 1)
        close(release)
        release = -1
        let result = child.wait(seconds: seconds, isStopped: isStopped)
        guard isGone(within: Self.patience) else {
            throw SubprocessError(program: "the command", errno: 0, detail: "it was killed and does not end")
        }
        return result
    }

    /// Never begun: the gate stays shut until all are dead, for bubblewrap takes its closing for a go.
    private func end() {
        _ = child.wait(seconds: 0) { true }
        _ = isGone(within: Self.patience)
        close(release)
    }

    private func isGone(within milliseconds: Int32) -> Bool {
        var waiting = pollfd(fd: first, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, milliseconds) > 0
    }
}
