// The steps that reading one message may cost. A message is as long as its writer likes, and every phrase is tried at every
// place where two wishes may be joined: the budget keeps the whole within some steps for each byte. One thread.
import TextFormats

final class PhraseBudget {
    /// Enough for any message a person writes; a long text gets more.
    static let least = 60_000
    static let stepsPerByte = 6

    let steps: StepCounter
    private let limit: Int

    /// - Parameter bytes: of the message.
    init(bytes: Int, _ steps: StepCounter = StepCounter()) {
        self.steps = steps
        limit = steps.steps + max(Self.least, bytes * Self.stepsPerByte)
    }

    var left: Int { max(0, limit - steps.steps) }
}
