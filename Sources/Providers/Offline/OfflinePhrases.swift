// What the offline provider says in its own name, in English and Chinese. Pure, any thread.
import Foundation
import TextFormats

enum OfflinePhrases {
    /// How to get a language model, in both languages.
    static let modelCommand = "NANOBOT_MODEL=openai/gpt-4o-mini OPENAI_API_KEY=… nanobot serve"

    static func identity(_ say: OfflineLanguage) -> String {
        say(
            """
            I'm nanobot's built-in offline assistant. I am not a language model: I follow fixed rules and call real \
            tools (watchlist, quotes, news, memory, files, schedule). For free conversation, start nanobot with a \
            model: `\(modelCommand)`
            """,
            """
            我是 nanobot 内置的离线助手，不是语言模型：我按固定规则理解消息，并真实调用工具（自选股、行情、资讯、记忆、文件、日程）。\
            如需自由对话，请配置模型后启动：`\(modelCommand)`
            """)
    }

    static func greeting(_ scope: OfflineScope) -> String {
        let name = scope.turn.context.user.map { " \(plain($0))" } ?? ""
        return scope.language(
            "Hello\(name)! I'm nanobot's offline assistant (rules and tools, no language model). Say "
                + "\"help\" to see what I can do.",
            "你好\(name)！我是 nanobot 离线助手（规则加工具，不是语言模型）。发送“帮助”可以查看我能做什么。")
    }

    static func wellBeing(_ say: OfflineLanguage) -> String {
        say(
            "All running, thank you. I'm a set of rules rather than a language model, so I have no moods. "
                + "What can I do for you?",
            "一切运行正常，谢谢。我是一套规则而不是语言模型，没有心情好坏。有什么可以帮你？")
    }

    static func help(_ say: OfflineLanguage) -> String {
        say(
            """
            Without a language model I can do these things:
            - watchlist: "what's on my watchlist", "add TSLA and AAPL to my watchlist", "remove NVDA", \
            "add keyword chips"
            - prices: "how is AAPL doing", "how is my watchlist doing"
            - news: "any news about chips"
            - reports: "write my daily report", "send my report at 07:30", "stop weekly reports"
            - memory: "remember that I prefer dividends", "what do you know about me", "forget dividends"
            - files: "list my files", "read data/quotes.csv", "save a note: call the broker"
            - settings: "change my timezone to Asia/Shanghai", "switch language to English", "when is my next report"
            For everything else I need a model: `\(modelCommand)`
            """,
            """
            没有语言模型时，我可以做这些事：
            - 自选股：“我的自选股有哪些”“把腾讯加入自选”“删除 TSLA”“添加关键词 芯片”
            - 行情：“AAPL 现在多少钱”“我的自选股今天怎么样”
            - 资讯：“芯片有什么新闻”
            - 报告：“生成今天的日报”“每天早上8点发报告”“停止周报”
            - 记忆：“记住我偏好分红股”“你知道我什么”“忘记分红股”
            - 文件：“列出我的文件”“读取 data/quotes.csv”“写笔记：给券商打电话”
            - 设置：“时区改成 Asia/Shanghai”“语言改成英文”“下一份报告什么时候”
            其他问题需要配置模型：`\(modelCommand)`
            """)
    }

    static func unknown(_ scope: OfflineScope) -> String {
        scope.language(
            """
            I can't answer that: I'm nanobot's offline assistant, not a language model, and I only understand a fixed \
            set of requests. I can manage your watchlist, look up quotes and news from your data, write \
            reports, remember things, work with your files and change your settings. Say "help" for examples. For everything else set a \
            model: `\(modelCommand)`
            """,
            """
            这个我回答不了：我是 nanobot 离线助手，不是语言模型，只能理解一些固定的请求。我可以管理自选股、查询数据中的行情和资讯、\
            写报告、记住事情、读写文件、修改设置。发送“帮助”查看示例。其他问题需要配置模型：`\(modelCommand)`
            """)
    }

    static func clock(_ scope: OfflineScope) -> String {
        guard let time = scope.turn.context.time else {
            return scope.language("I don't know the time: it was not given to me.", "我不知道现在的时间：没有提供给我。")
        }
        let moment = LocalMoment(time, zone: scope.turn.context.timeZone)
        let english = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
        let chinese = ["日", "一", "二", "三", "四", "五", "六"]
        return scope.language(
            "It is \(english[moment.weekday - 1]), \(moment.day), \(moment.clock) (\(moment.zone)).",
            "现在是 \(moment.day) 星期\(chinese[moment.weekday - 1]) \(moment.clock)（\(moment.zone)）。")
    }

    static func toolMissing(_ tool: String, _ say: OfflineLanguage) -> String {
        say(
            "I can't do that here: the tool `\(tool)` is not available in this conversation.",
            "这里做不到：本次对话没有提供工具 `\(tool)`。")
    }

    /// A failed call, told as it is.
    static func failure(_ tool: String, _ outcome: ToolOutcome, _ say: OfflineLanguage) -> String {
        let reason: String
        switch outcome {
        case .failed(let code, let detail): reason = detail.isEmpty ? code : "\(plain(detail)) (\(plain(code)))"
        case .text(let text): reason = plain(text)
        case .value(let json): reason = plain(json.text())
        }
        return say("That did not work: `\(tool)` reported: \(reason)", "没有成功：`\(tool)` 报告：\(reason)")
    }

    /// Foreign text on one line, bounded, without what Markdown would read as markup for a block or a link.
    static func plain(_ text: String, limit: Int = 300) -> String {
        let line = text.split(whereSeparator: { $0.isWhitespace || $0.isNewline }).joined(separator: " ")
        let cut = line.count > limit ? line.prefix(limit - 1) + "…" : line[...]
        return String(cut).filter { !$0.unicodeScalars.contains { $0.value < 0x20 } }
    }

    /// The same for a place inside a line of Markdown: table cells, list items, link labels. Words stay readable: an
    /// underscore inside a word is no markup.
    static func markdown(_ text: String, limit: Int = 300) -> String {
        let characters = Array(plain(text, limit: limit))
        func isWord(_ index: Int) -> Bool {
            characters.indices.contains(index) && (characters[index].isLetter || characters[index].isNumber)
        }
        var result = ""
        for (index, character) in characters.enumerated() {
            let isInWord = character == "_" && isWord(index - 1) && isWord(index + 1)
            if "\\`*_[]|<".contains(character), !isInWord { result.append("\\") }
            result.append(character)
        }
        return result
    }

    /// A number as it was given: no digit added, none lost, no exponent at usual sizes.
    static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }

    static func signed(_ value: Double) -> String { (value > 0 ? "+" : "") + number(value) }

    /// "2026-11-23 21:00 UTC"; the day alone for a midnight, which is how files give a day.
    static func time(_ text: String) -> String {
        guard let date = RFC3339.date(text) else { return plain(text, limit: 40) }
        let full = RFC3339.string(date)
        let clock = full.dropFirst(11).prefix(5)
        return full.hasSuffix("T00:00:00.000Z") ? String(full.prefix(10)) : "\(full.prefix(10)) \(clock) UTC"
    }

    static func list(_ items: [String], _ say: OfflineLanguage) -> String {
        items.map { plain($0, limit: 80) }.joined(separator: say(", ", "、"))
    }
}
