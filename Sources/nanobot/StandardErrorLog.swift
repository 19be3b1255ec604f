// The log: one line per message on standard error, as text or as JSON. Made by `LoggingSystem.bootstrap` once per
// process; any thread. Nothing secret gets here: keys and tokens are never metadata, and values are cut at a length.

import Foundation
import Logging
import Synchronization
import TextFormats

enum LogFormat: String, Sendable, CaseIterable {
    case text, json
}

/// The level all loggers share: it is known only after the settings were read, when loggers exist already.
final class LogLevel: Sendable {
    private let value: Mutex<Logger.Level>

    init(_ level: Logger.Level) { value = Mutex(level) }

    var level: Logger.Level { value.withLock { $0 } }
    func set(_ level: Logger.Level) { value.withLock { $0 = level } }
}

struct StandardErrorLog: LogHandler {
    /// Characters of one value.
    private static let longestValue = 4_000

    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let format: LogFormat
    private let shared: LogLevel
    private var own: Logger.Level?

    init(label: String, format: LogFormat, level: LogLevel) {
        self.label = label
        self.format = format
        shared = level
    }

    /// Sends all loggers of the process here. Once per process, before the first logger is made.
    static func bootstrap(format: LogFormat, level: LogLevel) {
        LoggingSystem.bootstrap { StandardErrorLog(label: $0, format: format, level: level) }
    }

    var logLevel: Logger.Level {
        get { own ?? shared.level }
        set { own = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let given = event.metadata { all.merge(given) { _, new in new } }
        let fields = all.sorted { $0.key < $1.key }.map { key, value in
            (key, String("\(value)".prefix(StandardErrorLog.longestValue)))
        }
        let time = RFC3339.string(Date())
        switch format {
        case .json:
            var line: JSONObject = [
                "time": .string(time), "level": .string(event.level.rawValue), "logger": .string(label),
                "message": .string("\(event.message)"),
            ]
            for (key, value) in fields where line[key] == nil { line[key] = .string(value) }
            Terminal.errors.note(JSON.object(line).text())
        case .text:
            let tail = fields.map { " \($0)=\(StandardErrorLog.word($1))" }.joined()
            Terminal.errors.note("\(time) \(event.level.rawValue) \(label): \(event.message)\(tail)")
        }
    }

    /// A value with blanks or line breaks is quoted, so that it can't pose as another field or line.
    private static func word(_ text: String) -> String {
        let isPlain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F && $0 != "\"" && $0 != "=" }
        return isPlain && !text.isEmpty ? text : JSON.string(text).text()
    }
}
