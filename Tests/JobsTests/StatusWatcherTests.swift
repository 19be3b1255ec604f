import DurableFiles
import Foundation
import Spool
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import Jobs

/// Counts rings; a test waits for them, bounded, instead of sleeping.
private final class Bell: Sendable {
    private let rings = DispatchSemaphore(value: 0)

    func ring() { rings.signal() }

    /// - Returns: false when none came within 20 seconds.
    func wait() -> Bool { rings.wait(timeout: .now() + 20) == .success }

    func isSilent() -> Bool { rings.wait(timeout: .now()) == .timedOut }

    func drain() { while !isSilent() {} }
}

struct StatusWatcherTests {
    /// A claim made by "another process": a second spool over the same folder, whose events this one does not hear.
    private func otherProcess(_ house: JobHouse) throws -> JobHouse { try JobHouse(in: house.directory) }

    @Test("a waiter is told of what another process writes, until it cancels")
    func otherProcessWrites() throws {
        let house = try JobHouse()
        let watcher = StatusWatcher(spool: house.spool)
        defer { watcher.stop() }
        let job = try house.submit()
        let (kept, ended) = (Bell(), Bell())
        let first = watcher.watch(job.id) { kept.ring() }
        let second = watcher.watch(job.id) { ended.ring() }
        let claim = try otherProcess(house).claim(job.id)
        #expect(kept.wait() && ended.wait())
        second.cancel()
        kept.drain()
        ended.drain()
        try claim.complete(result: [:])
        #expect(kept.wait() && ended.isSilent())
        first.cancel()
    }

    @Test("a job can be watched before it exists")
    func beforeItExists() throws {
        let house = try JobHouse()
        let watcher = StatusWatcher(spool: house.spool)
        defer { watcher.stop() }
        let id = JobID.make(now: house.clock.now)
        let bell = Bell()
        let handle = watcher.watch(id) { bell.ring() }
        let other = try otherProcess(house)
        let request = try other.request([:]).with(id: id)
        _ = try other.client.submit(request, source: .api)
        #expect(bell.wait())
        withExtendedLifetime(handle) {}
    }

    @Test("many waiters of many jobs are each told of their own")
    func many() throws {
        let house = try JobHouse(userLimit: 0)
        let watcher = StatusWatcher(spool: house.spool)
        defer { watcher.stop() }
        let jobs = try (0..<20).map { _ in try house.submit(["kind": "report"]).id }
        let bells = jobs.map { _ in Bell() }
        let handles = zip(jobs, bells).map { id, bell in watcher.watch(id) { bell.ring() } }
        for bell in bells { bell.drain() }
        let other = try otherProcess(house)
        for id in jobs.prefix(10) { _ = try other.client.cancel(id) }
        for bell in bells.prefix(10) { #expect(bell.wait()) }
        for bell in bells.dropFirst(10) { #expect(bell.isSilent()) }
        withExtendedLifetime(handles) {}
    }
}
