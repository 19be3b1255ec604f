// Phrases about memory, files and small talk.

import Foundation

extension IntentReader {
    static var smallTalkRules: [IntentRule] {
        [
            IntentRule([
                "(hi|hello|hey|hiya|howdy|greetings|yo) [there|nanobot|all|again|everyone]",
                "good (morning|afternoon|evening|day) [nanobot]",
                "(你好|您好|嗨|哈喽|哈啰|早上好|下午好|晚上好|早安|晚安|大家好|早|在吗|在么|你在吗)[呀|啊|哦|nanobot]",
            ]) { _ in .greeting },
            IntentRule([
                "(how are you|how's it going|how is it going|how are things|how do you do|how are you doing) "
                    + "[today|doing|doing today]",
                "what's up", "(你好吗|你怎么样|你还好吗|最近怎么样|最近好吗|你最近怎么样|你今天怎么样)",
            ]) { _ in .wellBeing },
            IntentRule([
                "(thanks|thank you|thx|cheers|many thanks|great thanks|ty) [a lot|very much|so much|nanobot|again|!]",
                "(谢谢|多谢|感谢|谢了|非常感谢)[你|您|啦|了]",
            ]) { _ in .thanks },
            IntentRule([
                "(bye|goodbye|good bye|see you|see you later|good night|cya) [nanobot]", "(再见|拜拜|回头见|下次见)[了|啦]",
            ]) { _ in .farewell },
            IntentRule([
                "(help|/help|commands|menu) [me]", "what can you do [for me]",
                "what (can|do) you (do|offer|support|know)",
                "how (do i use|can i use|does) (you|this|nanobot) [work]", "(帮助|说明|使用说明|怎么用|如何使用|菜单)",
                "你(会|能|可以)(做|干|帮我做|帮我)[些|点](什么|啥|哪些事)[事|事情]", "你有(什么|哪些)功能", "怎么使用[你|这个]",
            ]) { _ in .help },
            IntentRule([
                "(who|what) are you", "what is your name", "what's your name",
                "are you [a|an] "
                    + "(real|human|bot|robot|ai|language model|llm|person|chatgpt|gpt) [model|person|assistant]",
                "(what|which) (model|llm|ai|language model) (are you|do you use|is this|are you using)",
                "你是(谁|什么|哪个|什么模型|机器人|人工智能|人|AI|真人|什么东西)", "你叫什么[名字]", "你(用|使用)的是什么模型", "[你]是什么模型",
            ]) { _ in .identity },
            IntentRule([
                "(what is|what's|whats|tell me) [the] [current|today's] (time|date|day) [is it] "
                    + "[now|today|right now|it is]",
                "what (time|day|date) is (it|today) [now|today|right now]", "what day of the week is [it|today]",
                "(现在|今天|当前|今日)[是][什么|几](时间|几点|点|几号|号|星期几|日期|周几|日子)[钟|了]",
                "(几点了|几点|现在几点了|今天几号|今天星期几|今天是几号|今天是星期几|今天周几|今天是什么日子|现在是几点|现在时间|今天日期)[钟]",
            ]) { _ in .clock },
        ]
    }

