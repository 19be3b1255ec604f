// One message of a stored conversation, and its line in the file. Plain values; any thread.
import Foundation
import Providers
import TextFormats

public struct SessionEntry: Sendable, Hashable {
    /// `<job>:<n>`; `<job>:i<n>` for a turn that was cut short, `<job>:s<hash>` for its last words, `<job>:q` for a
    /// question that was written before its turn was over: the id makes appending an entry twice harmless.
    public var id: String
    public var jobID: String
    public var message: ChatMessage
    public var time: Date
    /// Of a turn that did not come to its end. Left out once the same job's whole turn is in the file.
    public var isInterrupted: Bool
    /// Why the job ended without its whole answer: `cancelled`, `timeout` or another code. In the file only the
    /// turn's last words carry the code (`StoppedTurn`); a `SessionPage` gives it to all messages of the turn.
    public var stopped: String?
    /// What was sent behind the question of this entry's turn (time, language, watchlist): later requests repeat it, so that
    /// what a provider has cached stays true. On the first message behind the question; no part of what was said. The time in it
    /// is the question's own.
    public var context: String?

    public init(
        id: String, jobID: String, message: ChatMessage, time: Date, isInterrupted: Bool = false, stopped: String? = nil
    ) {
        self.id = id
        self.jobID = jobID
        self.message = message
        self.time = time
        self.isInterrupted = isInterrupted
        self.stopped = stopped
    }

    /// {"id", "role", "content", tool_calls?, tool_call_id?, name?, "timestamp", "job_id", interrupted?, stopped?, context?}
    public var json: JSON {
        var fields: JSONObject = ["id": .string(id)]
        if let message = message.json.object { fields.merge(message) }
        fields["timestamp"] = .string(RFC3339.string(time))
        fields["job_id"] = .string(jobID)
        if isInterrupted { fields["interrupted"] = true }
        if let stopped { fields["stopped"] = .string(stopped) }
        if let context { fields["context"] = .string(context) }
        return .object(fields)
    }

    public init?(json: JSON) {
        guard let id = json["id"]?.string, let job = json["job_id"]?.string,
            let time = (json["timestamp"]?.string).flatMap(RFC3339.date), let message = ChatMessage(json: json)
        else { return nil }
        self.init(
            id: id, jobID: job, message: message, time: time, isInterrupted: json["interrupted"]?.bool ?? false,
            stopped: json["stopped"]?.string)
        context = json["context"]?.string
    }
}

/// What a list of conversations shows of one.
public struct SessionSummary: Sendable, Hashable {
    public var id: String
    /// The one that was set, else the beginning of the first message; nil while there is none.
    public var title: String?
    public var createdAt: Date
    /// The time of the last message.
    public var updatedAt: Date
    public var messageCount: Int
    /// Lines that could not be read. They stay in the file.
    public var badLines: Int
    /// Of a spawned task, and nobody else has said anything there.
    public var isSpawned = false
}
