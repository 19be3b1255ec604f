// Makes conversation and turn fit the room of a request. The oldest messages are shortened first: results and arguments
// become markers. Then whole exchanges are left out. Question, newest exchange and newest round of calls stay as long as
// anything else can go. A call and its result are never separated. Pure: the same input gives the same bytes.
//
// The shortening moves in steps, so that the beginning of a conversation stays the same over many turns and providers can
// cache it: the conversation is cut into blocks of a quarter of the room, counted from its beginning. At level n the
// messages of the blocks before n are in short form, and the exchanges of the blocks before n - 2 are left out. The lowest
// level that fits is taken; a conversation that grows by a block moves it by one.
import Providers

struct ContextBudget: Sendable, Hashable {
    private static let blocks = 4
    /// Tokens of a block at least.
    private static let leastBlock = 64
    /// Blocks that stay in short form before their exchanges go.
    private static let shortBlocks = 2
    /// Characters that are left of a long result of the newest round when no other shortening is enough.
    static let lastResortCharacters = 1_000

    struct Fitted: Sendable, Hashable {
        var messages: [ChatMessage]
        /// Messages of older exchanges that are left out.
        var hidden: Int
        /// Whether it has room at all.
        var fits: Bool
    }

    /// For conversation and turn, in estimated tokens.
    let tokens: Int

    /// - Parameters:
    ///   - history: older turns, beginning with a user's message.
    ///   - turn: the current one: the question, then what followed.
    func fit(history: [ChatMessage], turn: [ChatMessage]) -> Fitted {
        // The usual case, in which no short form has to be made.
        if TokenEstimate.tokens(history) + TokenEstimate.tokens(turn) <= tokens {
            return Fitted(messages: history + turn, hidden: 0, fits: true)
        }
        var packing = Packing(history: history, turn: turn, blockTokens: max(Self.leastBlock, tokens / Self.blocks))
        for level in 0...packing.highestLevel + Self.shortBlocks + 1 {
            packing.take(level, droppingBefore: level - Self.shortBlocks)
            if packing.size <= tokens { return packing.fitted(true) }
        }
        for step in Packing.lastResorts {
            step(&packing, tokens)
            if packing.size <= tokens { return packing.fitted(true) }
        }
        return packing.fitted(false)
    }
}

/// The messages of one request on their way to a size.
private struct Packing {
    private struct Piece {
        var message: ChatMessage
        var size: Int
        var whole: ChatMessage
        var wholeSize: Int
        var short: ChatMessage
        var shortSize: Int
        /// The block of the conversation in which this message begins, and the block in which its exchange ends.
        var block: Int
        var lastBlock: Int
        var isHistory: Bool
        /// Of the newest exchange, whose words stay.
        var isNewest: Bool
        /// Of the newest round of the turn, which the model has not answered yet.
        var isLastRound: Bool
        var isDropped = false
    }

    private var pieces: [Piece] = []
    private(set) var size = 0
    private(set) var highestLevel = 0

    init(history: [ChatMessage], turn: [ChatMessage], blockTokens: Int) {
        var position = 0
        func piece(_ message: ChatMessage, isHistory: Bool, isLastRound: Bool) -> Piece {
            let short = ShortForms.message(message)
            let size = TokenEstimate.tokens(message)
            defer { position += size }
            return Piece(
                message: message, size: size, whole: message, wholeSize: size, short: short,
                shortSize: TokenEstimate.tokens(short), block: position / blockTokens, lastBlock: 0, isHistory: isHistory,
                isNewest: false, isLastRound: isLastRound)
        }
        let newest = history.lastIndex { $0.role == .user } ?? 0
        for (index, message) in history.enumerated() {
            var one = piece(message, isHistory: true, isLastRound: false)
            one.isNewest = index >= newest
            pieces.append(one)
        }
        let lastRound = turn.lastIndex { $0.role == .assistant && !$0.toolCalls.isEmpty } ?? turn.endIndex
        for (index, message) in turn.enumerated() {
            pieces.append(piece(message, isHistory: false, isLastRound: index >= lastRound))
        }
        markExchangeEnds()
        size = pieces.reduce(0) { $0 + $1.size }
        highestLevel = pieces.last?.block ?? 0
    }

    private mutating func markExchangeEnds() {
        var last = 0
        for index in pieces.indices.reversed() {
            let isEnd = index + 1 == pieces.count || pieces[index + 1].message.role == .user
            if isEnd { last = pieces[index].block }
            pieces[index].lastBlock = last
        }
    }

    func fitted(_ fits: Bool) -> ContextBudget.Fitted {
        let hidden = pieces.count { $0.isDropped && !$0.isNewest }
        return .init(messages: pieces.filter { !$0.isDropped }.map(\.message), hidden: hidden, fits: fits)
    }

    /// - Parameters:
    ///   - level: pieces of earlier blocks are in short form.
    ///   - block: exchanges that end before it are left out.
    mutating func take(_ level: Int, droppingBefore block: Int) {
        for index in pieces.indices {
            let piece = pieces[index]
            if piece.isHistory, !piece.isNewest, piece.lastBlock < block {
                drop(index)
            } else if piece.block < level, !piece.isLastRound {
                set(index, piece.short, piece.shortSize)
            }
        }
    }

    /// Shortenings for a question, newest exchange and newest round that are too long by themselves. They are applied in this order.
    static let lastResorts: [@Sendable (inout Packing, Int) -> Void] = [
        { packing, limit in packing.cutLastRound(limit, to: ContextBudget.lastResortCharacters) },
        { packing, limit in
            for index in packing.pieces.indices where packing.size > limit && packing.pieces[index].isLastRound {
                let piece = packing.pieces[index]
                if piece.message.role == .assistant { packing.set(index, piece.short, piece.shortSize) }
            }
        },
        { packing, _ in
            // The newest exchange keeps its question and its answer.
            for index in packing.pieces.indices where packing.pieces[index].isNewest {
                let message = packing.pieces[index].message
                if message.role == .tool || !message.toolCalls.isEmpty { packing.drop(index) }
            }
        },
        { packing, limit in packing.dropOldRounds(limit) },
        { packing, _ in
            for index in packing.pieces.indices where packing.pieces[index].isHistory { packing.drop(index) }
        },
        { packing, limit in packing.cutLastRound(limit, to: ContextBudget.lastResortCharacters / 10) },
    ]

    private mutating func cutLastRound(_ limit: Int, to characters: Int) {
        for index in pieces.indices where size > limit && pieces[index].isLastRound {
            let cut = ShortForms.beginning(pieces[index].message, characters: characters)
            set(index, cut, TokenEstimate.tokens(cut))
        }
    }

    /// Rounds of the turn before the newest one, the oldest first: calls with their results.
    private mutating func dropOldRounds(_ limit: Int) {
        for index in pieces.indices where !pieces[index].isHistory && !pieces[index].isLastRound {
            let message = pieces[index].message
            let isCall = message.role == .assistant && !message.toolCalls.isEmpty
            if isCall, size <= limit { return }
            if isCall || message.role == .tool { drop(index) }
        }
    }

    private mutating func set(_ index: Int, _ message: ChatMessage, _ newSize: Int) {
        guard !pieces[index].isDropped, newSize < pieces[index].size else { return }
        size += newSize - pieces[index].size
        pieces[index].message = message
        pieces[index].size = newSize
    }

    private mutating func drop(_ index: Int) {
        guard !pieces[index].isDropped else { return }
        size -= pieces[index].size
        pieces[index].isDropped = true
    }
}
