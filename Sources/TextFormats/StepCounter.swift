// Counts the steps of one piece of work on foreign text, so that a test can bound them without a clock, and ends the work
// when its reader has gone. One thread at a time; never fails.

/// A step is one look at one byte, or one comparison of two short values.
///
/// Parsers add their steps in their inner loops and ask `isStopped` in their outer ones. A parser that was stopped returns
/// what it has; its caller asks `isStopped` and throws the result away.
public final class StepCounter {
    /// Steps between two questions whether to stop: some hundredths of a millisecond.
    public static let stepsBetweenLooks = 16_384

    public private(set) var steps = 0
    /// The work is to end; once true it stays true.
    public private(set) var isStopped = false

    private var nextLook: Int
    private let shouldStop: (() -> Bool)?

    /// - Parameter shouldStop: asked on the working thread, every `stepsBetweenLooks` steps; nil: the work runs to its end.
    public init(stoppingIf shouldStop: (() -> Bool)? = nil) {
        self.shouldStop = shouldStop
        nextLook = shouldStop == nil ? Int.max : Self.stepsBetweenLooks
    }

    public func add(_ count: Int = 1) {
        steps &+= count
        if steps >= nextLook { look() }
    }

    private func look() {
        nextLook = steps + Self.stepsBetweenLooks
        if let shouldStop, shouldStop() {
            isStopped = true
            nextLook = Int.max
        }
    }
}
