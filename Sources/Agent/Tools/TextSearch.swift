// Looks for one text in files, line by line. A value; one thread; a file that cannot be read is counted and passed over.
import DurableFiles
import TextFormats

struct TextSearch {
    private let pattern: BytePattern
    private let ignoresCase: Bool
    private let steps: StepCounter
    private(set) var matches: [JSON] = []
    private(set) var files = 0
    /// Too large, not text, or not readable.
    private(set) var skipped = 0
    private var bytes = 0

    /// - Parameters:
    ///   - text: not empty; what is found is found code point by code point, no other spelling of a character counts.
    ///   - steps: ends the search when it is stopped.
    init(_ text: String, ignoresCase: Bool, _ steps: StepCounter) {
        let wanted = Array(text.utf8)
        pattern = BytePattern(ignoresCase ? LetterCase.lowered(wanted, StepCounter()) : wanted)
        self.ignoresCase = ignoresCase
        self.steps = steps
    }

    var isFull: Bool { matches.count >= GrepTool.maxMatches || bytes >= GrepTool.maxTotalBytes }

    mutating func scan(_ path: String, in directory: SealedDirectory) {
        // A file that cannot be read is counted, not an error: the others may still hold the answer.
        guard let content = try? directory.read(path, maxBytes: GrepTool.maxFileBytes, singleName: true) else {
            skipped += 1
            return
        }
        scan(content, path: path)
    }

    mutating func scan(_ content: [UInt8], path: String) {
        steps.add(content.count)
        guard String(validating: content, as: UTF8.self) != nil else {
            skipped += 1
            return
        }
        bytes += content.count
        files += 1
        let searched = ignoresCase ? LetterCase.lowered(content, steps) : content
        var (place, own) = (LineCursor(), LineCursor())
        searched.withUnsafeBufferPointer { buffer in
            while matches.count < GrepTool.maxMatches, !steps.isStopped,
                let found = pattern.first(in: buffer, from: place.lineEnd.map { $0 + 1 } ?? 0, steps)
            {
                place.move(to: found.lowerBound, in: buffer, steps)
                own.move(toLine: place.line, in: content, steps)
                let line = String(decoding: content[own.lineStart..<(own.lineEnd ?? 0)], as: UTF8.self)
                matches.append([
                    "path": .string(path), "line": JSON(place.line + 1),
                    "text": .string(String(line.prefix(GrepTool.maxLine))),
                ])
            }
        }
    }

    /// Goes over lines, forwards only.
    private struct LineCursor {
        /// Counted from 0.
        var line = 0
        var lineStart = 0
        /// nil before the first move.
        var lineEnd: Int?

        /// To the line that holds this place.
        mutating func move(to place: Int, in text: UnsafeBufferPointer<UInt8>, _ steps: StepCounter) {
            if lineEnd == nil { lineEnd = end(from: 0, in: text, steps) }
            while let end = lineEnd, end < place { next(after: end, in: text, steps) }
        }

        mutating func move(toLine number: Int, in text: [UInt8], _ steps: StepCounter) {
            text.withUnsafeBufferPointer { buffer in
                if lineEnd == nil { lineEnd = end(from: 0, in: buffer, steps) }
                while line < number, let end = lineEnd { next(after: end, in: buffer, steps) }
            }
        }

        private mutating func next(after end: Int, in text: UnsafeBufferPointer<UInt8>, _ steps: StepCounter) {
            (line, lineStart) = (line + 1, end + 1)
            lineEnd = self.end(from: lineStart, in: text, steps)
        }

        private func end(from start: Int, in text: UnsafeBufferPointer<UInt8>, _ steps: StepCounter) -> Int {
            var end = start
            while end < text.count, text[end] != 0x0A { end += 1 }
            steps.add(end - start + 1)
            return min(end, text.count)
        }
    }
}

/// Texts in lower case, code point by code point.
enum LetterCase {
    /// A code point whose lower case has other bytes, or more of them, is replaced; line ends stay as many as they were.
    static func lowered(_ text: [UInt8], _ steps: StepCounter) -> [UInt8] {
        steps.add(4 * text.count)
        guard text.contains(where: { $0 >= 0x80 }) else {
            return text.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
        }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            if scalar.value < 0x80 {
                let byte = UInt8(scalar.value)
                result.append((0x41...0x5A).contains(byte) ? byte | 0x20 : byte)
            } else if (0x2E80...0xA63F).contains(scalar.value) || !scalar.properties.changesWhenLowercased {
                // The scripts of East Asia have no case.
                result += UTF8.encode(scalar)!
            } else {
                result += scalar.properties.lowercaseMapping.utf8
            }
        }
        return result
    }
}
