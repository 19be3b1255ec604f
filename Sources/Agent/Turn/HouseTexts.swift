// The few sentences nanobot itself says in a turn: to the model (always English) and, where a model gave no answer, to
// the user (in the user's language). Pure values.

struct HouseTexts: Sendable {
    private let isChinese: Bool

    /// The language of the words wins over the preference: a chat answers in the language it is written in.
    init(language: String, userMessage: String, kind: TurnKind) {
        let prefersChinese = language.lowercased().hasPrefix("zh")
        let hasLetters = userMessage.contains(where: \.isLetter)
        isChinese =
            kind == .chat && hasLetters ? userMessage.unicodeScalars.contains(where: Self.isHan) : prefersChinese
    }

    private static func isHan(_ scalar: Unicode.Scalar) -> Bool {
        (0x3400...0x9FFF).contains(scalar.value) || (0x20000...0x3FFFF).contains(scalar.value)
    }

    // MARK: - To the model

    let continueAnswer =
        "Your answer was cut off at the output limit. Continue exactly where it stopped; repeat nothing, no preface."
    let finalisation =
        "You have not answered yet. Write the final answer for the user now, as plain text, from what is known so far. "
        + "Say plainly what could not be found out. Call no tools."
    let toolsUsedUp =
        "The tool calls for this turn are used up. Write the final answer for the user now from the results above, in "
        + "the user's language. Say plainly what is missing. Call no tools."

    // MARK: - To the user

    var emptyAnswer: String {
        isChinese
            ? "抱歉，模型多次没有返回任何内容，这次无法给出回答。你的消息已保留，请稍后再试。"
            : "Sorry, the model returned nothing, several times, so there is no answer this time. "
                + "Your message is kept; please try again later."
    }

    /// Behind the beginning of an answer.
    var brokenOff: String {
        isChinese
            ? "（回答到此中断：模型服务商的内容过滤或模型本身拒绝继续。）"
            : "(The answer breaks off here: the model or its provider's content filter refused to go on.)"
    }

    /// Behind the beginning of an answer.
    var windowFull: String {
        isChinese
            ? "（回答到此中断：对话已占满模型的上下文窗口。用 /new 可以开始新的对话。）"
            : "(The answer breaks off here: the conversation fills the model's context window. /new begins a new one.)"
    }

    /// Behind the beginning of an answer. The model reads these four, too, in later turns.
    var stoppedHere: String {
        isChinese ? "（用户在此停止了回答；除非用户要求，不再继续。）" : "(Stopped here by the user; not to be continued unless asked.)"
    }

    /// In place of an answer.
    var stoppedUnanswered: String {
        isChinese ? "（用户已停止这个请求，不再回答。）" : "(Stopped by the user before an answer; not to be answered any more.)"
    }

    /// Behind the beginning of an answer.
    var failedHere: String {
        isChinese ? "（请求没有完成，回答到此中断。）" : "(The answer breaks off here: the request could not be completed.)"
    }

    /// In place of an answer.
    var failedUnanswered: String {
        isChinese
            ? "（这个请求没有完成，没有回答；除非用户再次提出，不再处理。）"
            : "(This request could not be completed and has no answer; not to be taken up unless asked again.)"
    }

    var filteredAnswer: String {
        isChinese
            ? "抱歉，模型服务商的内容过滤拦截了这次回答。请换一种说法再试；如果每次都这样，用 /new 开始新的对话。"
            : "Sorry, the model provider's content filter withheld the answer. Please try to say it differently; "
                + "if that does not help, begin a new conversation with /new."
    }
}
