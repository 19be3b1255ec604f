// Details of problems in Chinese: each row is the English form as the rooms write it, with {} for its values, and the Chinese form with
// {1}, {2} … for the same values. A detail without a row keeps its English words behind the sentence of its code. Pure; any thread.

import Foundation

enum ChineseDetails {
    /// - Returns: nil: there is no row for the text.
    static func translation(of english: String) -> String? {
        var text = english
        var hint = ""
        if text.hasSuffix("\"?"), let start = text.range(of: "; did you mean \"") {
            hint = "；是否想写“\(text[start.upperBound...].dropLast(2))”？"
            text = String(text[..<start.lowerBound])
        }
        for row in rows {
            guard let values = row.values(in: text) else { continue }
            return row.filled(values) + (hint.isEmpty ? "。" : hint)
        }
        return nil
    }

    private struct Row {
        /// The texts between the values, in order.
        let literals: [String]
        let chinese: String

        init(_ english: String, _ chinese: String) {
            literals = english.components(separatedBy: "{}")
            self.chinese = chinese
        }

        /// nil: the text has another form.
        func values(in text: String) -> [String]? {
            guard text.hasPrefix(literals[0]) else { return nil }
            guard literals.count > 1 else { return text == literals[0] ? [] : nil }
            var rest = text.dropFirst(literals[0].count)
            var values: [String] = []
            for literal in literals.dropFirst().dropLast() {
                guard let place = rest.range(of: literal) else { return nil }
                values.append(String(rest[..<place.lowerBound]))
                rest = rest[place.upperBound...]
            }
            guard let last = literals.last, rest.hasSuffix(last) else { return nil }
            values.append(String(rest.dropLast(last.count)))
            return values
        }

        func filled(_ values: [String]) -> String {
            var text = chinese
            for (index, value) in values.enumerated() {
                text = text.replacingOccurrences(of: "{\(index + 1)}", with: kinds[value] ?? value)
            }
            return text
        }
    }

    /// Kinds of JSON, as `JSON.kindName` says them.
    private static let kinds = [
        "null": "null", "a boolean": "布尔值", "a number": "数字", "a string": "字符串", "an array": "数组", "an object": "对象",
    ]

