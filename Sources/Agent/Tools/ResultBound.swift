// Keeps one tool result within its bound: what does not fit goes to a file in the workspace and the model gets the
// beginning and the file's path. Called on the turn's thread. If the file cannot be written, the rest is cut, and the
// model is told so.
import DurableFiles
import Logging
import Tenants
import TextFormats

struct ResultBound {
    static let folder = ".spill"
    /// Spilled files kept per workspace; the oldest go first.
    static let keptFiles = 64
    /// Characters of the answer that are not the result's beginning: the JSON around it.
    private static let frame = 600

    let limit: Int
    let logger: Logger

    /// Where a result that is too long is kept.
    static func path(of call: PlannedCall, _ turn: Turn) -> String {
        "\(folder)/\(turn.jobID)-\(call.step)-\(call.index).txt"
    }

    func bounded(_ result: String, _ call: PlannedCall, _ turn: Turn) -> String {
        // Counting characters costs a pass over the text; bytes are never fewer.
        guard result.utf8.count > limit, result.count > limit else { return result }
        let path = Self.path(of: call, turn)
        let isKept = spill(result, to: path, turn)
        return notice(result, path: isKept ? path : nil)
    }

    private func notice(_ result: String, path: String?) -> String {
        var length = max(0, limit - Self.frame)
        let total = result.count
        while true {
            var fields: JSONObject = [
                "truncated": true, "total_characters": JSON(total),
                "beginning": .string(String(result.prefix(length))),
            ]
            if let path {
                fields["file"] = .string(path)
                fields["note"] = "the whole result is in this file: read_file with offset and limit, or grep"
            } else {
                fields["note"] = "the rest could not be kept; ask for less at once"
            }
            let text = JSON.object(fields).text()
            // Quoting makes the beginning longer: quotes and control characters take up to six.
            if text.count <= limit || length == 0 { return text }
            length = length > 64 ? length * 3 / 4 : 0
        }
    }

    private func spill(_ result: String, to path: String, _ turn: Turn) -> Bool {
        let directory = turn.workspace.directory
        do {
            try directory.write(path, Array(result.utf8))
            let files = try directory.list(Self.folder)
            // Names begin with the job's id, which begins with its time: the first are the oldest.
            for old in files.sorted(by: { $0.name < $1.name }).dropLast(Self.keptFiles) where old.path != path {
                try directory.remove(old.path)
            }
            return true
        } catch {
            logger.warning(
                "a long tool result could not be spilled",
                metadata: ["job.id": "\(turn.jobID)", "user.id": "\(turn.user)", "error": "\(error)"])
            return directory.exists(path)
        }
    }
}
