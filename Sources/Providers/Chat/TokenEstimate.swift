// An upper estimate of the tokens of a text, without any model's tokenizer. Pure; any thread; never fails.
//
// The weights were fitted so that the estimate is not below the counts of four tokenizers (cl100k_base, o200k_base,
// Claude 2, DeepSeek V3) for prose, code, JSON, base64, hexadecimal, UUIDs, tables, Chinese, Japanese, Korean, Arabic,
// Hindi, Thai and emoji (TokenEstimateTests has the counts). Digits count one each, as Qwen and Llama 2 have it. A text
// of rare Chinese characters alone can have more tokens on old tokenizers; `ModelWindow.safetyTokens` is for that.
import TextFormats

public enum TokenEstimate {
    /// Tokens a message has besides its text: role, separators, ids.
    private static let perMessage = 6
    private static let perCall = 12

    public static func tokens(_ text: String) -> Int {
        var text = text
        return text.withUTF8 { bytes in
            var scanner = Scanner(bytes: bytes)
            return scanner.tokens()
        }
    }

    /// With the reasoning and private state that a provider gets back.
    public static func tokens(_ message: ChatMessage) -> Int {
        var sum = perMessage + tokens(message.content)
        if let state = message.providerState {
            sum += tokens(state.text()) + tokens(message.reasoning ?? "")
        }
        for call in message.toolCalls { sum += perCall + tokens(call.name) + tokens(call.arguments) }
        return sum
    }

    public static func tokens(_ messages: some Sequence<ChatMessage>) -> Int { messages.reduce(0) { $0 + tokens($1) } }

    public static func tokens(_ tool: ToolDefinition) -> Int {
        perCall + tokens(tool.name) + tokens(tool.description) + tokens(tool.parameters.text())
    }

    public static func tokens(_ tools: [ToolDefinition]) -> Int { tools.reduce(0) { $0 + tokens($1) } }
}

/// Counts in twentieths of a token, run by run.
private struct Scanner {
    private static let token = 20
    /// For each letter of a word that is longer than natural words are, or of capitals.
    private static let letter = 13
    /// For each letter of a usual word; a word has at least one token.
    private static let wordLetter = 5
    private static let longestWord = 12
    /// For letters right behind other letters or digits: words of mixed case, base64.
    private static let joint = 8
    private static let mark = 17
    private static let twoByteScalar = 17
    /// Hebrew, Arabic and their neighbours.
    private static let semiticScalar = 23
    private static let ideograph = 34
    private static let otherScalar = 36
    private static let fourByteScalar = 60

    let bytes: UnsafeBufferPointer<UInt8>
    private var index = 0
    private var units = 0
    private var isBehindWord = false

    init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    mutating func tokens() -> Int {
        while index < bytes.count {
            let byte = bytes[index]
            if Self.isLetter(byte) {
                word()
                continue
            }
            isBehindWord = Self.isDigit(byte)
            if isBehindWord {
                units += Self.token
                index += 1
            } else if byte == 0x20 {
                let length = skip { $0 == 0x20 }
                // One blank belongs to the word behind it.
                if length > 1 { units += Self.token + length }
            } else if byte < 0x20 {
                skip { $0 < 0x20 }
                units += Self.token
            } else if byte < 0x80 {
                units += Self.mark * skip { $0 > 0x20 && $0 < 0x80 && !Self.isLetter($0) && !Self.isDigit($0) }
            } else {
                scalar(byte)
            }
        }
        return (units + Self.token - 1) / Self.token
    }

    /// Capitals, then small letters; what follows in the same word is the next one.
    private mutating func word() {
        if isBehindWord { units += Self.joint }
        let capitals = skip(Self.isCapital)
        let small = skip { Self.isLetter($0) && !Self.isCapital($0) }
        isBehindWord = true
        guard small > 0 else {
            units += max(Self.token, Self.letter * capitals)
            return
        }
        units += Self.letter * max(0, capitals - 1)
        let length = small + min(capitals, 1)
        let isNatural = length <= Self.longestWord
        units += isNatural ? max(Self.token, Self.wordLetter * length) : Self.letter * length
    }

    private mutating func scalar(_ first: UInt8) {
        defer { skipScalar() }
        switch first {
        case ..<0xC0: break
        case ..<0xD6: units += Self.twoByteScalar
        case ..<0xE0: units += Self.semiticScalar
        // U+2000 to U+2DFF are marks and symbols; from U+A000 on come Yi and others, then Hangul.
        case 0xE3...0xE9: units += Self.ideograph
        case ..<0xF0: units += Self.otherScalar
        default: units += Self.fourByteScalar
        }
    }

    private mutating func skipScalar() {
        index += 1
        while index < bytes.count, bytes[index] & 0xC0 == 0x80 { index += 1 }
    }

    @discardableResult
    private mutating func skip(_ belongs: (UInt8) -> Bool) -> Int {
        let start = index
        while index < bytes.count, belongs(bytes[index]) { index += 1 }
        return index - start
    }

    private static func isCapital(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
