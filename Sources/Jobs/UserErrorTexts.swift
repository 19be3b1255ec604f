// The sentence that an end user reads where a job did not succeed: by the error's code, in Chinese or English. The
// detail that the job's record keeps is for operators: it may name settings, environment variables, addresses and a
// vendor's words. Pure; any thread.

public enum UserErrorTexts {
    /// - Parameters:
    ///   - detail: the operator's words. They are shown for the few codes whose words are written for users.
    ///   - language: of the user, such as "zh". Languages other than Chinese get English.
    public static func sentence(code: String, detail: String, language: String) -> String {
        if ownWords.contains(code), !detail.isEmpty { return detail }
        let text = texts[code] ?? other
        return language.lowercased().hasPrefix("zh") ? text.chinese : text.english
    }

    /// The language of a job's user: a chat is answered in the language it is written in.
    /// - Parameters:
    ///   - message: of a chat; nil for other jobs.
    ///   - preferred: as the job or the user's preferences say.
    static func language(message: String?, preferred: String) -> String {
        guard let message, message.contains(where: \.isLetter) else { return preferred }
        let isChinese = message.unicodeScalars.contains { (0x3400...0x9FFF).contains($0.value) || $0.value >= 0x20000 }
        return isChinese ? "zh" : preferred.lowercased().hasPrefix("zh") ? "en" : preferred
    }

    private typealias Text = (english: String, chinese: String)

    /// Codes of our own whose detail says to the user what is used up or suspended, and until when.
    private static let ownWords: Set<String> = [
        "budget_tokens", "budget_cost", "user_suspended", "model_not_allowed", "user_not_found", "invalid_job", "contradiction",
    ]

    private static let other: Text = (
        "The request could not be completed. Please try again later; if it fails again, tell the operator of this service.",
        "这次请求未能完成。请稍后再试；如果仍然失败，请联系本服务的管理员。"
    )

    private static let busy: Text = (
        "The language model is busy at the moment. Please try again in a few minutes.", "语言模型目前繁忙，请过几分钟再试。"
    )

    private static let away: Text = (
        "The language model cannot be reached at the moment. Please try again later.", "语言模型暂时无法使用，请稍后再试。"
    )

    private static let misread: Text = (
        "The language model's answer could not be used. Please try again; if it fails again, tell the operator of this service.",
        "语言模型的回答无法使用。请再试一次；如果仍然失败，请联系本服务的管理员。"
    )

    private static let setup: Text = (
        "This service cannot use its language model as it is set up. Please tell the operator of this service.",
        "本服务的语言模型配置有误，暂时无法使用。请联系本服务的管理员。"
    )

    private static let disk: Text = (
        "The service cannot store anything at the moment. Please try again later.", "服务暂时无法保存数据，请稍后再试。"
    )

    private static let texts: [String: Text] = [
        "rate_limited": busy, "overloaded": busy,
        "connection": away, "unavailable": away, "provider_paused": away, "model_paused": away, "requests_used_up": away,
        "bad_response": misread,
        "authentication": setup, "bad_request": setup, "model_unpriced": setup,
        "storage": disk, "lock_timeout": disk, "journal": disk,
        "quota": (
            "The service's account at the provider of its language model has no balance or quota left. "
                + "Please tell the operator of this service.",
            "本服务在语言模型服务商的账户余额或额度不足（余额不足），请联系本服务的管理员。"
        ),
        "timeout": (
            "The request took too long and was ended. Please try again, or ask for less at once.",
            "这次请求用时过长，已被中止。请再试一次，或把问题拆小一些。"
        ),
        "context_length": (
            "The conversation is too long for the language model. Begin a new one with /new, or send a shorter message.",
            "对话内容超出了语言模型的长度限制。请用 /new 开始新的对话，或发送更短的内容。"
        ),
        "content_filter": (
            "The language model's provider refused the request by its content filter. Please try to say it differently.",
            "语言模型服务商的内容过滤拒绝了这次请求，请换一种说法再试。"
        ),
        "session_full": (
            "This conversation is full. Begin a new one, or delete this one.", "这个对话已满。请开始新的对话，或删除这个对话。"
        ),
        "history_missing": (
            "The earlier messages of this conversation are no longer there. Send them again, or begin a new conversation.",
            "这个对话之前的消息已不存在。请重新发送，或开始新的对话。"
        ),
        "expired": ("The request was not begun in time.", "这次请求没有在规定的时间内开始处理。"),
        "cancelled": ("The request was cancelled.", "这次请求已取消。"),
        "crash_loop": (
            "The service failed at this request several times and has given it up. Please tell the operator of this service.",
            "服务多次处理这次请求都失败了，已放弃处理。请联系本服务的管理员。"
        ),
    ]
}