    private static let rows: [Row] = [
        // Values of any kind.
        Row("is required", "必须填写"),
        Row("is required: the file's path", "必须填写文件的路径"),
        Row("is required with \"kind\"", "给出 kind 时必须填写"),
        Row("must be an object, not {}", "必须是对象，不能是{1}"),
        Row("must be an object", "必须是对象"),
        Row("must be a string, not {}", "必须是字符串，不能是{1}"),
        Row("must be a whole number, not {}", "必须是整数，不能是{1}"),
        Row("must be a number, not {}", "必须是数字，不能是{1}"),
        Row("must be true or false, not {}", "必须是 true 或 false，不能是{1}"),
        Row("must be true or false", "必须是 true 或 false"),
        Row("must be an array of strings, not {}", "必须是字符串数组，不能是{1}"),
        Row("must be an array, not {}", "必须是数组，不能是{1}"),
        Row("must be an object of strings, not {}", "必须是值为字符串的对象，不能是{1}"),
        Row("must not be empty", "不能为空"),
        Row("must not be blank", "不能为空白"),
        Row("must have at least {} characters", "至少需要 {1} 个字符"),
        Row("must have at most {} characters, has {}", "最多 {1} 个字符，现有 {2} 个"),
        Row("must have at most {} characters", "最多 {1} 个字符"),
        Row("is nested too deeply, or an object in it has too many members: {}", "嵌套过深，或其中某个对象的成员过多：{1}"),
        Row("must have from {} to {} characters", "必须有 {1} 到 {2} 个字符"),
        Row("must have at most {} entries", "最多 {1} 项"),
        Row("must have at most {} members", "最多 {1} 个成员"),
        Row("must have at most {} KiB as JSON", "作为 JSON 最多 {1} KiB"),
        Row("must be a number of seconds from {} to {}", "必须是 {1} 到 {2} 之间的秒数"),
        Row("must be from {} to {}", "必须在 {1} 到 {2} 之间"),
        Row("must be between {} and {}", "必须在 {1} 到 {2} 之间"),
        Row("must be one of {}", "必须是以下之一：{1}"),
        Row("is not a known key", "不是已知的字段"),
        Row("must have only printable characters, in one line", "只能是一行可打印字符"),
        Row("must be one line without control characters", "必须是一行，且不含控制字符"),
        Row("must not contain the control character U+{}", "不能包含控制字符 U+{1}"),
        // Times, zones, languages.
        Row(
            "must be a time of day \"HH:MM\" from \"00:00\" to \"23:59\", such as \"09:00\"",
            "必须是 \"00:00\" 到 \"23:59\" 之间的时刻 \"HH:MM\"，例如 \"09:00\""),
        Row("must be an RFC 3339 time such as {}", "必须是 RFC 3339 时间，例如 {1}"),
        Row("must be an IANA time zone such as {}", "必须是 IANA 时区，例如 {1}"),
        Row("{} is no IANA time zone name, such as {}", "{1} 不是 IANA 时区名称（例如 {2}）"),
        Row("must be a language tag such as {}", "必须是语言标签，例如 {1}"),
        Row("must lie in the future", "必须是将来的时间"),
        Row("expires_at must lie in the future", "expires_at 必须是将来的时间"),
        Row("must be at most ten years ahead", "最多在十年之后"),
        Row("there is no time zone {} on this machine", "本机没有时区 {1}"),
        Row("lies in the past", "已是过去的时间"),
        Row("the expression \"{}\" is no time of day from 00:00 to 23:59, such as {}", "表达式 \"{1}\" 不是 00:00 到 23:59 之间的时刻（例如 {2}）"),
        Row(
            "the cron expression has {}; five are needed: minute, hour, day of month, month, day of week",
            "cron 表达式需要五个字段：分、时、日、月、星期"),
        Row("cron field \"{}\": \"{}\" is out of range; allowed is {}", "cron 字段 {1}：\"{2}\" 超出范围，允许 {3}"),
        // Ids.
        Row(
            "A user id has {} to {} characters: lower-case letters a-z, digits, \"_\" and \"-\", the first one a letter or digit.",
            "用户 ID 为 {1} 到 {2} 个字符：小写字母 a-z、数字、\"_\" 和 \"-\"，首字符为字母或数字"),
        Row("The user id \"{}\" is reserved. Choose another one.", "用户 ID \"{1}\" 是保留名称，请换一个"),
        Row("The user \"{}\" exists already. Choose another id or delete that user first.", "用户 \"{1}\" 已存在；请换一个 ID，或先删除该用户"),
        Row("A session id has {} to {} printable characters, not only spaces.", "会话 ID 为 {1} 到 {2} 个可打印字符，不能全是空格"),
        Row("must be a UUID of version 7 in lower case, or be left out", "必须是小写的第 7 版 UUID，或省略"),
        Row(
            "\"me\" is the user of the token that a call brings; this call brings no user's token: name the user",
            "\"me\" 指调用所带令牌的用户；这次调用没有带用户令牌，请写明用户"),
        // Requests.
        Row(QueryText.rule, "必须是经过百分号编码的 UTF-8：除字母、数字和标点外，每个字节写作 %XX"),
        Row("must be a job id", "必须是任务 ID"),
        Row("must be a user id", "必须是用户 ID"),
        Row("must be \"{}\" here, or be left out", "在这里必须是 \"{1}\"，或省略"),
        Row("differs from the header Idempotency-Key", "与请求头 Idempotency-Key 不一致"),
        Row("a batch has from {} to {} jobs", "一批任务的数量为 {1} 到 {2} 个"),
        Row("this call takes no body, or the empty object {}", "这个调用不接受正文，或只接受空对象 {1}"),
        Row("must be a model's name without spaces, such as {}", "必须是不含空格的模型名称，例如 {1}"),
        Row("must be an http or https address without a user name in it", "必须是不含用户名的 http 或 https 地址"),
        Row("must be the path of an event stream, such as {}, without a query", "必须是事件流的路径，例如 {1}，不带查询字符串"),
        Row("the body is empty; it must be JSON", "请求正文为空；必须是 JSON"),
        Row("the body is not valid JSON: {}", "请求正文不是有效的 JSON：{1}"),
        Row("the body has more than {} bytes", "请求正文超过 {1} 字节"),
        Row("the path and query have more than {} bytes", "路径和查询字符串超过 {1} 字节"),
        Row("the body needs Content-Type: {}", "请求正文需要 Content-Type: {1}"),
        Row("the body must be {} in UTF-8, not {}", "请求正文必须是 UTF-8 的 {1}，不能是 {2}"),
        Row("the body must not be compressed", "请求正文不能压缩"),
        Row("this path takes {}", "这个路径接受的方法：{1}"),
        Row("no such path; GET /openapi.json lists all there are", "没有这个路径；GET /openapi.json 列出全部路径"),
        Row("no such resource", "没有这个资源"),
        Row("\"{}\" is no channel of this version; choose from: {}", "\"{1}\" 不是本版本的通知渠道；可选：{2}"),
        Row(
            "\"{}\" leads out of the workspace; use a relative path such as {}", "\"{1}\" 超出了工作区；请使用相对路径，例如 {2}"),
        // Things that exist and things that are missing.
        Row("no user \"{}\"; POST /users makes one", "没有用户 \"{1}\"；可用 POST /users 创建"),
        Row("no job \"{}\"", "没有任务 \"{1}\""),
        Row("no report \"{}\"", "没有报告 \"{1}\""),
        Row("no session \"{}\"", "没有会话 \"{1}\""),
        Row("no response \"{}\"", "没有响应 \"{1}\""),
        Row("no model \"{}\"", "没有模型 \"{1}\""),
        Row("no plan \"{}\" in the settings", "设置中没有套餐 \"{1}\""),
        Row("there is no schedule {}", "没有定时计划 {1}"),
        Row("there is no file \"{}\"", "没有文件 \"{1}\""),
        Row("there is no token \"{}\"", "没有令牌 \"{1}\""),
        Row("the report is {}; POST {} ends it", "报告当前的状态为 {1}；POST {2} 可以结束它"),
        Row("the report is {}: it has no text to delete", "报告的状态为 {1}，没有可删除的内容"),
        Row("the report is {}", "报告当前的状态为 {1}"),
        Row("the report was deleted, or its file was removed", "报告已被删除，或它的文件已被移除"),
        Row("the job was cancelled", "任务已取消"),
        Row(
            "the user was changed since; read it again and repeat the change on what it is now",
            "用户在此期间已被改动；请重新读取，再对现在的内容进行修改"),
        // Permissions.
        Row("this service needs a token: Authorization: Bearer <token>", "本服务需要令牌：Authorization: Bearer <令牌>"),
        Row("the token is not valid", "这个令牌无效"),
        Row("this token may read only", "这个令牌只能读取"),
        Row("this call needs an admin's token", "这个操作需要管理员令牌"),
        Row("this token may make {} requests a minute", "这个令牌每分钟最多 {1} 个请求"),
        Row("The account is suspended: {}", "账户已被停用：{1}"),
        Row("the ticket is not valid for this path", "这个票据对该路径无效"),
        Row("the ticket has expired; make another one", "票据已过期，请重新申请"),
        Row("another reader has this ticket; make one for each reader", "这个票据正被另一个读取者使用；请为每个读取者各申请一个"),
    ]
}
