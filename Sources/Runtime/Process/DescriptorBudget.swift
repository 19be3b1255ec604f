// What the limit on open files leaves to the HTTP side once the workers have theirs. A pure value; asked once, at the start.
// Failure: none here; where too little is left, `WorkerPool.descriptorProblem` refuses the start.

import API
import Workers

public struct DescriptorBudget: Sendable, Equatable {
    /// Descriptors of a call that blocks: a workspace, a folder in it, a file, a lock.
    static let perCall = 4
    /// An HTTP side with less is none: as many connections, and four threads with their calls.
    static let fewestConnections = 16
    static let fewest = fewestConnections + 4 * perCall

    /// Most open connections.
    public var connections: Int
    /// Threads for calls that block, of one user; the pool has twice as many (`APIOptions.blockingThreads`).
    public var blockingThreads: Int

    /// - Parameters:
    ///   - left: what the workers and the process itself leave.
    ///   - connections: what the settings ask for.
    ///   - blockingThreads: likewise.
    init(left: Int, connections: Int, blockingThreads: Int) {
        // Calls that block get at most half: streams and waiting calls hold a connection and no thread.
        let calls = max(4, min(blockingThreads * 2, left / 2 / Self.perCall))
        self.blockingThreads = calls / 2
        self.connections = min(connections, max(Self.fewestConnections, left - calls * Self.perCall))
    }
}
