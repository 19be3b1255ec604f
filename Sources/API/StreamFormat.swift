// How a job's lines are written into a stream of server-sent events. State machines, one per stream, on its task.

import Spool
import TextFormats
import WireTypes

protocol StreamFormat: Sendable {
    /// The file was begun anew, or the reader's place in it is none: all is read again from the start.
    mutating func reset() -> String
    /// - Parameter isLast: nothing follows this line yet.
    /// - Returns: what to write, and whether the stream is over.
    mutating func text(of line: StatusChunk.Line, isLast: Bool) -> (text: String, isDone: Bool)
}

/// Our own events, whose ids are places in the file.
struct HouseFormat: StreamFormat {
    private let jobID: String
    private let notices: [String]
    private let language: String?
    private var translator: StreamTranslator

    /// - Parameters:
    ///   - notices: what the answer to the submission says beside the job; the first event has them.
    ///   - language: of the user's errors, where the stream does not begin with the job's first line.
    init(jobID: String, notices: [String] = [], language: String? = nil) {
        self.jobID = jobID
        self.notices = notices
        self.language = language
        translator = StreamTranslator(jobID: jobID, notices: notices, language: language)
    }

    mutating func reset() -> String {
        translator = StreamTranslator(jobID: jobID, notices: notices, language: language)
        return StreamEvent(.reset, ["job_id": .string(jobID)]).wireText(id: nil)
    }

    mutating func text(of line: StatusChunk.Line, isLast: Bool) -> (text: String, isDone: Bool) {
        let events = translator.events(of: line, isLast: isLast)
        var text = ""
        for (place, event) in events.enumerated() {
            // Only a line's last event carries its id: who resumes at an id has seen the whole line.
            let mark = place == events.count - 1 ? "\(StreamPosition(epoch: line.epoch, offset: line.next))" : nil
            text += event.wireText(id: mark)
        }
        return (text, events.contains { $0.name == .done })
    }
}
