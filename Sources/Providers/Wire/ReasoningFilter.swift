// Splits the text of an answer into the words for the reader and the reasoning that some models write in front of them,
// between tags. A pure value: feed pieces cut anywhere, take the visible text. Used by one call, on its thread.
//
//     text ──opening tag──▶ reasoning ──closing tag──▶ text …
//
// A tag is only text inside a code fence, inside a code span, and between quotation marks. An opening tag that never closes
// is reasoning to the end, unless it stands in the middle of a line of prose: then it is text after all.
//
// Some chat templates write the opening tag into the prompt, so that the answer holds a closing tag alone. A model that is
// known for that has `startsInside`: nothing is visible before its closing tag, and all is if none comes. At the first sight
// of such an answer, words may have been shown: `isRetracted` says so, and `visible` is then the whole answer.

struct ReasoningFilter: Sendable {
    private struct Block {
        var kind: ReasoningTags.Kind
        /// The tag and what followed, to be given back if the block turns out to be none.
        var raw: [UInt8]
        /// Whether the reader's words stand before the tag on its line.
        var isInProse: Bool
        /// Assumed without a tag, at the start of the answer.
        var isAssumed = false
        /// Bytes of `raw` that are the tag.
        var tagLength: Int
    }

    /// The words for the reader so far.
    private(set) var visible = ""
    private(set) var reasoning = ""
    /// Words that were returned by `feed` have turned out to be reasoning.
    private(set) var isRetracted = false
    /// A closing tag came without its opening tag.
    private(set) var startedInside = false
    /// The answer ended inside its reasoning.
    private(set) var endsInside = false

    private var block: Block?
    private var context = CodeContext()
    /// Bytes that are not decided: they may be a part of a tag.
    private var pending: [UInt8] = []
    /// Visible bytes of this `feed`.
    private var fresh: [UInt8] = []
    /// White space that is dropped if reasoning follows it or precedes it.
    private var leading: [UInt8] = []
    private var hasBlocks = false
    private var hasReturned = false

    /// - Parameter startsInside: the model's answers begin inside their reasoning.
    init(startsInside: Bool = false) {
        if startsInside {
            block = Block(kind: .angle, raw: [], isInProse: false, isAssumed: true, tagLength: 0)
        }
    }

    /// - Returns: visible text that was not returned before; nothing more once `isRetracted`.
    mutating func feed(_ piece: String) -> String {
        pending += piece.utf8
        scan(isLast: false)
        return taken()
    }

    /// The end of the answer.
    /// - Returns: as `feed`.
    mutating func finish() -> String {
        scan(isLast: true)
        if let open = block {
            block = nil
            if open.isAssumed || open.isInProse {
                for byte in open.raw { show(byte) }
            } else {
                reasoning += String(decoding: open.raw[open.tagLength...], as: UTF8.self)
                endsInside = true
            }
        }
        if visible.isEmpty, fresh.isEmpty, !hasBlocks, !endsInside { fresh = leading }
        return taken()
    }

    private mutating func taken() -> String {
        let text = String(decoding: fresh, as: UTF8.self)
        fresh = []
        visible += text
        guard !isRetracted else { return "" }
        hasReturned = hasReturned || !text.isEmpty
        return text
    }

    // MARK: - Scanning

    private mutating func scan(isLast: Bool) {
        var place = 0
        while place < pending.count {
            let step = block == nil ? readText(at: place, isLast: isLast) : readReasoning(at: place, isLast: isLast)
            guard let step else { break }
            place = step
        }
        pending.removeSubrange(..<place)
    }

    /// - Returns: the place behind what was read; nil: more bytes are needed to decide.
    private mutating func readText(at place: Int, isLast: Bool) -> Int? {
        let byte = pending[place]
        context.endRun(before: byte)
        guard ReasoningTags.mayBegin(byte), !context.isInFence else { return shown(place) }
        let match = ReasoningTags.match(pending, at: place)
        let end: Int
        switch match {
        case .none: return shown(place)
        case .partial: return isLast ? shown(place) : nil
        case .opening(_, let position), .closing(_, let position), .answerMark(let position): end = position
        }
        switch isQuoted(place, end, isLast: isLast) {
        case nil: return nil
        case true?: return shown(place, to: end)
        case false?: break
        }
        switch match {
        case .opening(let kind, _):
            block = Block(
                kind: kind, raw: Array(pending[place..<end]), isInProse: context.hasWords, tagLength: end - place)
        case .closing(let kind, _): close(withoutOpening: kind)
        case .answerMark, .none, .partial: break
        }
        return end
    }

    /// A closing tag in the text. The first one says that the answer began inside its reasoning.
    private mutating func close(withoutOpening kind: ReasoningTags.Kind) {
        // Of the harmony format's marks this one ends the answer as well.
        guard kind != .harmony, !hasBlocks else { return }
        startedInside = true
        if hasReturned { isRetracted = true }
        reasoning += visible + String(decoding: fresh, as: UTF8.self)
        visible = ""
        fresh = []
        endBlock()
    }

