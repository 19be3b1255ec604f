// Whether a job's own words have room in the window of its model, asked before the job is taken in: no later shortening
// helps a question that is too long by itself. Pure; any thread.

import Agent
import Foundation
import Jobs
import Providers
import Tenants

enum WindowRefusal {
    /// Estimated tokens of the rules around a report's request (`ReportPrompt`).
    private static let reportRules = 700

    /// - Parameter window: of the model that is asked first.
    /// - Returns: nil: the words have room.
    static func refusal(of request: JobRequest, model: String, in window: ModelWindow) -> JobError? {
        guard request.command == nil else { return nil }
        let isReport = request.kind == .report
        let words =
            isReport
            ? ([request.customPrompt ?? ""] + request.focusAreas).joined(separator: "\n") : request.message ?? ""
        let asked = words + ClientInstructions.text(in: request.metadata)
        let needed = TokenEstimate.tokens(asked) + (isReport ? reportRules : 0)
        let room = TurnRoom.tokens(in: window)
        guard needed > room else { return nil }
        return JobError(
            .contextLengthExceeded,
            "the text has about \(needed) tokens, and the window of \(model) has room for \(room) beside the answer and the "
                + "assistant's instructions: shorten it, or put it into a file of the workspace",
            field: isReport ? "custom_prompt" : "message")
    }
}
