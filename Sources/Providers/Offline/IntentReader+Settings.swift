// Phrases about preferences, report times and schedules.
import Foundation
import TextFormats

extension IntentReader {
    private static let reports = "(report|reports|brief|briefing|briefings|summary|digest)"
    private static let send = "(send|deliver|give|generate|schedule|run|make|prepare|write|get|want|have|email|push)"
    private static let zhReport = "{name:报告|日报|周报|简报|早报|晚报|投资报告|每日报告|每周报告|自选股报告}"
    private static let zhSetTo = "(改成|改为|改到|设为|设成|设置为|设置成|设置到|设到|调到|调成|调整为|调整到|换成|换到|定为|定在|切换到|切换为|切换成|变成|用|是)"

    private static func preferences(_ pairs: (String, JSON?)...) -> OfflineIntent? {
        var changes = JSONObject()
        for (name, value) in pairs {
            guard let value else { return nil }
            changes[name] = value
        }
        return .setPreferences(changes)
    }

    private static func clock(_ match: PhraseMatch) -> JSON? { SpokenTime.clock(match("time")).map(JSON.string) }

    static var preferenceRules: [IntentRule] {
        reportTimeRules + weeklyRules + stopRules + zoneAndLanguageRules + formatRules
    }

    private static var reportTimeRules: [IntentRule] {
        let each = "[every day|everyday|daily|each day|every morning|every evening|each morning]"
        return [
            IntentRule([
                "\(send) [me] [my|the|a] [daily|morning|evening] \(reports) \(each) at {time} \(each)",
                "\(each) at {time} [\(send)] [me] [my|the|a] [daily|morning|evening] \(reports)",
                "(change|set|move|update|shift|reschedule) [my|the] [daily|morning] (report|reports|report "
                    + "time|reporting time) "
                    + "[time] (to|at|for) {time} \(each)",
                "[my] [daily] \(reports) [time] (at|should be at|should come at|to) {time} \(each)",
                "report time [:] {time}",
                "[把|将|我想|让][我的]\(zhReport)[的][发送|推送|生成][时间]\(zhSetTo)[每天|每日]{time}[发送|发|推送|生成]",
                "(每天|每日|每个交易日|以后每天|每天都在|以后)[在]{time}[都][给我|帮我|向我|为我](发|发送|推送|生成|写|出|来|提供|准备|推)"
                    + "[一份|一下|一个|我的|送|个|我|给我][自选股的|投资|自选股]\(zhReport)",
                "{time}[给我|帮我](发|发送|推送|生成|出)[一份|我的|我]\(zhReport)", "\(zhReport)(每天|每日){time}(发|发送|推送)",
            ]) { match in
                guard match("name") != "周报", match("name") != "每周报告" else { return nil }
                return preferences(("report_time", clock(match)))
            }
        ]
    }

    private static var weeklyRules: [IntentRule] {
        let days =
            "{day:monday|tuesday|wednesday|thursday|friday|saturday|sunday|mondays|tuesdays|wednesdays|thursdays"
            + "|fridays|saturdays|sundays}"
        let zhDay = "{day:一|二|三|四|五|六|日|天|1|2|3|4|5|6|7}"
        return [
            IntentRule([
                "\(send) [me] [my|the|a] [weekly] \(reports) (on|every|each|every week on) \(days) "
                    + "[morning|evening] [at {time}]",
                "(every|each|on) \(days) [at {time}] \(send) [me] [my|the|a] [weekly] \(reports)",
                "(change|set|move) [my|the] weekly \(reports) [day|time] to \(days) [at {time}]",
                "[weekly] \(reports) (on|every) \(days) [at {time}]",
                "(每周|每星期|每个星期|每逢周|周|星期|每个周)\(zhDay)[的]{time}[都][给我|帮我|向我](发|发送|推送|生成|写|出|来)[一份|我的|我|一下]\(zhReport)",
                "(每周|每星期|每个星期|每个周)\(zhDay)[给我|帮我|向我](发|发送|推送|生成|写|出|来)[一份|我的|我|一下]\(zhReport)",
                "[把|将][我的]\(zhReport)[时间]\(zhSetTo)(每周|每星期|周|星期)\(zhDay)[的][{time}][发送|发]",
            ]) { match in
                guard let day = SpokenTime.weekday(match("day")) else { return nil }
                let frequency: (String, JSON?) = ("report_frequency", "weekly")
                let weekday: (String, JSON?) = ("report_weekday", .string(day))
                guard match.has("time") else { return preferences(frequency, weekday) }
                return preferences(frequency, weekday, ("report_time", clock(match)))
            }
        ]
    }