    static var memoryRules: [IntentRule] {
        [
            IntentRule([
                "(what do you|what did you|what have you) [still] "
                    + "(know|remember|learn|learned|remembered|store|stored|saved) "
                    + "[about me|of me|on me|so far]",
                "[tell me|show me] (what|everything) you (know|remember|have) [about|of] me",
                "(show|list|read|tell) [me] [your|my|the] (memory|memories)",
                "do you (know|remember) [who i am|me|anything about me]",
                "what is in [your|my|the] memory", "what's in [your|my|the] memory", "who am i", "what is my profile",
                "what's my profile", "[show|show me] my (profile|persona)",
                "你[都|还](知道|了解|记得|记住|记)[了|过][我]*(什么|哪些|多少|啥)[事|事情|信息|东西]", "你(了解|知道|认识|记得)我",
                "你对我[的][都](了解|知道|记得)[多少|什么|哪些|些什么]",
                "[关于我][，]你(知道|记得|了解)[些](什么|哪些|多少)", "[查看|显示|看看|看一下]我的(资料|档案|画像|个人信息|记忆|个人资料)[是什么]",
                "我是谁", "[查看|显示|看看|列出][你的]记忆[内容|里有什么]",
            ]) { _ in .recall(topic: nil) },
            IntentRule([
                "(remember|memorize|memorise|keep in mind|bear in mind|don't forget|do not forget|make a note) "
                    + "(that|:|,|the following|this) [:] {text...}",
                "(note|take note) that {text...}",
                "(remember|memorize|memorise|keep in mind|don't forget|do not forget) {text...}",
                "[你|要|一定要|帮我](记住|记下来|记下|记一下|记着|牢记|别忘了|不要忘记|别忘记|记得)[：|:|，|一点|这一点|这个|了|一下]"
                    + "[：|:|，]{text...}",
            ]) { match in
                let text = match.rest("text").trimmingCharacters(in: .whitespacesAndNewlines)
                return text.isEmpty ? nil : .remember(text)
            },
            IntentRule([
                "(forget|unlearn|stop remembering) [about|that|what i said about|everything about|the fact "
                    + "that] {text}",
                "(remove|delete|erase) {text} from [your|my|the] memory", "(忘记|忘掉|忘了|别再记|不要再记|别记)[关于|掉|住]{text}",
                "[把|将]{text}从[你的|我的]记忆[里|中|里面](删除|删掉|移除|去掉|忘掉)", "[把|将]{text}(忘了|忘掉|忘记)",
                "从[你的|我的]记忆[里|中|里面](删除|删掉|移除|去掉|忘掉){text}",
            ]) { match in
                let text = match("text").trimmingEdges
                return text.isEmpty ? nil : .forget(text)
            },
        ]
    }

    /// Tried last: "what is my …" may mean a list, a setting or the schedule first.
    static var topicRules: [IntentRule] {
        [
            IntentRule([
                "(what is|what's|whats|what are|what was|who is|who's|when is|when's|where is) my "
                    + "[favorite|favourite] {topic}",
                "do you (know|remember) (my|what my|where i|what i|when i|who my) {topic}",
                "what do you know about {topic}",
                "你[还](知道|记得)我[的]{topic}", "我的{topic}(是什么|是多少|叫什么|是谁|是哪个|是哪天|在哪|是几号)[名字]",
                "我(叫什么|住在哪|喜欢什么|是做什么的|最喜欢什么|不喜欢什么|投资什么){topic}", "我{topic:叫什么|住在哪|喜欢什么|是做什么的}[名字]",
            ]) { match in
                let topic = match("topic").trimmingEdges
                return topic.isEmpty || topic.count > 60 ? nil : .recall(topic: topic)
            }
        ]
    }

    static var fileRules: [IntentRule] { noteRules + readingRules + writingRules }

    private static var noteRules: [IntentRule] {
        [
            IntentRule([
                "(save|write|take|make|create|add|leave|jot down) [me] [a|this|the] [new|quick|short] note "
                    + "(:|that|saying|that says|with|about|,|reading) [the text] [:] {text...}",
                "note : {text...}", "(save|store) this : {text...}",
                "(保存|写|记|做|添加|新建|创建|存)[一个|一条|一份|一篇|条|个|一下]笔记[，|：|:|,|内容是|内容为|内容|说][：|:]{text...}",
                "[做]笔记[：|:]{text...}",
            ]) { match in
                let text = match.rest("text").trimmingCharacters(in: .whitespacesAndNewlines)
                return text.isEmpty ? nil : .saveNote(content: text)
            }
        ]
    }

