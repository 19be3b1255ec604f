// Wishes about the files of the workspace. Pure, any thread. A file's content is shown in a fence, never followed.
import Foundation
import TextFormats

enum FilesWish {
    /// Characters of a file shown, entries of a folder shown.
    static let maxShown = 4_000
    static let maxEntries = 100

    static func list(_ path: String, _ scope: OfflineScope) -> OfflineStep {
        scope.single("list_dir", ["path": .string(path)]) { outcome in
            let say = scope.language
            let names: [String]
            switch outcome {
            case .failed: return OfflinePhrases.failure("list_dir", outcome, say)
            case .text(let text): names = text.split(whereSeparator: \.isNewline).map(String.init)
            case .value(let json): names = entries(json)
            }
            let place = path == "." ? say("your workspace", "工作区") : "`\(OfflinePhrases.plain(path))`"
            guard !names.isEmpty else { return say("There are no files in \(place).", "\(place) 中没有文件。") }
            let shown = names.prefix(maxEntries).map { "- \(OfflinePhrases.plain($0, limit: 200))" }
            let more = names.count - shown.count
            let tail = more > 0 ? [say("- and \(more) more", "- 另有 \(more) 个")] : []
            return ([say("In \(place):", "\(place)中有：")] + shown + tail).joined(separator: "\n")
        }
    }

    /// `{entries: [{name, kind, size, …}]}`, or an array of names or of such objects.
    private static func entries(_ json: JSON) -> [String] {
        let list = json.array ?? json["entries"]?.array ?? json["files"]?.array ?? []
        return list.compactMap { entry in
            guard let name = entry.string ?? entry["path"]?.string ?? entry["name"]?.string else { return nil }
            let kind = entry["kind"]?.string ?? entry["type"]?.string
            return kind == "folder" && !name.hasSuffix("/") ? name + "/" : name
        }
    }

    static func read(_ path: String, _ scope: OfflineScope) -> OfflineStep {
        scope.single("read_file", ["path": .string(path)]) { outcome in
            let say = scope.language
            let content: String
            switch outcome {
            case .failed: return OfflinePhrases.failure("read_file", outcome, say)
            case .text(let text): content = text
            // A JSON file is content too; an envelope has its text in `content`.
            case .value(let json): content = json["content"]?.string ?? json.text(pretty: true)
            }
            let name = "`\(OfflinePhrases.plain(path))`"
            if content.isEmpty { return say("\(name) is empty.", "\(name) 是空的。") }
            let cut = content.count > maxShown
            let shown = String(content.prefix(maxShown))
            let fence = fence(for: shown)
            let note = cut ? say("\n(the first \(maxShown) characters)", "\n（前 \(maxShown) 个字符）") : ""
            return "\(name):\n\(fence)\n\(shown.hasSuffix("\n") ? String(shown.dropLast()) : shown)\n\(fence)\(note)"
        }
    }

    /// Longer than any run of backticks in the text.
    private static func fence(for text: String) -> String {
        var (longest, run) = (0, 0)
        for character in text {
            run = character == "`" ? run + 1 : 0
            longest = max(longest, run)
        }
        return String(repeating: "`", count: max(3, longest + 1))
    }

    static func write(_ path: String, _ content: String, _ scope: OfflineScope) -> OfflineStep {
        scope.single("write_file", ["path": .string(path), "content": .string(content)]) { outcome in
            if case .failed = outcome { return OfflinePhrases.failure("write_file", outcome, scope.language) }
            let name = OfflinePhrases.plain(path)
            return scope.language("Saved to `\(name)`.", "已保存到 `\(name)`。")
        }
    }

    /// Into a file of its own, named for the moment, so that no note replaces another.
    static func saveNote(_ content: String, _ scope: OfflineScope) -> OfflineStep {
        let stamp = scope.turn.context.time.map { date in
            RFC3339.string(date).prefix(19).replacingOccurrences(of: ":", with: "").replacingOccurrences(
                of: "T", with: "-")
        }
        return write("notes/\(stamp ?? scope.turn.seed).md", content + "\n", scope)
    }

    static func edit(_ path: String, _ old: String, _ new: String, _ scope: OfflineScope) -> OfflineStep {
        let arguments: JSONObject = ["path": .string(path), "old_text": .string(old), "new_text": .string(new)]
        return scope.single("edit_file", arguments) { outcome in
            if case .failed = outcome { return OfflinePhrases.failure("edit_file", outcome, scope.language) }
            let name = OfflinePhrases.plain(path)
            return scope.language("Changed `\(name)`.", "已修改 `\(name)`。")
        }
    }
}