    private mutating func readReasoning(at place: Int, isLast: Bool) -> Int? {
        guard let open = block else { return nil }
        let byte = pending[place]
        var end = place + 1
        if ReasoningTags.mayBegin(byte) {
            switch ReasoningTags.match(pending, at: place) {
            case .partial where !isLast: return nil
            case .none, .partial: break
            case .opening(let kind, let position):
                // The model wrote the tag that was assumed.
                if open.isAssumed, open.raw.allSatisfy(ReasoningTags.isBlank) {
                    block = Block(kind: kind, raw: Array(pending[place..<position]), isInProse: false, tagLength: position - place)
                    return position
                }
                end = position
            case .answerMark(let position):
                if open.kind == .harmony { return closeBlock(at: position) }
                end = position
            case .closing(let kind, let position):
                guard kind == open.kind || open.isAssumed else {
                    end = position
                    break
                }
                // `</think>` as code: the reasoning speaks of the tag.
                let isWrapped = open.raw.last == UInt8(ascii: "`")
                if isWrapped, position == pending.count, !isLast { return nil }
                if isWrapped, position < pending.count, pending[position] == UInt8(ascii: "`") {
                    end = position
                    break
                }
                if open.isAssumed { startedInside = true }
                return closeBlock(at: position)
            }
        }
        block?.raw += pending[place..<end]
        return end
    }

    private mutating func closeBlock(at end: Int) -> Int {
        if let open = block { reasoning += String(decoding: open.raw[open.tagLength...], as: UTF8.self) }
        endBlock()
        return end
    }

    private mutating func endBlock() {
        block = nil
        hasBlocks = true
        context = CodeContext(hasWords: context.hasWords && !visible.isEmpty)
        leading = []
    }

    // MARK: - Text

    private mutating func shown(_ place: Int) -> Int { shown(place, to: place + 1) }

    private mutating func shown(_ place: Int, to end: Int) -> Int {
        for byte in pending[place..<end] { show(byte) }
        return end
    }

    private mutating func show(_ byte: UInt8) {
        context.take(byte)
        let isStart = visible.isEmpty && fresh.isEmpty
        if isStart, ReasoningTags.isBlank(byte) {
            leading.append(byte)
            return
        }
        if isStart, !hasBlocks { fresh += leading }
        leading = []
        fresh.append(byte)
    }

    /// Whether a tag is only shown: as code, or between quotation marks.
    /// - Returns: nil: the bytes behind the tag are needed to decide.
    private func isQuoted(_ place: Int, _ end: Int, isLast: Bool) -> Bool? {
        if context.spanLength > 0 {
            // An odd backtick opens no span: the tag counts unless the span ends on this line.
            var run = 0
            for byte in pending[end...] {
                if byte == UInt8(ascii: "`") {
                    run += 1
                    continue
                }
                if run == context.spanLength { return true }
                run = 0
                if byte == UInt8(ascii: "\n") { return false }
            }
            if run == context.spanLength, isLast { return true }
            return isLast ? false : nil
        }
        guard let mark = context.last, let closing = Self.quotes[mark] else { return false }
        guard end < pending.count else { return isLast ? false : nil }
        return pending[end] == closing
    }

    private static let quotes: [UInt8: UInt8] = [
        UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "'"): UInt8(ascii: "'"),
    ]
}

/// Where the visible text stands in its Markdown: inside a fence, inside a code span, at which place of a line.
private struct CodeContext: Sendable {
    private var fence: (mark: UInt8, length: Int)?
    /// Backticks that opened the span; 0: there is none.
    private(set) var spanLength = 0
    /// Whether the line has anything but blanks so far.
    private(set) var hasWords: Bool
    private(set) var last: UInt8?
    private var run = (mark: UInt8(0), length: 0, isAtStart: false)

    init(hasWords: Bool = false) { self.hasWords = hasWords }

    var isInFence: Bool { fence != nil }

    /// A run of backticks or tildes ends before another byte.
    mutating func endRun(before byte: UInt8) {
        guard run.length > 0, byte != run.mark else { return }
        let (mark, length, isAtStart) = run
        run.length = 0
        if isAtStart, length >= 3 {
            if let open = fence {
                if open.mark == mark, length >= open.length { fence = nil }
            } else {
                fence = (mark, length)
            }
        } else if mark == UInt8(ascii: "`"), fence == nil {
            if spanLength == 0 { spanLength = length } else if spanLength == length { spanLength = 0 }
        }
    }

    mutating func take(_ byte: UInt8) {
        endRun(before: byte)
        last = byte
        switch byte {
        case UInt8(ascii: "`"), UInt8(ascii: "~"):
            if run.length == 0 { run = (byte, 0, !hasWords) }
            run.length += 1
            hasWords = true
        case UInt8(ascii: "\n"):
            // A code span ends with its paragraph at the latest.
            if !hasWords { spanLength = 0 }
            hasWords = false
        default:
            if !ReasoningTags.isBlank(byte) { hasWords = true }
        }
    }
}
