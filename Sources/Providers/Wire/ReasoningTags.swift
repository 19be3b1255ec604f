// The marks by which models and their chat templates set reasoning apart inside the text of an answer. Pure; any thread.
// Sources: the chat templates of DeepSeek-R1, QwQ and Qwen3 (`<think>`), Magistral (`[THINK]`), Kimi (`◁think▷`),
// OpenThinker and Sky-T1 (`<|begin_of_thought|>`), Command A Reasoning (`<|START_THINKING|>`), Seed-OSS (`<seed:think>`),
// gpt-oss (the harmony format's channels).

enum ReasoningTags {
    /// Kinds whose opening and closing tags belong together.
    enum Kind: Sendable, Hashable {
        /// `<think>`, `<thinking>` and so on: models mix the names, so any of them closes any other.
        case angle
        case bracket, kimi, thought, cohere, harmony
    }

    enum Match: Sendable, Equatable {
        case none
        /// The bytes end inside what may be a tag.
        case partial
        /// - end: the position behind the tag.
        case opening(Kind, end: Int)
        case closing(Kind, end: Int)
        /// A mark around the visible answer, which itself is nothing to read.
        case answerMark(end: Int)
    }

    private struct Fixed {
        enum Role { case opening, closing, answerMark }

        var text: [UInt8]
        var kind: Kind
        var role: Role

        init(_ text: String, _ kind: Kind, _ role: Role) {
            self.text = Array(text.utf8)
            self.kind = kind
            self.role = role
        }
    }

    private static let fixed: [Fixed] = [
        Fixed("[THINK]", .bracket, .opening), Fixed("[/THINK]", .bracket, .closing),
        Fixed("◁think▷", .kimi, .opening), Fixed("◁/think▷", .kimi, .closing),
        Fixed("<|begin_of_thought|>", .thought, .opening), Fixed("<|end_of_thought|>", .thought, .closing),
        Fixed("<|begin_of_solution|>", .thought, .answerMark), Fixed("<|end_of_solution|>", .thought, .answerMark),
        Fixed("<|START_THINKING|>", .cohere, .opening), Fixed("<|END_THINKING|>", .cohere, .closing),
        Fixed("<|START_RESPONSE|>", .cohere, .answerMark), Fixed("<|END_RESPONSE|>", .cohere, .answerMark),
        Fixed("<|channel|>analysis<|message|>", .harmony, .opening), Fixed("<|end|>", .harmony, .closing),
        Fixed("<|start|>assistant<|channel|>final<|message|>", .harmony, .answerMark),
        Fixed("<|channel|>final<|message|>", .harmony, .answerMark), Fixed("<|return|>", .harmony, .answerMark),
    ]

    /// Names between angle brackets, in small letters.
    private static let names: Set<String> = [
        "think", "thinking", "thought", "thoughts", "reasoning", "seed:think", "mm:think", "antml:thinking",
        "antml:reasoning",
    ]
    private static let longestName = 16
    /// Bytes between a tag's name and its end: blanks, and attributes of an opening tag.
    private static let longestAttributes = 120

    /// Whether a tag can begin with this byte: `<`, `[`, or the first byte of `◁`.
    static func mayBegin(_ byte: UInt8) -> Bool { byte == 0x3C || byte == 0x5B || byte == 0xE2 }

    /// - Parameter place: of a byte with which a tag may begin.
    static func match(_ bytes: [UInt8], at place: Int) -> Match {
        var isPartial = false
        for tag in fixed {
            let common = commonLength(tag.text, bytes, at: place)
            if common == tag.text.count {
                let end = place + common
                switch tag.role {
                case .opening: return .opening(tag.kind, end: end)
                case .closing: return .closing(tag.kind, end: end)
                case .answerMark: return .answerMark(end: end)
                }
            }
            if place + common == bytes.count { isPartial = true }
        }
        let angle = bytes[place] == 0x3C ? matchAngle(bytes, at: place) : .none
        return angle == .none && isPartial ? .partial : angle
    }

    private static func commonLength(_ tag: [UInt8], _ bytes: [UInt8], at place: Int) -> Int {
        var length = 0
        while length < tag.count, place + length < bytes.count, tag[length] == bytes[place + length] { length += 1 }
        return length
    }

    /// `<name …>`, `</name >` and `<name/>`, in any letter case.
    private static func matchAngle(_ bytes: [UInt8], at start: Int) -> Match {
        var place = start + 1
        let isClosing = place < bytes.count && bytes[place] == UInt8(ascii: "/")
        if isClosing { place += 1 }
        let nameStart = place
        while place < bytes.count, place - nameStart <= longestName, isNameByte(bytes[place]) { place += 1 }
        let name = String(decoding: bytes[nameStart..<place], as: UTF8.self).lowercased()
        guard place < bytes.count else { return names.contains { $0.hasPrefix(name) } ? .partial : .none }
        guard names.contains(name) else { return .none }
        let attributes = place
        while place < bytes.count, place - attributes <= longestAttributes {
            let byte = bytes[place]
            if byte == UInt8(ascii: ">") {
                if isClosing { return .closing(.angle, end: place + 1) }
                if bytes[place - 1] == UInt8(ascii: "/") { return .answerMark(end: place + 1) }
                return .opening(.angle, end: place + 1)
            }
            // Only a blank, or the stroke of an empty element, may follow the name.
            let isFirst = place == attributes
            if isFirst, !isBlank(byte), byte != UInt8(ascii: "/") { return .none }
            if isClosing, !isBlank(byte) { return .none }
            if byte == 0x3C { return .none }
            place += 1
        }
        return place == bytes.count ? .partial : .none
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: ":")
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
