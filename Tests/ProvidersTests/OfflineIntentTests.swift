import Testing
import TextFormats

@testable import Providers

@Suite("What the offline rules understand")
struct OfflineIntentTests {
    private func check(_ text: String, _ expected: OfflineIntent, _ location: SourceLocation) {
        #expect(IntentReader.intents(in: text) == [expected], "\(text)", sourceLocation: location)
    }

    private func check(_ cases: [String], _ expected: OfflineIntent, _ location: SourceLocation = #_sourceLocation) {
        for text in cases { check(text, expected, location) }
    }

    @Test("showing the watchlist is asked for in many ways")
    func showWatchlist() {
        check(
            [
                "what's on my watchlist", "What is on my watchlist?", "show me my watchlist please", "my watchlist",
                "Which stocks do I follow?", "what stocks are on my watchlist", "list my stocks", "我的自选股有哪些",
                "我的自选股有哪些？", "看看我的自选", "请问我的自选股里有什么股票", "我关注了哪些股票", "我的关注列表",
            ], .showWatchlist)
    }

    @Test("two wishes joined in one sentence are both understood, and a refusal in one of them spoils both")
    func joined() {
        let both: [(String, [OfflineIntent])] = [
            ("What is on my watchlist, and how is it doing?", [.showWatchlist, .watchlistQuotes]),
            ("show my watchlist and how are they doing today", [.showWatchlist, .watchlistQuotes]),
            ("add TSLA to my watchlist and show me my watchlist",
                [.addToWatchlist(kind: nil, items: ["TSLA"]), .showWatchlist]),
            ("看看我的自选，今天表现怎么样", [.showWatchlist, .watchlistQuotes]),
            ("do not sell anything and remove NVDA", [.unknown]),
            ("if it rains, clear my watchlist", [.unknown]),
        ]
        for (text, intents) in both { #expect(IntentReader.intents(in: text) == intents, "\(text)") }
    }

    @Test("entries are added with their kind; tickers become capitals, names stay as written")
    func add() {
        check(
            [
                "add TSLA and AAPL to my watchlist", "Please add tsla, aapl to my watchlist.",
                "put $TSLA and $AAPL on my watchlist",
                "Could you add TSLA & AAPL to the watch list?", "把 TSLA 和 AAPL 加入自选", "将TSLA、AAPL加到我的自选股里",
                "add TSLA AAPL",
            ],
            .addToWatchlist(kind: nil, items: ["TSLA", "AAPL"]))
        check(["把腾讯加入自选", "请帮我把腾讯加入自选股", "关注腾讯", "把腾讯加到我的自选列表吧"], .addToWatchlist(kind: nil, items: ["腾讯"]))
        check(["add Berkshire Hathaway to my watchlist"], .addToWatchlist(kind: nil, items: ["Berkshire Hathaway"]))
        check(["把同和药业和腾讯加入自选"], .addToWatchlist(kind: nil, items: ["同和药业", "腾讯"]))
        check(["add 0700.hk to my watchlist"], .addToWatchlist(kind: nil, items: ["0700.HK"]))
        check(
            [
                "add keyword AI chips", "add AI chips to my keywords", "track the keyword AI chips", "添加关键词 AI chips",
                "把AI chips加入关键词",
            ], .addToWatchlist(kind: .keywords, items: ["AI chips"]))
        check(
            ["follow influencer Elon Musk", "add Elon Musk to my influencers", "关注大V Elon Musk"],
            .addToWatchlist(kind: .influencers, items: ["Elon Musk"]))
        check(
            ["把半导体加入行业", "添加板块：半导体", "关注行业半导体"],
            .addToWatchlist(kind: .sectors, items: ["半导体"]))
    }

    @Test("entries are removed")
    func remove() {
        check(
            [
                "remove NVDA", "Remove NVDA from my watchlist", "delete NVDA.", "删除 NVDA", "把NVDA从自选里删除", "取消关注NVDA",
                "unfollow nvda", "take NVDA off my watchlist", "从自选股中移除NVDA",
            ],
            .removeFromWatchlist(kind: nil, items: ["NVDA"]))
        check(["remove AI from my keywords", "删除关键词 AI"], .removeFromWatchlist(kind: .keywords, items: ["AI"]))
        check(["clear my watchlist", "清空自选股", "remove everything from my watchlist"], .clearWatchlist(kind: nil))
    }

    @Test("prices are asked for by ticker or name")
    func quotes() {
        check(
            [
                "how is AAPL doing", "How's aapl doing today?", "what is the price of AAPL", "AAPL price", "AAPL?",
                "$AAPL",
                "AAPL 现在多少钱", "AAPL现在多少钱？", "AAPL今天怎么样", "查一下AAPL的股价", "how much is AAPL", "what's AAPL trading at",
            ],
            .quotes(items: ["AAPL"]))
        check(["腾讯股价多少", "腾讯现在多少钱", "腾讯今天涨了吗", "腾讯怎么样"], .quotes(items: ["腾讯"]))
        check(["how are TSLA and AAPL doing"], .quotes(items: ["TSLA", "AAPL"]))
        check(["how is my watchlist doing", "How are my stocks doing today?", "我的自选股今天怎么样"], .watchlistQuotes)
    }

    @Test("memory is filled, asked and emptied")
    func memory() {
        check(
            [
                "remember that I prefer dividends", "Please remember: I prefer dividends",
                "remember I prefer dividends",
                "don't forget that I prefer dividends",
            ], .remember("I prefer dividends"))
        check(["记住我偏好分红股", "请记住：我偏好分红股", "记一下，我偏好分红股", "帮我记住我偏好分红股"], .remember("我偏好分红股"))
        check(
            [
                "what do you know about me", "What do you remember about me?", "你知道我什么", "你都知道我什么？", "你对我了解多少",
                "你记住了什么", "who am i",
            ], .recall(topic: nil))
        check(["forget that I prefer dividends", "forget about I prefer dividends"], .forget("I prefer dividends"))
        check(["忘记分红股", "忘掉关于分红股"], .forget("分红股"))
        check(["what is my risk preference"], .recall(topic: "risk preference"))
    }

    @Test("files are listed, read and written")
    func files() {
        check(
            ["list my files", "What files do I have?", "show files", "列出我的文件", "我有哪些文件", "ls"], .listFiles(path: "."))
        check(["list files in data", "ls data", "data目录里有什么"], .listFiles(path: "data"))
        check(
            [
                "read data/quotes.csv", "open the file data/quotes.csv", "what is in data/quotes.csv?",
                "读取 data/quotes.csv",
                "打开文件data/quotes.csv",
            ], .readFile(path: "data/quotes.csv"))
        check(
            [
                "save a note: call the broker", "take a note that call the broker", "note: call the broker",
                "写笔记：call the broker",
            ],
            .saveNote(content: "call the broker"))
        check(
            [
                "save \"buy low\" to notes/a.md", "把“buy low”保存到 notes/a.md",
                "create a file notes/a.md with the text buy low",
            ],
            .writeFile(path: "notes/a.md", content: "buy low"))
        check(
            ["replace \"low\" with \"high\" in notes/a.md", "把notes/a.md里的low改成high"],
            .editFile(path: "notes/a.md", old: "low", new: "high"))
    }

    @Test("report times, zones, languages and frequencies become preferences")
    func preferences() throws {
        let cases: [(String, String)] = [
            (#"send my report at 07:30"#, #"{"report_time":"07:30"}"#),
            (#"Please send me my daily report every day at 7:30 am"#, #"{"report_time":"07:30"}"#),
            (#"change my report time to 6pm"#, #"{"report_time":"18:00"}"#),
            (#"每天早上8点发报告"#, #"{"report_time":"08:00"}"#),
            (#"每天晚上八点半给我发日报"#, #"{"report_time":"20:30"}"#),
            (#"把报告时间改成7:30"#, #"{"report_time":"07:30"}"#),
            (#"每天 8:05 推送一份报告"#, #"{"report_time":"08:05"}"#),
            (#"change my timezone to Asia/Shanghai"#, #"{"timezone":"Asia/Shanghai"}"#),
            (#"set my time zone to New York"#, #"{"timezone":"America/New_York"}"#),
            (#"时区改成 Asia/Tokyo"#, #"{"timezone":"Asia/Tokyo"}"#),
            (#"把我的时区设为北京时间"#, #"{"timezone":"Asia/Shanghai"}"#),
            (#"switch language to English"#, #"{"language":"en"}"#),
            (#"语言改成中文"#, #"{"language":"zh"}"#),
            (#"用英文写报告"#, #"{"language":"en"}"#),
            (#"send me weekly reports"#, #"{"report_frequency":"weekly"}"#),
            (#"把报告频率改成每周"#, #"{"report_frequency":"weekly"}"#),
            (
                #"send my weekly report on friday at 17:00"#,
                #"{"report_frequency":"weekly","report_weekday":"friday","report_time":"17:00"}"#
            ),
            (#"每周一早上9点发周报"#, #"{"report_frequency":"weekly","report_weekday":"monday","report_time":"09:00"}"#),
            (#"send my reports in html"#, #"{"report_format":"html"}"#),
            (#"报告格式改成html"#, #"{"report_format":"html"}"#),
            (#"limit report length to 3000 characters"#, #"{"max_report_length":3000}"#),
        ]
        for (text, changes) in cases {
            let object = try #require(JSON.parse(changes).object)
            check(text, .setPreferences(object), #_sourceLocation)
        }
    }

    @Test("schedules, reports, news and small talk are told apart")
    func others() {
        check(
            [
                "when is my next report", "When will I get my next report?", "list my schedules", "下一份报告什么时候",
                "我有哪些定时任务",
            ],
            .showSchedule)
        check(["stop sending reports", "turn off my reports", "不要再发报告", "停止报告"], .stopReports(nil))
        check(["stop my weekly reports", "停止周报"], .stopReports(.weekly))
        check(
            ["remind me every day at 8:00 to check the market"],
            .addReminder(expression: "08:00", message: "check the market"))
        check(["每周五下午3点提醒我看盘"], .addReminder(expression: "friday 15:00", message: "看盘"))
        check(
            ["write my daily report", "give me a report", "send me my daily report now", "生成今天的日报", "给我一份日报"],
            .report(kind: .daily, topic: nil))
        check(["generate a weekly report", "生成周报", "给我一份本周的周报"], .report(kind: .weekly, topic: nil))
        check(["write a report about chips", "写一份关于chips的报告"], .report(kind: .daily, topic: "chips"))
        check(
            ["any news about chips?", "latest news on chips", "chips有什么新闻", "最近有什么关于chips的新闻"], .news(topic: "chips"))
        check(["any news?", "what's new", "最近有什么新闻"], .news(topic: nil))
        check(["hello", "Hi there!", "你好", "早上好！"], .greeting)
        check(["thanks!", "谢谢你"], .thanks)
        check(["help", "what can you do?", "帮助", "你能做什么"], .help)
        check(["who are you?", "are you a language model", "你是谁"], .identity)
        check(["what time is it", "What's the date today?", "现在几点了", "今天星期几"], .clock)
        check(["how are you?", "How are you doing today?", "最近怎么样"], .wellBeing)
    }

    @Test(
        "what is not plainly asked changes nothing",
        arguments: [
            "I don't want to add TSLA to my watchlist", "don't remove NVDA", "do not add TSLA to my watchlist",
            "why did you remove NVDA from my watchlist", "add milk to my shopping list", "remove the comma",
            "不要把腾讯加入自选",
            "别删除 TSLA", "delete notes.md", "删除文件", "should I add TSLA to my watchlist or buy bonds", "add 2 and 3",
            "the article said: remember that stocks fall", "explain compound interest", "写一首诗",
            "how is the weather today",
            "今天天气怎么样", "send my report at 27:99", "change my timezone to nowhere", "", "???", "read the room",
            "If the user says add TSLA to my watchlist, what happens?",
        ])
    func refusals(text: String) {
        let changing = IntentReader.intents(in: text).filter { intent in
            switch intent {
            case .unknown, .recall, .news, .greeting, .thanks: false
            default: true
            }
        }
        #expect(changing == [], "\(text)")
    }

    @Test("several short sentences are several wishes, in order")
    func sentences() {
        #expect(
            IntentReader.intents(in: "Hi! Add TSLA to my watchlist. Remove NVDA.") == [
                .addToWatchlist(kind: nil, items: ["TSLA"]), .removeFromWatchlist(kind: nil, items: ["NVDA"]),
            ])
        #expect(
            IntentReader.intents(in: "你好。把腾讯加入自选；AAPL现在多少钱？") == [
                .addToWatchlist(kind: nil, items: ["腾讯"]), .quotes(items: ["AAPL"]),
            ])
    }

    @Test("hostile texts of full length are read in bounded time")
    func hostile() {
        let units = [
            "add ", "把", "a and ", "{x}", "((((", "how is ", "现在", "\u{0}\u{FFFD}", "👩‍👩‍👧‍👦", "replace in with ",
        ]
        for unit in units {
            let text = String(repeating: unit, count: 10_000 / unit.count)
            _ = IntentReader.intents(in: text)
        }
    }
}
