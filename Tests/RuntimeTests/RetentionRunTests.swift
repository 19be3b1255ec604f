// What the housekeeper removes beside the jobs themselves, and the readiness of a disk that does not answer.

import API
import Accounts
import Agent
import DurableFiles
import Foundation
import Jobs
import Providers
import Spool
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Runtime

@Suite struct RetentionRunTests {
    @Test(
        "the session of a spawned task goes with the task's job; what is young, known, or talked in by the user stays",
        arguments: [
            (60.0, false, false, false), (1, false, false, true), (60, true, false, true), (60, false, true, true),
        ])
    func taskSessions(_ row: (age: Double, hasRecord: Bool, isTalkedIn: Bool, stays: Bool)) throws {
        let bench = try RuntimeBench()
        let user = try UserID("demo")
        try bench.services.accounts.create(user)
        let store = SessionStore(workspace: try bench.services.workspaces.open(user))
        let time = Date(timeIntervalSinceNow: -row.age * 86_400)
        let job = JobID.derived(from: Array(repeating: 7, count: 32), time: time)
        let session = try SessionID(SpawnedSession.id(of: job.description))
        func say(_ text: String, _ job: JobID) throws {
            let entry = SessionEntry(
                id: "\(job):0", jobID: job.description, message: ChatMessage(role: .assistant, content: text), time: time)
            try store.append(session, [entry])
        }
        try say("the task's answer", job)
        try store.append(.standard, [SessionEntry(
            id: "\(job):1", jobID: job.description, message: ChatMessage(role: .user, content: "mine"), time: time)])
        if row.isTalkedIn { try say("and more", JobID.derived(from: Array(repeating: 9, count: 32), time: time)) }
        let layout = bench.services.spool.layout
        if row.hasRecord {
            try LinuxFileSystem().ensureDirectory(layout.statusFolder(job))
            try LinuxFileSystem().create(layout.statusPath(job), Array("{}\n".utf8), mode: 0o640, sync: false)
            // Somebody holds it: not removed just now.
            let descriptor = try LinuxFileSystem().open(layout.statusPath(job), [.read, .write])
            _ = try LinuxFileSystem().tryLock(descriptor, path: "")
            defer { LinuxFileSystem().closeQuietly(descriptor) }
            pass(bench)
        } else {
            pass(bench)
        }
        let left = try store.list().map(\.id)
        #expect(left.contains(session.rawValue) == row.stays)
        #expect(left.contains(SessionID.standard.rawValue))
        let shown = ConversationShelf(workspaces: bench.services.workspaces, now: { Date() })
        let own = try shown.conversations(of: user, limit: 10, after: nil).map(\.session)
        #expect(own.contains(session) == (row.stays && row.isTalkedIn))
        let all = try shown.conversations(of: user, withSpawned: true, limit: 10, after: nil)
        #expect(all.contains { $0.session == session } == row.stays)
    }

    private func pass(_ bench: RuntimeBench) {
        let housekeeper = Housekeeper(bench.services)
        housekeeper.start()
        housekeeper.stop()
    }

    // MARK: - Readiness

    @Test("a disk that does not answer is not ready, holds one thread however many ask, and is ready again by itself")
    func hangs() async throws {
        let uptime = Mutex<TimeInterval>(100)
        let looks = Mutex(0)
        let gate = DispatchSemaphore(value: 0)
        let probe = ReadinessProbe(
            uptime: { uptime.withLock { $0 } }, step: { "sync a file" },
            look: {
                looks.withLock { $0 += 1 }
                gate.wait()
                return nil
            })
        async let first = probe.problem()
        while looks.withLock({ $0 }) == 0 { await Task.yield() }
        uptime.withLock { $0 += ReadinessProbe.patience }
        for _ in 0..<20 {
            let problem = await probe.problem()
            #expect(problem?.contains("has not answered for 2 s: to sync a file") == true)
        }
        #expect(looks.withLock { $0 } == 1)
        gate.signal()
        #expect(await first == nil)
        // Its answer is fresh now, and serves for a second.
        #expect(await probe.problem() == nil)
        #expect(looks.withLock { $0 } == 1)
        uptime.withLock { $0 += ReadinessProbe.goodFor }
        gate.signal()
        #expect(await probe.problem() == nil)
        #expect(looks.withLock { $0 } == 2)
    }

    @Test("many who ask at the same time share one look, and its answer")
    func shared() async throws {
        let looks = Mutex(0)
        let probe = ReadinessProbe(uptime: { 100 }, step: { nil }) {
            looks.withLock { $0 += 1 }
            return "the spool cannot sync a file"
        }
        let answers = await withTaskGroup(of: String?.self) { group in
            for _ in 0..<50 { group.addTask { await probe.problem() } }
            var all: [String?] = []
            for await answer in group { all.append(answer) }
            return all
        }
        #expect(answers.allSatisfy { $0 == "the spool cannot sync a file" })
        #expect(looks.withLock { $0 } == 1)
    }
}