    private static var stopRules: [IntentRule] {
        [
            IntentRule([
                "(stop|pause|cancel|disable|turn off|switch off|no more|end) "
                    + "[sending|generating|writing|giving] [me] [my|the|all|any] "
                    + "[{kind:daily|weekly}] \(reports)",
                "(don't|do not) (send|give|write) [me] [any|the|my] [more] [{kind:daily|weekly}] \(reports) "
                    + "[anymore|any more]",
                "turn [my|the] [{kind:daily|weekly}] \(reports) off",
                "(停止|不要再|别再|不要|别|关闭|取消|暂停|停掉|停了|不用再|不用|关掉|停)[给我|帮我][发|发送|推送|生成|写][我的|所有|全部|每天的|了]"
                    + "[{kind:每日|每周}]\(zhReport)[推送|了|发送]",
            ]) { match in
                let words = match("kind").lowercased() + match("name")
                if words.contains("daily") || words.contains("日") { return .stopReports(.daily) }
                return .stopReports(words.contains("week") || words.contains("周") ? .weekly : nil)
            },
            IntentRule([
                "(turn on|enable|start|resume|switch on|activate) [sending] [me] [my|the] "
                    + "{frequency:daily|weekly} \(reports)",
                "[change|set|switch|update] [my|the] \(reports) [frequency] to [be] "
                    + "{frequency:daily|weekly|both|realtime|off|hourly}",
                "\(send) [me] {frequency:daily|weekly} \(reports) [every week|every day|from now on|regularly]",
                "(set|change) [my|the] [report] frequency to {frequency:daily|weekly|both|realtime|off|hourly}",
                "[把|将][我的]\(zhReport)[的][频率]\(zhSetTo){frequency:每天|每日|每周|实时|关闭|每小时|日报和周报|每天和每周}[发送|一次|发|报告|一份]",
                "(开启|打开|恢复|启用|订阅)[我的]{frequency:每日|每天|每周|实时|日|周}[的](报告|报)[推送]",
                "[我的]报告频率\(zhSetTo){frequency:每天|每日|每周|实时|关闭|每小时}",
            ]) { match in
                // "Send me daily reports" is a wish for every day; one report now is asked for in the singular.
                guard let frequency = frequencies[match("frequency").lowercased()] else { return nil }
                return preferences(("report_frequency", .string(frequency)))
            },
        ]
    }

    private static let frequencies: [String: String] = [
        "daily": "daily", "weekly": "weekly", "both": "both", "realtime": "realtime", "hourly": "realtime",
        "off": "off",
        "每天": "daily", "每日": "daily", "日": "daily", "每周": "weekly", "周": "weekly", "实时": "realtime", "每小时": "realtime",
        "关闭": "off", "日报和周报": "both", "每天和每周": "both",
    ]

    private static var zoneAndLanguageRules: [IntentRule] {
        [
            IntentRule([
                "(change|set|update|switch) [my|the] (timezone|time zone|tz) (to|as|:) {zone}",
                "[my] (timezone|time zone) (is|should be|to|:) {zone}",
                "use [the] [timezone|time zone] {zone} [as my] [timezone|time zone]",
                "(i am|i'm|i live) in [the] {zone} (timezone|time zone)", "(switch|change) to {zone} time",
                "[把|将][我的]时区\(zhSetTo){zone}", "我的时区是{zone}", "[我]在{zone}时区", "\(zhSetTo){zone}(时间|时区)",
            ]) { match in preferences(("timezone", SpokenTime.zone(match("zone")).map(JSON.string))) },
            IntentRule([
                "(switch|change|set|update) [the|my|report|preferred|report's] [language|reports] "
                    + "(to|into|as) {language} [language]",
                "(switch|change|set|update) [my|the] [report|preferred] language (to|into|as|:) {language}",
                "(speak|use|write in|reply in|answer in|respond in|talk in|reports in|write reports in|write "
                    + "my reports in) {language} "
                    + "[language] [from now on|please|with me]",
                "[my] [report|preferred] language (is|should be|:) {language}",
                "[把|将][我的][报告|回答|默认|报告的]语言\(zhSetTo){language}", "\(zhSetTo){language}",
                "(用|使用|请用|以后用|改用){language}(写报告|回答|回复|写|说|交流|写我的报告)[我]",
            ]) { match in preferences(("language", SpokenTime.languageTag(match("language")).map(JSON.string))) },
        ]
    }

