// What a limit on open files leaves to the HTTP side.
import Testing
import Workers

@testable import Runtime

@Suite struct DescriptorBudgetTests {
    @Test(
        "workers come first; what they leave is halved between connections and calls that block, up to the settings",
        arguments: [
            (left: 100_000, connections: 10_000, threads: 32), (1_000, 744, 32), (512, 256, 32), (112, 56, 7), (32, 16, 2),
            (0, 16, 2),
        ])
    func budget(_ left: Int, _ connections: Int, _ threads: Int) {
        let budget = DescriptorBudget(left: left, connections: 10_000, blockingThreads: 32)
        #expect(budget.connections == connections && budget.blockingThreads == threads)
    }

    @Test("the setting is a bound of its own")
    func setting() {
        #expect(DescriptorBudget(left: 50_000, connections: 5, blockingThreads: 32).connections == 5)
        #expect(DescriptorBudget(left: 32, connections: 5, blockingThreads: 32).connections == 5)
    }

    @Test("whatever start is allowed, all of it fits", arguments: Array(stride(from: DescriptorBudget.fewest, to: 3_000, by: 7)))
    func fits(_ left: Int) {
        let budget = DescriptorBudget(left: left, connections: 10_000, blockingThreads: 32)
        #expect(budget.connections + budget.blockingThreads * 2 * DescriptorBudget.perCall <= left)
        #expect(budget.connections >= DescriptorBudget.fewestConnections && budget.blockingThreads >= 2)
    }
}
