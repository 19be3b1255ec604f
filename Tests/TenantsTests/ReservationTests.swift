// Reservations of calls under way: within a process, and among the processes of one home, each of which is a desk of its
// own here, with nothing shared but the folder.
import DurableFiles
import Foundation
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import Tenants

@Suite struct ReservationTests {
    enum Scope: String, CaseIterable, Sendable { case user, service }

    private final class Home: Sendable {
        let folder: TemporaryDirectory
        let clock = ManualClock()
        let workspaces: WorkspaceManager
        let rules: BudgetDesk.Rules

        init(_ scope: Scope, _ limits: UsageLimits, files: any FileSystem = LinuxFileSystem()) throws {
            folder = try TemporaryDirectory(inMemory: true)
            workspaces = WorkspaceManager(root: folder.path + "/w", files: files, now: clock.read)
            var rules = BudgetDesk.Rules()
            if scope == .user { rules.everybody = limits } else { rules.service = limits }
            rules.priced.names = ["m/x", "m/free"]
            self.rules = rules
            for name in ["alice", "bob"] { try workspaces.create(try UserID(name)) }
        }

        /// As another process has it.
        func desk() -> BudgetDesk {
            BudgetDesk(
                workspaces: workspaces, configs: UserConfigManager(workspaces: workspaces), rules: rules,
                service: ServiceUsage(folder: folder.path + "/usage", zone: "UTC", now: clock.read),
                sharedFolder: folder.path + "/usage/open", now: clock.read)
        }

        func calls(_ job: String, _ most: Double, by name: String = "alice", on desk: BudgetDesk) throws -> BudgetRefusal? {
            try desk.reserve(UsageTotal(tokens: 10, cost: most), job: job, user: try UserID(name), model: "m/x")
        }