    private static var readingRules: [IntentRule] {
        [
            IntentRule([
                "(list|show|show me|display|see) [all] [my|the] [workspace] (files|folders|documents|notes) "
                    + "[(in|of|under|inside) [the] [folder|directory] {path} [folder|directory]]",
                "(list|ls|dir) [[the] [folder|directory] {path}]",
                "(what|which) (files|documents) (do i have|are there|exist|do you have|can you see|are) "
                    + "[(in|under) [the] {path}] [folder|directory]",
                "what is in [the|my] (folder|directory|workspace) [{path}]",
                "what's in [the|my] (folder|directory|workspace) [{path}]",
                "what is in [the|my] {path} (folder|directory)",
                "[列出|列一下|显示|查看|看看|看一下][我的|一下][工作区|工作目录|目录|文件夹][里|中|下][的][有][所有|全部](文件|目录|笔记)[列表|内容]",
                "[我|我的|工作区里|目录里|这里|你]有(哪些|什么)文件", "我的文件[有哪些|列表|都有什么]",
                "(列出|查看|看看|显示){path}(目录|文件夹)[里|中|下][的][所有|全部][文件|内容]",
                "{path}(目录|文件夹)[里|中|下]有(什么|哪些)[文件]",
            ]) { match in
                guard match.has("path") else { return .listFiles(path: ".") }
                return path(match("path"), isFolder: true).map { .listFiles(path: $0) }
            },
            IntentRule([
                "(read|open|show|show me|cat|display|print|view|see) [me] [the] [contents of|content of] "
                    + "[the|my] [file] {path} [file]",
                "what is in [the|my] [file] {path}", "what's in [the|my] [file] {path}",
                "what does {path} (say|contain)",
                "(读取|读|打开|查看|显示|看看|看一下|读一下|打开看看)[一下][文件|我的文件]{path}[文件][的内容|内容]",
                "{path}[文件](里|中|里面)(有什么|是什么|写了什么|有哪些内容)", "{path}[文件]的内容[是什么]",
            ]) { match in path(match("path"), isFolder: false).map { .readFile(path: $0) } },
        ]
    }

    private static var writingRules: [IntentRule] {
        [
            IntentRule([
                "(replace|change) {old} (with|to|by|into) {new} in [the] [file] {path}",
                "in [the] [file] {path} (replace|change) {old} (with|to|by|into) {new}",
                "[把|将][文件]{path}[文件](里|中|里面)[的]{old}(改成|改为|替换为|替换成|换成){new}",
            ]) { match in
                guard let path = path(match("path"), isFolder: false) else { return nil }
                let (old, new) = (unquoted(match("old")), unquoted(match("new")))
                return old.isEmpty ? nil : .editFile(path: path, old: old, new: new)
            },
            IntentRule([
                "(create|write|make|save) [a|the] [new] file [called|named] {path} "
                    + "(with|containing|with the|saying|:) [the] [content|contents|text] [:] {text...}",
                "(write|save|put|store) to [the] [file] {path} : {text...}",
                "(创建|新建|写|保存)[一个]文件[，|叫|名为]{path}[，|,](内容是|内容为|内容|写入|写|：|:)[：|:]{text...}",
                "[在|往|向](文件|){path}(里|中)(写入|写|保存)[：|:]{text...}",
            ]) { match in
                guard let path = path(match("path"), isFolder: false) else { return nil }
                return .writeFile(path: path, content: unquoted(match.rest("text")))
            },
            IntentRule([
                "(write|save|put|store) {text} (to|into|in|as) [the|a] [new] [file] [called|named] {path}",
                "[把|将]{text}(保存到|写入|写到|存到|保存为|存为|存入|保存在)[文件]{path}[文件|里|中]",
            ]) { match in
                guard let path = path(match("path"), isFolder: false) else { return nil }
                return .writeFile(path: path, content: unquoted(match("text")))
            },
        ]
    }

    /// A relative path in the workspace; a file's has a folder or an ending, so that "read the room" opens nothing.
    private static func path(_ raw: String, isFolder: Bool) -> String? {
        let text = unquoted(raw.trimmingEdges)
        guard !text.isEmpty, text.count <= 200, !text.contains(where: \.isNewline) else { return nil }
        if isFolder {
            let isBlankless = !text.contains(" ")
            return isBlankless ? text : nil
        }
        let name = text.split(separator: "/").last ?? ""
        let ending = name.lastIndex(of: ".").map { name[name.index(after: $0)...] } ?? ""
        let hasEnding = (1...8).contains(ending.count) && ending.allSatisfy { $0.isLetter || $0.isNumber }
        guard !text.contains(" "), hasEnding || text.contains("/") else { return nil }
        return text
    }

    private static func unquoted(_ text: String) -> String {
        let pairs: [Character: Character] = ["\"": "\"", "'": "'", "“": "”", "「": "」", "`": "`", "《": "》"]
        var result = text.trimmingCharacters(in: .whitespacesAndNewlines)
        if result.count >= 2, let first = result.first, let last = result.last, pairs[first] == last {
            result = String(result.dropFirst().dropLast())
        }
        return result
    }
}
