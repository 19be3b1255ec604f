// The parts of a system prompt, and the prompt that fits a window: where they are too long together, parts are cut in a
// fixed order, the least needed first. Pure; the same parts and bound give the same bytes.
import Providers

struct PromptSections: Sendable, Hashable {
    /// The parts that may be cut, in the order of cutting. Other parts are never cut.
    enum Part: Int, Sendable, Hashable, CaseIterable {
        case history, skillList, activeSkills, summary, memory, user, soul, agents
    }

    struct Section: Sendable, Hashable {
        /// nil: it always stays as it is.
        var part: Part?
        var title: String
        var text: String

        var whole: String { title.isEmpty ? text : "\(title)\n\n\(text)" }
    }

    private static let separator = "\n\n---\n\n"
    /// A part that would have fewer tokens than this is left out as a whole.
    private static let leastPart = 60
    private static let cutMark = "\n[cut here: the model's window is small]"

    /// In the order of the prompt; those without text are left out.
    let sections: [Section]

    init(_ sections: [Section]) { self.sections = sections.filter { !$0.text.isEmpty } }

    var text: String { Self.joined(sections) }

    /// Estimated tokens of the parts that are never cut.
    var leastTokens: Int { TokenEstimate.tokens(Self.joined(sections.filter { $0.part == nil })) }

    /// - Parameter limit: estimated tokens; at least `leastTokens`, else those that always stay are the prompt.
    func message(within limit: Int) -> ChatMessage {
        var kept = sections
        var size = TokenEstimate.tokens(Self.joined(kept))
        for part in Part.allCases where size > limit {
            guard let index = kept.firstIndex(where: { $0.part == part }) else { continue }
            let own = TokenEstimate.tokens(kept[index].whole)
            let room = own - (size - limit)
            kept[index].text = room < Self.leastPart ? "" : Self.cut(kept[index].text, part, from: own, to: room)
            kept = PromptSections(kept).sections
            size = TokenEstimate.tokens(Self.joined(kept))
        }
        var message = ChatMessage.system(Self.joined(kept))
        // Behind these parts come those that turns and memory jobs change.
        let stable = kept.prefix { $0.part == nil || [.agents, .soul, .user].contains($0.part) }
        if stable.count < kept.count { message.stableBytes = Self.joined(Array(stable)).utf8.count }
        return message
    }

    private static func joined(_ sections: [Section]) -> String {
        sections.map(\.whole).joined(separator: separator)
    }

    /// The beginning of a text, of the memory its newest entries, shortened until the estimate is below the bound.
    private static func cut(_ text: String, _ part: Part, from own: Int, to room: Int) -> String {
        var length = text.count * room / max(own, 1)
        while length > 0 {
            let short = part == .memory ? MemoryExcerpt.newest(text, limit: length) : String(text.prefix(length)) + cutMark
            if TokenEstimate.tokens(short) + 8 <= room { return short }
            length = length * 9 / 10
        }
        return ""
    }
}