    private static var formatRules: [IntentRule] {
        let formats = "{format:markdown|html|json|text|plain text|md}"
        return [
            IntentRule([
                "(change|set|switch|update) [my|the] [report|reports] [format] to \(formats) [format]",
                "\(send) [me] [my|the] \(reports) (as|in) \(formats) [format]",
                "[use] \(formats) [format] for [my|the] \(reports)",
                "[把|将][我的]\(zhReport)[的]格式\(zhSetTo)\(formats)[格式]", "\(zhReport)用\(formats)[格式]",
            ]) { match in
                let names = ["plain text": "text", "md": "markdown"]
                let format = match("format").lowercased()
                return preferences(("report_format", .string(names[format] ?? format)))
            },
            IntentRule([
                "(limit|set|keep|change|cap) [my|the] [maximum|max] [report|reports] [length] "
                    + "(to|at|under|below) {n} [characters|chars|words]",
                "[把|将][我的]\(zhReport)[的|最大](长度|字数)(不超过|限制在|限制为|\(zhSetTo)){n}[字|个字|字以内]",
            ]) { match in
                let number = match("n").filter { $0 != "," }
                return preferences(("max_report_length", Int64(number).map(JSON.int)))
            },
            IntentRule([
                "(what are|what's|what is|show|show me|list|see|view) [me] [my|the] [current] [report] "
                    + "(preferences|settings|preference|setting|configuration)",
                "[my] (preferences|settings)",
                "(what is|what's) my (timezone|time zone|language|report time|report format|report frequency)",
                "[查看|显示|看看|列出|看一下]我的[当前](设置|偏好|偏好设置|配置|时区|报告时间|语言|报告设置)[是什么|有哪些|是多少|是几点]",
            ]) { _ in .showPreferences },
        ]
    }

    // MARK: - Schedules

    static var scheduleRules: [IntentRule] {
        let next = "[next|daily|weekly|next daily|next weekly|scheduled]"
        return [
            IntentRule([
                "(when is|when's|what time is) my \(next) \(reports) [due|coming|scheduled|sent|going to be "
                    + "sent|run|running]",
                "when (will|does|do|is) [i|my|the] [get|receive] [my|the] \(next) \(reports) "
                    + "[come|arrive|be sent|run|be ready|due|get sent|be delivered|scheduled|sent]",
                "(what|which) (schedules|reminders|scheduled jobs|tasks|jobs) (do i have|are there|are "
                    + "scheduled|are set|are planned)",
                "(list|show|show me|see|view) [all] [my|the] (schedules|schedule|reminders|scheduled "
                    + "jobs|scheduled tasks)",
                "(what is|what's) [on] my schedule", "[my] schedules", "what is scheduled [for me]",
                "what's scheduled [for me]",
                "[我的|我][下一次|下次|下一份|下一个|下份][的]\(zhReport)[是|会|将|在|要][什么时候|几点|何时|哪天|多久][发|发送|生成|到|来|推送|出|收到]",
                "[我][什么时候|何时|几点][会|能|可以](收到|有|拿到)[下一份|下一个|下次|我的|下一次][的]\(zhReport)",
                "[查看|列出|显示|看看|我][我的|有|有哪些|有什么|所有|的|设了|设置了]*(定时任务|计划任务|提醒|日程|定时|任务计划)[列表|有哪些|有什么|是什么|安排]",
            ]) { match in
                // "我的日报" asks for a report, not for its time.
                let text = match.words.text
                let asksWhen = ["什么时候", "几点", "何时", "下", "哪天", "多久"].contains { text.contains($0) }
                return match.has("name") && !asksWhen ? nil : .showSchedule
            },
            IntentRule([
                "(remove|delete|cancel|stop) [the|my] (schedule|reminder) {id}", "(删除|取消|移除)(提醒|定时任务|日程|定时){id}",
            ]) { match in
                let id = match("id").trimmingEdges
                return id.contains(" ") || id.isEmpty || id.count > 128 ? nil : .removeSchedule(id: id)
            },
        ] + reminderRules
    }

    private static var reminderRules: [IntentRule] {
        let days = "{day:monday|tuesday|wednesday|thursday|friday|saturday|sunday}"
        let zhDay = "{day:一|二|三|四|五|六|日|天|1|2|3|4|5|6|7}"
        return [
            IntentRule([
                "remind me (every day|daily|each day|every morning|every evening) at {time} "
                    + "(to|about|that|of) {text...}",
                "(every day|daily|each day) at {time} remind me (to|about|that|of) {text...}",
                "remind me (every|each|on|every week on) \(days) at {time} (to|about|that|of) {text...}",
                "(every|each) \(days) at {time} remind me (to|about|that|of) {text...}",
                "(每周|每星期|每个星期)\(zhDay){time}提醒我[：|:|，]{text...}", "(每天|每日)[的]{time}提醒我[：|:|，]{text...}",
            ]) { match in
                guard let clock = SpokenTime.clock(match("time")) else { return nil }
                let message = match.rest("text").trimmingEdges
                guard match.has("day") else { return .addReminder(expression: clock, message: message) }
                return SpokenTime.weekday(match("day")).map {
                    .addReminder(expression: "\($0) \(clock)", message: message)
                }
            }
        ]
    }
}
