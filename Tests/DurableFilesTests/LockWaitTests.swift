// Waits for locks: bounded by time, ended by cancellation, handed over by a release, the same for both kinds of locks.
@testable import DurableFiles
import Dispatch
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite struct LockWaitTests {
    private let files = LinuxFileSystem()
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory(inMemory: true) }

    enum Kind: CaseIterable { case file, range }

    private var path: String { folder.path + "/lock" }

    private func open() throws -> Int32 { try files.open(path, [.read, .write, .create], mode: 0o600) }

    private func take(_ kind: Kind, _ descriptor: Int32) throws(FileError) -> Bool {
        switch kind {
        case .file: try files.tryLock(descriptor, path: path)
        case .range: try files.tryLockRange(descriptor, start: 0, length: 1, path: path)
        }
    }

    @Test("a lock that stays held ends the wait with an error that can pass", arguments: Kind.allCases, [0, 0.03])
    func deadline(_ kind: Kind, _ seconds: Double) throws {
        let (holder, other) = (try open(), try open())
        #expect(try take(kind, holder))
        let error = #expect(throws: FileError.self) {
            try LockWait(seconds: seconds).bounding { () throws(FileError) in
                try files.waitForLock(path) { () throws(FileError) in try take(kind, other) }
            }
        }
        #expect(error?.code == .busy && error?.isPassing == true)
        #expect(error?.description.contains(path) == true)
        try files.close(holder, path: path)
        try files.waitForLock(path) { () throws(FileError) in try take(kind, other) }
    }

    @Test("a wait hears that its work is cancelled, however long it may last", arguments: Kind.allCases)
    func cancellation(_ kind: Kind) throws {
        let (holder, other) = (try open(), try open())
        #expect(try take(kind, holder))
        let attempts = Atomic<Int>(0)
        let wait = LockWait(seconds: 86_400) { attempts.load(ordering: .relaxed) > 3 }
        #expect(throws: FileError.self) {
            try wait.bounding { () throws(FileError) in
                try files.waitForLock(path) { () throws(FileError) in
                    attempts.add(1, ordering: .relaxed)
                    return try take(kind, other)
                }
            }
        }
    }

    @Test("what is cancelled still gets a lock that is free")
    func cancelledButFree() throws {
        let descriptor = try open()
        try LockWait(seconds: 0, isCancelled: { true }).bounding { () throws(FileError) in
            try files.waitForLock(path) { () throws(FileError) in try take(.file, descriptor) }
        }
    }

    @Test("a release wakes a thread that waits in this process; the pause before its next attempt is not waited for")
    func handover() throws {
        let queue = LockQueue()
        let isFree = Atomic<Bool>(false)
        let (waiting, done) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let attempts = Atomic<Int>(0)
        let got = Atomic<Bool>(false)
        Thread.detachNewThread {
            let isTaken = queue.wait("x", LockWait(seconds: 60)) {
                if attempts.add(1, ordering: .relaxed).newValue == 20 { waiting.signal() }
                return isFree.load(ordering: .sequentiallyConsistent)
            }
            got.store(isTaken, ordering: .relaxed)
            done.signal()
        }
        #expect(waiting.wait(timeout: .now() + 30) == .success)
        #expect(queue.waiting(for: "x") == 1 && queue.waiting(for: "y") == 0)
        isFree.store(true, ordering: .sequentiallyConsistent)
        queue.wake("y")
        queue.wake("x")
        #expect(done.wait(timeout: .now() + 30) == .success)
        let hasIt = got.load(ordering: .relaxed)
        #expect(hasIt)
        #expect(queue.waiting(for: "x") == 0)
    }

    @Test("pauses grow from about what a holder needs to a fiftieth of a second, and never beyond the time that is left")
    func pauses() {
        var pauses = LockPauses()
        let taken = (0..<40).map { _ in pauses.take(left: 60) }
        #expect(taken.first == LockPauses.shortest && taken.last == LockPauses.longest)
        #expect(zip(taken, taken.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(pauses.take(left: 0.001) == 0.001)
    }

    @Test("a free lock costs one system call, taken and given back")
    func uncontended() throws {
        let counting = FaultyFileSystem()
        let descriptor = try open()
        let before = counting.calls
        try counting.waitForLock(path) { () throws(FileError) in try counting.tryLock(descriptor, path: path) }
        counting.released(path)
        #expect(counting.calls == before + 1)
    }

    @Test(
        "a sealed folder locks hidden files of its own only: what lies deeper or can be seen may be shown to others",
        arguments: ["sessions/.lock", "lock", "data/x", "../.lock", "", "./.lock"])
    func names(_ name: String) throws {
        let sealed = try SealedDirectory(path: folder.path)
        try sealed.makeDirectory("sessions")
        let error = #expect(throws: FileError.self) { try sealed.withLock(name) {} }
        #expect(error?.code == .invalid)
        try sealed.withLock(".lock") {}
    }

    @Test("the error of a sealed folder names the lock and not where the folder is")
    func noPlace() throws {
        let sealed = try SealedDirectory(path: folder.path)
        try sealed.withLock(".lock") {
            let error = #expect(throws: FileError.self) {
                try LockWait(seconds: 0).bounding { try sealed.withLock(".lock") {} }
            }
            #expect(error?.code == .busy && error?.path == ".lock")
        }
    }

    @Test("threads that wait for one lock all get it, and lose no change")
    func everybodyGetsIt() throws {
        let sealed = try SealedDirectory(path: folder.path)
        let count = Mutex(0)
        let highest = Mutex(0)
        DispatchQueue.concurrentPerform(iterations: 16) { _ in
            for _ in 0..<50 {
                do {
                    try sealed.withLock(".lock") {
                        let inside = count.withLock { count -> Int in
                            count += 1
                            return count
                        }
                        highest.withLock { $0 = max($0, inside) }
                        count.withLock { $0 -= 1 }
                    }
                } catch {
                    Issue.record("\(error)")
                }
            }
        }
        #expect(highest.withLock { $0 } == 1)
    }
}