        /// The job's only call is over, and so is the job.
        func ends(_ job: String, _ cost: Double, by name: String = "alice", on desk: BudgetDesk) throws {
            let user = try UserID(name)
            let workspace = try workspaces.open(user)
            try desk.ended(job, user: user, used: UsageTotal(tokens: 10, cost: cost)) { [clock] in
                #expect(throws: Never.self) {
                    try workspace.appendUsage([
                        "id": .string(job), "time": .string(RFC3339.string(clock.now)), "job_id": .string(job),
                        "total_tokens": 10, "cost_usd": .double(cost),
                    ])
                }
            }
        }
    }

    @Test("a job that writes down its use between two readings of a check is counted by it", arguments: 1...5)
    func endsMeanwhile(reading: Int) throws {
        let files = FaultyFileSystem()
        let home = try Home(.user, UsageLimits(costPerMonth: 0.5), files: files)
        let desk = home.desk()
        let alice = try UserID("alice")
        let workspace = try home.workspaces.open(alice)
        #expect(try home.calls("a", 0.6, on: desk) == nil)
        try desk.spent(UsageTotal(tokens: 10, cost: 0.6), job: "a", user: alice)
        // The job's line appears right before the usage file is looked at for the n-th time, as when it ends on another thread.
        let count = Mutex(0)
        @Sendable func looked() {
            let number = count.withLock { count in
                count += 1
                return count
            }
            guard number == reading else { return files.onNext("openat2 usage.jsonl", looked) }
            #expect(throws: Never.self) {
                try workspace.appendUsage([
                    "id": "a", "time": .string(RFC3339.string(home.clock.now)), "job_id": "a", "total_tokens": 10, "cost_usd": 0.6,
                ])
            }
        }
        files.onNext("openat2 usage.jsonl", looked)
        #expect(try home.calls("b", 0.1, on: desk)?.code == .cost)
        #expect(count.withLock { $0 } >= reading)
    }

    @Test(
        "twenty calls at once reserve what the limit holds and no more; in the end one call goes beyond it",
        arguments: Scope.allCases, [1, 3])
    func sideBySide(scope: Scope, processes: Int) throws {
        let home = try Home(scope, UsageLimits(costPerMonth: 0.5))
        let desks = (0..<processes).map { _ in home.desk() }
        let names = scope == .user ? ["alice"] : ["alice", "bob"]
        @Sendable func name(_ index: Int) -> String { names[index % names.count] }
        var open = Set(0..<20)
        var made = 0
        while !open.isEmpty {
            let granted = Mutex<Set<Int>>([])
            let refused = Mutex<Set<Int>>([])
            let asking = open.sorted()
            try onThreads(asking.count) { place in
                let index = asking[place]
                let refusal = try home.calls("j\(index)", 0.14, by: name(index), on: desks[index % processes])
                if refusal == nil { granted.withLock { _ = $0.insert(index) } }
                if refusal?.isMomentary == false { refused.withLock { _ = $0.insert(index) } }
            }
            let now = granted.withLock { $0 }
            let rest = 0.5 - Double(made) * 0.14
            #expect(now.count == (rest <= 0 ? 0 : max(1, Int(rest / 0.14))))
            #expect(refused.withLock { $0.count } == (rest <= 0 ? open.count : 0))
            for index in now { try home.ends("j\(index)", 0.14, by: name(index), on: desks[index % processes]) }
            made += now.count
            open.subtract(now)
            open.subtract(refused.withLock { $0 })
        }
        #expect(made == 4)
    }

    @Test("a call that is larger than the limit may be made alone, and what it did not use is free at once", arguments: Scope.allCases)
    func alone(scope: Scope) throws {
        let home = try Home(scope, UsageLimits(costPerMonth: 0.5))
        let (first, second) = (home.desk(), home.desk())
        #expect(try home.calls("a", 7, on: first) == nil)
        #expect(try home.calls("b", 0.01, by: "bob", on: second)?.isMomentary == (scope == .service ? true : nil))
        #expect(try home.calls("c", 0.01, on: second)?.isMomentary == true)
        try first.spent(UsageTotal(tokens: 10, cost: 0.1), job: "a", user: try UserID("alice"))
        // Not yet in usage.jsonl, and counted all the same.
        #expect(try home.calls("c", 0.3, on: second) == nil)
        #expect(try home.calls("a", 0.2, on: first)?.isMomentary == true)
        try home.ends("c", 0.4, on: second)
        let refusal = try #require(try home.calls("a", 0.2, on: first))
        #expect(refusal.code == .cost && !refusal.isMomentary)
        // Written down, it is counted once.
        try home.ends("a", 0.1, on: first)
        #expect(try first.refusal(of: try UserID("alice"), model: nil, counts: false)?.code == .cost)
        let total = try home.desk().summary(of: try UserID("alice"))["cost_this_month"]?.double
        #expect(total == 0.5)
    }

    @Test("a call of a model that costs nothing waits for nobody's money, and nobody for its", arguments: Scope.allCases)
    func free(scope: Scope) throws {
        let home = try Home(scope, UsageLimits(costPerMonth: 0.5))
        let desk = home.desk()
        #expect(try home.calls("a", 7, on: desk) == nil)
        #expect(try home.calls("free", 0, on: desk) == nil)
        try home.ends("a", 0.1, on: desk)
        #expect(try home.calls("b", 7, on: desk) == nil)
    }

    @Test("what a process had reserved is gone with it, and what it has written down stays", arguments: Scope.allCases)
    func death(scope: Scope) throws {
        let home = try Home(scope, UsageLimits(costPerMonth: 1))
        let living = home.desk()
        var dying: BudgetDesk? = home.desk()
        try home.ends("old", 0.6, on: try #require(dying))
        #expect(try home.calls("a", 3, on: try #require(dying)) == nil)
        #expect(try home.calls("b", 0.3, on: living)?.isMomentary == true)
        dying = nil
        #expect(try home.calls("b", 0.3, on: living) == nil)
        try home.ends("b", 0.4, on: living)
        #expect(try home.calls("c", 0.1, on: living)?.isMomentary == false)
    }

    @Test("the file that processes share stays small, loses no reservation of the living, and passes over a torn line")
    func growth() throws {
        let home = try Home(.user, UsageLimits(costPerMonth: 1_000))
        let (first, second) = (home.desk(), home.desk())
        #expect(try home.calls("kept", 999, on: first) == nil)
        let open = try SealedDirectory(path: home.folder.path + "/usage/open")
        try open.append("calls.jsonl", Array(#"{"process":"torn","user":"#.utf8))
        for number in 0..<400 {
            let name = "j\(number)"
            #expect(try home.calls(name, 0.5, on: second) == nil)
            try home.ends(name, 0, on: second)
        }
        #expect(try open.status("calls.jsonl").size < 100_000)
        #expect(try home.calls("b", 2, on: second)?.isMomentary == true)
        #expect(try home.calls("b", 2, on: home.desk())?.isMomentary == true)
        try first.spent(UsageTotal(), job: "kept", user: try UserID("alice"))
        #expect(try home.calls("b", 2, on: second) == nil)
    }

    @Test("where the folder cannot be used a call is not made, and a job that ends is recorded all the same")
    func brokenFolder() throws {
        let home = try Home(.user, UsageLimits(costPerMonth: 1))
        let desk = home.desk()
        #expect(try home.calls("a", 0.1, on: desk) == nil)
        let path = home.folder.path + "/usage/open"
        try LinuxFileSystem().rename(path, path + ".away")
        try LinuxFileSystem().replaceFile(path, [])
        #expect(throws: TenantError.self) { try home.calls("b", 0.1, on: desk) }
        #expect(throws: TenantError.self) { try home.ends("a", 0.1, on: desk) }
        try LinuxFileSystem().remove(path)
        #expect(try home.desk().summary(of: try UserID("alice"))["cost_this_month"] == 0.1)
        #expect(try home.calls("b", 0.9, on: desk) == nil)
    }

    @Test("no user's name is in what processes share")
    func names() throws {
        let home = try Home(.service, UsageLimits(tokensPerDay: 1_000))
        #expect(try home.calls("a", 0, on: home.desk()) == nil)
        let bytes = try LinuxFileSystem().readFile(home.folder.path + "/usage/open/calls.jsonl")
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains("reserved") && !text.contains("alice"))
    }

    @Test("counts that cannot be true stop at the largest there is")
    func overflow() throws {
        let much = UsageTotal(tokens: .max, cost: 1) + UsageTotal(tokens: 5, cost: 2)
        #expect(much == UsageTotal(tokens: .max, cost: 3))
        #expect(UsageTotal(tokens: 3, cost: 1).beyond(UsageTotal(tokens: 5, cost: 0.5)) == UsageTotal(cost: 0.5))
        var sums = UsageSums()
        for job in ["a", "b"] {
            sums.add([
                "time": "2026-11-24T09:00:00Z", "job_id": .string(job), "total_tokens": .int(.max), "cost_usd": 1,
            ])
        }
        #expect(sums.total(since: Date(timeIntervalSince1970: 0)) == UsageTotal(tokens: .max, cost: 2))
    }
}
