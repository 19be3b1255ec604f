// Who gets a thread: the rule as a pure value, and the pool with real threads that wait for signals.
import Dispatch
import DurableFiles
import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import Tenants
import TestSupport
import Testing
import WireTypes

@testable import API

@Suite struct ThreadShareTests {
    private typealias Shares = ThreadShares<String, Int>

    /// Starts all that may start. - Returns: them, in order.
    private func start(_ shares: inout Shares) -> [Int] {
        var started: [Int] = []
        while let call = shares.next() { started.append(call) }
        return started
    }

    private func refusal(_ call: Int, of key: String, _ shares: inout Shares) -> ThreadSharesRefusal? {
        do throws(ThreadSharesRefusal) {
            _ = try shares.add(call, of: key)
            return nil
        } catch {
            return error
        }
    }

    private func add(_ count: Int, of key: String, to shares: inout Shares) throws {
        for index in 0..<count { _ = try shares.add(index, of: key) }
    }

    @Test("one user alone uses half of the pool, and each further one half of the rest, while all calls last")
    func halves() throws {
        var shares = Shares(threads: 64, places: 4_096)
        for (key, expected) in [("a", 32), ("b", 16), ("c", 8), ("d", 4), ("e", 2), ("f", 1)] {
            try add(100, of: key, to: &shares)
            let started = start(&shares).count
            #expect(started == expected)
            #expect(shares.use(of: key).running == expected)
        }
        #expect(shares.largestUse == 32)
    }

    @Test("a user without a thread gets one at once, however many calls of up to five others never end")
    func newcomer() throws {
        for others in 1...5 {
            var shares = Shares(threads: 64, places: 4_096)
            for other in 0..<others {
                try add(200, of: "other \(other)", to: &shares)
                _ = start(&shares)
            }
            try add(1, of: "new", to: &shares)
            let started = start(&shares).count
            #expect(started == 1, "with \(others) others")
        }
    }

    @Test("users who come together share evenly, and threads that come free go to the one with the fewest")
    func even() throws {
        var shares = Shares(threads: 12, places: 100)
        for key in ["a", "b"] { try add(20, of: key, to: &shares) }
        _ = start(&shares)
        #expect(shares.use(of: "a").running == 4 && shares.use(of: "b").running == 4)
        try add(20, of: "c", to: &shares)
        _ = start(&shares)
        #expect(shares.use(of: "c").running == 2)
        for _ in 0..<3 {
            shares.end(of: "a")
            _ = start(&shares)
        }
        #expect(["a", "b", "c"].map { shares.use(of: $0).running } == [3, 4, 3])
    }

    @Test("the calls of one user start in their order, and one who waits is not passed by a newcomer with as few threads")
    func order() throws {
        var shares = ThreadShares<String, String>(threads: 2, places: 10)
        for call in ["a1", "a2"] { _ = try shares.add(call, of: "a") }
        #expect(shares.next() == "a1")
        #expect(shares.next() == nil)
        _ = try shares.add("b1", of: "b")
        #expect(shares.next() == "b1")
        _ = try shares.add("c1", of: "c")
        shares.end(of: "a")
        shares.end(of: "b")
        var served: [String] = []
        for _ in 0..<2 {
            let next = shares.next()
            let call = try #require(next)
            served.append(call)
            _ = try shares.add("x", of: "new \(served.count)")
            shares.end(of: String(call.prefix(1)))
        }
        #expect(Set(served) == ["a2", "c1"])
    }

    @Test("of the places to wait in, one user's calls take half of those that are free besides; the last ones are nobody's")
    func places() throws {
        var shares = Shares(threads: 2, places: 16)
        _ = try shares.add(0, of: "a")
        _ = shares.next()
        try add(8, of: "a", to: &shares)
        #expect(refusal(9, of: "a", &shares) == .shareIsFull)
        try add(4, of: "b", to: &shares)
        #expect(refusal(9, of: "b", &shares) == .shareIsFull)
        for key in ["c", "d", "e", "f"] { _ = try shares.add(0, of: key) }
        #expect(refusal(0, of: "g", &shares) == .full)
        #expect(shares.waiting == 16)
    }

