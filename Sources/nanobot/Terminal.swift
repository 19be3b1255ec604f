// What a command says: lines on a descriptor, on a terminal also one line that is replaced by the next. Any thread; a
// line is never mixed with another. Writes to descriptors since Swift's concurrency checking rejects C's `stdout`.
// Failure: OutputError for standard output, so that a full disk or a closed pipe is noticed; standard error can't fail.

import Foundation
import Synchronization
import TextFormats

/// Standard output took no more.
struct OutputError: Error, Sendable {
    var errno: Int32

    /// The reader went away, as in `nanobot jobs | head`: nobody wants the rest.
    var isClosed: Bool { errno == EPIPE }
}

final class Terminal: Sendable {
    static let output = Terminal(descriptor: STDOUT_FILENO)
    static let errors = Terminal(descriptor: STDERR_FILENO)

    /// A person looks at it.
    let isInteractive: Bool
    private let descriptor: Int32
    /// Whether the last line written is one to be replaced. Held while writing.
    private let hasPassingLine = Mutex(false)

    /// Columns used where the terminal does not tell its own.
    private static let usualColumns = 80
    /// Carriage return, then "erase to the end of the line" (ECMA-48).
    private static let eraseLine = "\r\u{1B}[K"

    init(descriptor: Int32) {
        self.descriptor = descriptor
        isInteractive = isatty(descriptor) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    }

    /// Writes a line. On a terminal control characters are shown as "�": the text may be a stranger's.
    func line(_ text: String = "") throws(OutputError) {
        try write((isInteractive ? Terminal.harmless(text) : text) + "\n", passing: false)
    }

    /// Writes a line to standard error; where it cannot be written nobody can be told so either.
    func note(_ text: String) {
        try? line(text)
    }

    /// A line that the next one replaces. Nothing where nobody looks.
    func passing(_ text: String) {
        guard isInteractive else { return }
        let text = Terminal.harmless(text.replacingOccurrences(of: "\n", with: " "))
        // Not worth an error: the next line comes anyway.
        try? write(Terminal.cut(text, columns: columns() - 1), passing: true)
    }

    /// Removes the passing line, if there is one.
    func clearPassing() {
        guard isInteractive else { return }
        // As above.
        try? write("", passing: false)
    }

    /// Writes bytes as they are.
    func bytes(_ bytes: [UInt8]) throws(OutputError) {
        if let failure = hasPassingLine.withLock({ _ in writeAll(bytes) }) { throw failure }
    }

    /// Pretty where a person looks, else one line.
    func json(_ value: JSON) throws(OutputError) {
        try line(value.text(pretty: isInteractive))
    }

    // MARK: -

    private func write(_ text: String, passing: Bool) throws(OutputError) {
        let failure = hasPassingLine.withLock { hasPassing -> OutputError? in
            let prefix = hasPassing ? Terminal.eraseLine : ""
            hasPassing = passing
            return writeAll(Array((prefix + text).utf8))
        }
        if let failure { throw failure }
    }

    private func writeAll(_ bytes: [UInt8]) -> OutputError? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                // Somebody made the descriptor non-blocking: wait until it takes more.
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&wait, 1, -1)
            } else if errno != EINTR {
                return OutputError(errno: errno)
            }
        }
        return nil
    }

    private func columns() -> Int {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 1 else { return Terminal.usualColumns }
        return Int(size.ws_col)
    }

    private static func harmless(_ text: String) -> String {
        func isControl(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.generalCategory == .control && scalar != "\n" && scalar != "\t"
        }
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { result.append(isControl(scalar) ? "\u{FFFD}" : scalar) }
        return String(result)
    }

    /// At most that many columns; wide characters (CJK) take two.
    private static func cut(_ text: String, columns: Int) -> String {
        var used = 0
        var result = ""
        for character in text {
            used += TextColumns.width(of: character)
            if used > columns { break }
            result.append(character)
        }
        return result
    }
}
