// What is piped into a command, or typed at its question. Main thread, blocking.

import Foundation

enum StandardInput {
    /// Bytes taken at most: more than the longest message has.
    private static let maximumBytes = 1 << 20

    /// All of it, without the newline at its end.
    /// - Throws: CommandFailure when it is too long or no UTF-8.
    static func text() throws -> String {
        var data = Data()
        let input = FileHandle.standardInput
        while data.count <= maximumBytes, let more = try input.read(upToCount: 1 << 16), !more.isEmpty {
            data.append(more)
        }
        guard data.count <= maximumBytes else {
            throw CommandFailure("too_large", "standard input has more than \(maximumBytes >> 20) MiB", .usage)
        }
        guard var text = String(validating: data, as: UTF8.self) else {
            throw CommandFailure("invalid_utf8", "standard input is no UTF-8 text", .usage)
        }
        if text.last?.isNewline == true { text.removeLast() }
        return text
    }

    /// Whether somebody can be asked.
    static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 && Terminal.errors.isInteractive }

    /// The line typed as answer; nil at the end of input.
    static func answer(to question: String) -> String? {
        Terminal.errors.note(question)
        return readLine(strippingNewline: true)
    }
}