    @Test("a call that is withdrawn never starts, and gives its place back")
    func withdrawal() throws {
        var shares = Shares(threads: 2, places: 4)
        let first = try shares.add(1, of: "a")
        let second = try shares.add(2, of: "a")
        #expect(shares.withdraw(second, of: "a") == 2)
        #expect(shares.withdraw(second, of: "a") == nil)
        #expect(shares.next() == 1)
        #expect(shares.withdraw(first, of: "a") == nil)
        #expect(shares.waiting == 0 && shares.running == 1)
        _ = try shares.add(3, of: "b")
        #expect(shares.withdrawAll() == [3])
        shares.end(of: "a")
        let last = shares.next()
        #expect(last == nil && shares.largestUse == 0)
    }

    @Test("whatever comes and goes: nothing is lost, nothing starts beyond the pool, nobody waits who may start", arguments: 1...40)
    func anything(_ seed: Int) throws {
        var random = SeededGenerator(seed: seed)
        let threads = 2 * Int.random(in: 1...20, using: &random)
        var shares = Shares(threads: threads, places: 50)
        var (added, ended, withdrawn, refused) = (0, 0, 0, 0)
        var running: [String] = []
        var queued: [Int: String] = [:]
        var owners: [Int: String] = [:]
        for step in 0..<600 {
            let key = "user \(Int.random(in: 0..<6, using: &random))"
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                do throws(ThreadSharesRefusal) {
                    queued[try shares.add(step, of: key)] = key
                    owners[step] = key
                    added += 1
                } catch {
                    refused += 1
                }
            case 5..<9:
                guard let index = running.indices.randomElement(using: &random) else { continue }
                shares.end(of: running.remove(at: index))
                ended += 1
            default:
                guard let (number, owner) = queued.randomElement(using: &random) else { continue }
                queued[number] = nil
                if shares.withdraw(number, of: owner) != nil { withdrawn += 1 }
            }
            while let call = shares.next() { running.append(try #require(owners[call])) }
            let free = threads - shares.running
            #expect(free >= 0 && shares.running == running.count)
            for user in 0..<6 {
                let use = shares.use(of: "user \(user)")
                #expect(use.running == running.count { $0 == "user \(user)" })
                #expect(use.waiting == 0 || use.running >= free, "a call waits that may start")
            }
        }
        #expect(added == ended + withdrawn + shares.running + shares.waiting)
    }
}

extension DispatchSemaphore {
    /// Waits for a signal without holding a thread.
    fileprivate func arrival() async {
        while wait(timeout: .now()) != .success { await Task.yield() }
    }
}

@Suite(.timeLimit(.minutes(2))) struct BlockingBridgeTests {
    private let alice: UserID
    private let bob: UserID

    init() throws {
        alice = try UserID("alice")
        bob = try UserID("bob")
    }

    /// A gate that calls wait at on their threads.
    private final class Gate: Sendable {
        let entered = DispatchSemaphore(value: 0)
        let open = DispatchSemaphore(value: 0)

        func pass() {
            entered.signal()
            _ = open.wait(timeout: .now() + 60)
        }

        /// Until so many calls have come in; takes no thread of the tests for it.
        func waitForCalls(_ count: Int) async { for _ in 0..<count { await entered.arrival() } }
    }

    private func code(_ error: (any Error)?) -> String? { (error as? ProblemDetails)?.code }

    @Test("calls of one user that never end hold up no other user")
    func fairShare() async throws {
        let bridge = BlockingBridge(threads: 4, limit: 100)
        let gate = Gate()
        let alice = alice
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<40 { group.addTask { try await bridge.run(for: .user(alice)) { gate.pass() } } }
            await gate.waitForCalls(4)
            // All that one user may have: the others wait, and stay out.
            #expect(bridge.use.running == 4 && bridge.use.largest == 4 && bridge.use.threads == 8)
            for owner in [CallOwner.user(bob), .operators, .probes, .credentials] {
                #expect(try await bridge.run(for: owner) { 7 } == 7)
            }
            for _ in 0..<40 { gate.open.signal() }
            try await group.waitForAll()
        }
        // A thread is free a moment after its call has answered.
        for _ in 0..<100_000 where bridge.use.running > 0 { await Task.yield() }
        #expect(bridge.use.running == 0 && bridge.use.waiting == 0)
    }

