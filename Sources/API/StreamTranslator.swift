// From lines of a job's status file to events of its stream. A pure state machine: lines in, events out.

import Jobs
import Spool
import TextFormats
import WireTypes

/// What a stream knows of the job so far. One per stream, on the task that writes it.
///
/// A final line ends the stream only where nothing follows it: an operator's retry begins a new run in the same file,
/// and a reader who replays the file must come through to that run.
struct StreamTranslator {
    let jobID: String
    /// The status last sent; the same one is not sent twice.
    private var lastStatus: JSONObject?
    /// Go with the first status that is sent.
    private let notices: [String]
    /// Of the user's errors. The job's first line names it.
    private var language: String?

    init(jobID: String, notices: [String] = [], language: String? = nil) {
        self.jobID = jobID
        self.notices = notices
        self.language = language
    }

    /// The events of one line, in order; none for lines of the journal, which are the agent's own.
    /// - Parameter isLast: nothing follows this line yet.
    mutating func events(of line: StatusChunk.Line, isLast: Bool) -> [StreamEvent] {
        switch line.type {
        case .event: return event(of: line.fields)
        case .status: return status(of: line.fields, isLast: isLast)
        case .model, .intent, .result: return []
        }
    }

    private func event(of fields: JSONObject) -> [StreamEvent] {
        switch fields["event"]?.string {
        case "delta":
            guard let text = fields["text"]?.string, !text.isEmpty else { return [] }
            return [StreamEvent(.delta, ["text": .string(text)])]
        case "restart": return [StreamEvent(.reset, ["job_id": .string(jobID)])]
        case "tool":
            guard let name = fields["name"]?.string else { return [] }
            return [StreamEvent(.tool, ["name": .string(name), "phase": fields["phase"] ?? "start"])]
        default: return []
        }
    }

    private mutating func status(of fields: JSONObject, isLast: Bool) -> [StreamEvent] {
        if let language = fields["job"]?["language"]?.string { self.language = language }
        guard let state = fields["state"]?.string.flatMap(JobState.init(rawValue:)) else { return [] }
        var members: JSONObject = ["job_id": .string(jobID), "status": .string(state.rawValue)]
        for key in ["run", "epoch", "attempt", "progress", "note"] { members[key] = fields[key] }
        if state == .completed { members["progress"] = 100 }
        var events: [StreamEvent] = []
        if lastStatus != members {
            let isFirst = lastStatus == nil
            lastStatus = members
            if isFirst, !notices.isEmpty { members["notices"] = JSON(notices) }
            events.append(StreamEvent(.status, .object(members)))
        }
        guard state.isFinal else { return events }
        if state == .completed { events.append(message(of: fields)) }
        if state == .failed { events.append(failure(of: fields)) }
        if isLast {
            events.append(StreamEvent(.done, ["job_id": .string(jobID), "status": .string(state.rawValue)]))
        }
        return events
    }

    private func message(of fields: JSONObject) -> StreamEvent {
        var members: JSONObject = ["job_id": .string(jobID)]
        if let response = fields["result"]?["response"] { members["response"] = response }
        if let reason = fields["result"]?["finish_reason"] { members["finish_reason"] = reason }
        if let report = fields["result"]?["report_id"] { members["report_id"] = report }
        members["usage"] = fields["usage"] ?? .null
        return StreamEvent(.message, .object(members))
    }

    private func failure(of fields: JSONObject) -> StreamEvent {
        let code = fields["error"]?["code"]?.string ?? "failed"
        let detail = UserErrorTexts.sentence(
            code: code, detail: fields["error"]?["detail"]?.string ?? "", language: language ?? "en")
        return StreamEvent(.error, ["job_id": .string(jobID), "code": .string(code), "detail": .string(detail)])
    }
}
