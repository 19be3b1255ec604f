import Testing

@testable import Providers

@Suite("Reasoning inside the text of an answer")
struct ReasoningFilterTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var text: String
        var visible: String
        var reasoning: String
        var startsInside = false
        var endsInside = false

        init(_ text: String, _ visible: String, _ reasoning: String, inside: Bool = false, unclosed: Bool = false) {
            self.text = text
            self.visible = visible
            self.reasoning = reasoning
            startsInside = inside
            endsInside = unclosed
        }

        var testDescription: String { text }
    }

    static let cases: [Case] = [
        Case("<think>secret plan</think>\n\nYour list is empty.", "Your list is empty.", "secret plan"),
        Case("\n <think>\na\n</think>\n\nB", "B", "\na\n"),
        Case("<think>a</think><think>b</think>\nC", "C", "ab"),
        Case("<think>a</think>\nOne.\n<think>b</think>\nTwo.", "One.\n\nTwo.", "ab"),
        Case("One <think>b</think> two.", "One  two.", "b"),
        Case("<think></think>\n\nhi", "hi", ""), Case("<THINK>a</Think >b", "b", "a"),
        Case("<think id=\"1\">a</think>b", "b", "a"), Case("<thinking>a</thinking>b", "b", "a"),
        Case("<think>a</thinking>b", "b", "a"), Case("<thought>a</thought>b", "b", "a"),
        Case("<reasoning>a</reasoning>b", "b", "a"), Case("<seed:think>a</seed:think>b", "b", "a"),
        Case("[THINK]a[/THINK]b", "b", "a"), Case("◁think▷a◁/think▷b", "b", "a"),
        Case("<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>b<|end_of_solution|>", "b", "a"),
        Case("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "b", "a"),
        Case("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "b", "a"),
        Case("<think>speaks of `</think>` here</think>b", "b", "speaks of `</think>` here"),
        // Never closed.
        Case("<think>a and b", "", "a and b", unclosed: true), Case("Yes.\n<think>hm", "Yes.\n", "hm", unclosed: true),
        Case("<think>", "", "", unclosed: true),
        // Without an opening tag.
        Case("secret plan</think>\nYour list is empty.", "Your list is empty.", "secret plan"),
        Case("don`t say</think>\nB", "B", "don`t say"),
        Case("secret</think>\nB", "B", "secret", inside: true), Case("no tag at all", "no tag at all", "", inside: true),
        Case("\n<think>a</think>b", "b", "a", inside: true), Case("a\n```\nx\n```\n</think>B", "B", "a\n```\nx\n```\n", inside: true),
        // Only text.
        Case("Use `<think>` here", "Use `<think>` here", ""), Case("`` <think> ` ``", "`` <think> ` ``", ""),
        Case("```\n<think>a</think>\n```\nx", "```\n<think>a</think>\n```\nx", ""),
        Case("~~~\n</think>\n~~~", "~~~\n</think>\n~~~", ""), Case("The tag \"<think>\" opens.", "The tag \"<think>\" opens.", ""),
        Case("Put <think> in front", "Put <think> in front", ""), Case("a < b, <thin>, [THIN], ◁", "a < b, <thin>, [THIN], ◁", ""),
        Case("<thinker>a</thinker>", "<thinker>a</thinker>", ""), Case("  plain", "  plain", ""), Case("", "", ""),
        Case("价格 [1] <b>好</b>", "价格 [1] <b>好</b>", ""),
    ]

    private func run(_ pieces: [String], inside: Bool) -> (ReasoningFilter, sent: String) {
        var filter = ReasoningFilter(startsInside: inside)
        var sent = ""
        for piece in pieces { sent += filter.feed(piece) }
        sent += filter.finish()
        return (filter, sent)
    }

    @Test("is kept apart, wherever the text is cut", arguments: cases)
    func split(one: Case) {
        let characters = one.text.map(String.init)
        var ways = [[one.text], characters]
        for cut in 0...characters.count {
            ways.append([characters[..<cut].joined(), characters[cut...].joined()])
        }
        for pieces in ways {
            let (filter, sent) = run(pieces, inside: one.startsInside)
            #expect(filter.visible == one.visible, "\(pieces)")
            #expect(filter.reasoning == one.reasoning, "\(pieces)")
            #expect(filter.endsInside == one.endsInside, "\(pieces)")
            if !filter.isRetracted { #expect(sent == filter.visible, "\(pieces)") }
        }
    }

    @Test("text without any tag is passed on at once")
    func prompt() {
        var filter = ReasoningFilter()
        #expect(filter.feed("Your ") == "Your ")
        #expect(filter.feed("list <") == "list ")
        #expect(filter.feed("b>") == "<b>")
        #expect(filter.feed(" is `") == " is `")
        #expect(filter.feed("x`") == "x`")
    }

    @Test("a closing tag alone takes back what was passed on, and nothing more is passed on")
    func retracted() {
        var filter = ReasoningFilter()
        #expect(filter.feed("secret plan") == "secret plan")
        #expect(filter.feed("</think>\nYour list") == "")
        #expect(filter.isRetracted)
        #expect(filter.startedInside)
        #expect(filter.feed(" is empty.") == "")
        #expect(filter.finish() == "")
        #expect(filter.visible == "Your list is empty.")
    }

    @Test("a model that is known to start inside its reasoning shows nothing of it")
    func known() {
        var filter = ReasoningFilter(startsInside: true)
        #expect(filter.feed("secret plan") == "")
        #expect(filter.feed("</think>\nYour list") == "Your list")
        #expect(filter.feed(" is empty.") == " is empty.")
        #expect(!filter.isRetracted)
    }
}