    @Test("a user who has too many calls waiting is told 429, others are still taken in; a full house is 503")
    func bounds() async throws {
        let bridge = BlockingBridge(threads: 1, limit: 4)
        let gate = Gate()
        let (alice, bob) = (alice, bob)
        try await withThrowingTaskGroup(of: String?.self) { group in
            group.addTask { [self] in
                await code(failure { try await bridge.run(for: .user(alice)) { gate.pass() } })
            }
            await gate.waitForCalls(1)
            group.addTask { [self] in await code(failure { try await bridge.run(for: .user(bob)) { gate.pass() } }) }
            await gate.waitForCalls(1)
            for _ in 0..<3 {
                group.addTask { [self] in await code(failure { try await bridge.run(for: .user(alice)) {} }) }
            }
            // The third of them has nowhere to wait.
            #expect(try await group.next() == "too_many_calls")
            for owner in [CallOwner.operators, .probes] {
                group.addTask { [self] in await code(failure { try await bridge.run(for: owner) {} }) }
            }
            while bridge.use.waiting < 4 { await Task.yield() }
            #expect(code(await failure { try await bridge.run(for: .credentials) {} }) == "overloaded")
            for _ in 0..<2 { gate.open.signal() }
            for try await code in group { #expect(code == nil) }
        }
    }

    private func failure(_ body: @Sendable () async throws -> Void) async -> (any Error)? {
        do {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    @Test("a call that waits for a thread ends with its task, and never runs")
    func cancelledWhileWaiting() async throws {
        let bridge = BlockingBridge(threads: 1, limit: 10)
        let gate = Gate()
        let alice = alice
        let ran = Atomic<Bool>(false)
        let first = Task { try await bridge.run(for: .user(alice)) { gate.pass() } }
        await gate.waitForCalls(1)
        let second = Task { try await bridge.run(for: .user(alice)) { ran.store(true, ordering: .relaxed) } }
        while bridge.use.waiting < 1 { await Task.yield() }
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
        gate.open.signal()
        try await first.value
        let hasRun = ran.load(ordering: .relaxed)
        #expect(bridge.use.waiting == 0 && !hasRun)
    }

    @Test("a call that waits for a lock ends when its task is cancelled")
    func cancelledWhileLocked() async throws {
        let folder = try TemporaryDirectory()
        let files = LinuxFileSystem()
        let path = folder.path + "/lock"
        let (holder, other) = (try files.open(path, [.write, .create]), try files.open(path, [.write]))
        #expect(try files.tryLock(holder, path: path))
        let bridge = BlockingBridge(threads: 1, limit: 10)
        let attempts = DispatchSemaphore(value: 0)
        let call = Task { [bob] in
            try await bridge.run(for: .user(bob)) {
                try files.waitForLock(path) { () throws(FileError) in
                    attempts.signal()
                    return try files.tryLock(other, path: path)
                }
            }
        }
        for _ in 0..<3 { await attempts.arrival() }
        call.cancel()
        let error = await #expect(throws: FileError.self) { try await call.value }
        #expect(error?.code == .busy)
    }

    @Test("at the end calls that wait are refused, those that run end, and later ones are told")
    func shutdown() async throws {
        let bridge = BlockingBridge(threads: 1, limit: 10)
        let gate = Gate()
        let alice = alice
        let service = ServiceGroup(configuration: .init(services: [bridge], logger: Logger(label: "test")))
        let running = Task { try await service.run() }
        let first = Task { try await bridge.run(for: .user(alice)) { gate.pass() } }
        await gate.waitForCalls(1)
        let second = Task { [self] in await code(failure { try await bridge.run(for: .user(alice)) {} }) }
        while bridge.use.waiting < 1 { await Task.yield() }
        await service.triggerGracefulShutdown()
        #expect(await second.value == "shutting_down")
        #expect(code(await failure { try await bridge.run(for: .user(alice)) {} }) == "shutting_down")
        gate.open.signal()
        try await first.value
        try await running.value
    }
}
