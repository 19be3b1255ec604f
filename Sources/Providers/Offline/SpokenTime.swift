// Times of day, weekdays, time zones and languages as people write them. Pure, any thread; nil for what is none.
import Foundation

enum SpokenTime {
    /// "07:30", "7 am", "7:30 p.m.", "noon", "早上8点半", "晚上八点十五分" as "HH:MM".
    static func clock(_ text: String) -> String? {
        var rest = PhraseTokens.key(Substring(text)).filter { !$0.isWhitespace }
        for filler in ["at", "about", "around", "everydayat", "在", "每天"] where rest.hasPrefix(filler) {
            rest.removeFirst(filler.count)
        }
        switch rest {
        case "noon", "midday", "中午", "正午": return "12:00"
        case "midnight", "午夜", "零点", "半夜": return "00:00"
        default: break
        }
        let half = takeHalf(&rest)
        guard let (hour, minute) = hourAndMinute(rest) else { return nil }
        guard let hour24 = hour24(hour, half) else { return nil }
        return String(format: "%02d:%02d", hour24, minute)
    }

    private enum Half { case morning, afternoon, noon }

    /// Takes "am", "p.m.", "早上" … off the text.
    private static func takeHalf(_ text: inout String) -> Half? {
        let beginnings: [(String, Half)] = [
            ("早上", .morning), ("上午", .morning), ("早晨", .morning), ("清晨", .morning), ("凌晨", .morning), ("早", .morning),
            ("中午", .noon), ("下午", .afternoon), ("傍晚", .afternoon), ("晚上", .afternoon), ("夜里", .afternoon),
            ("晚", .afternoon),
        ]
        let endings: [(String, Half)] = [
            ("a.m.", .morning), ("p.m.", .afternoon), ("a.m", .morning), ("p.m", .afternoon), ("am", .morning),
            ("pm", .afternoon), ("o'clock", .morning), ("inthemorning", .morning), ("intheafternoon", .afternoon),
            ("intheevening", .afternoon), ("sharp", .morning),
        ]
        for (word, half) in beginnings where text.hasPrefix(word) {
            text.removeFirst(word.count)
            return half
        }
        for (word, half) in endings where text.hasSuffix(word) {
            text.removeLast(word.count)
            return word == "o'clock" || word == "sharp" ? nil : half
        }
        return nil
    }

    private static func hour24(_ hour: Int, _ half: Half?) -> Int? {
        switch half {
        case nil: return hour <= 23 ? hour : nil
        case .morning?: return hour <= 11 ? hour : hour == 12 ? 0 : nil
        case .afternoon?: return hour == 12 ? 12 : hour < 12 ? hour + 12 : hour <= 23 ? hour : nil
        case .noon?: return (11...12).contains(hour) ? hour : hour <= 2 ? hour + 12 : nil
        }
    }

    private static func hourAndMinute(_ text: String) -> (Int, Int)? {
        for mark in ["点钟", "点", "时"] {
            guard let range = text.range(of: mark) else { continue }
            guard let hour = number(text[..<range.lowerBound]) else { return nil }
            return minute(text[range.upperBound...]).map { (hour, $0) }
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let hour = parts.first.flatMap({ Int($0) }), parts.count <= 2, (0...24).contains(hour) else { return nil }
        guard parts.count == 2 else { return (hour, 0) }
        guard parts[1].count == 2, let minute = Int(parts[1]), (0...59).contains(minute) else { return nil }
        return (hour, minute)
    }

    private static func minute(_ text: Substring) -> Int? {
        switch text {
        case "", "整", "钟": return 0
        case "半": return 30
        case "一刻": return 15
        case "三刻": return 45
        default:
            let digits = text.hasSuffix("分") ? text.dropLast() : text
            let plain = digits.hasPrefix("零") ? digits.dropFirst() : digits
            return number(plain).flatMap { (0...59).contains($0) ? $0 : nil }
        }
    }

    /// Digits, or Chinese numerals up to 99.
    private static func number(_ text: Substring) -> Int? {
        if let value = Int(text) { return (0...99).contains(value) ? value : nil }
        let digits: [Character: Int] = [
            "零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9,
        ]
        let parts = text.split(separator: "十", omittingEmptySubsequences: false)
        func digit(_ part: Substring, empty: Int) -> Int? {
            part.isEmpty ? empty : part.count == 1 ? part.first.flatMap { digits[$0] } : nil
        }
        switch parts.count {
        case 1: return text.isEmpty ? nil : digit(text, empty: 0)
        case 2:
            guard let tens = digit(parts[0], empty: 1), let ones = digit(parts[1], empty: 0) else { return nil }
            return tens * 10 + ones
        default: return nil
        }
    }

    private static let weekdays: [(String, [String])] = [
        ("monday", ["monday", "mon", "mondays", "一", "1"]), ("tuesday", ["tuesday", "tue", "tuesdays", "二", "2"]),
        ("wednesday", ["wednesday", "wed", "wednesdays", "三", "3"]),
        ("thursday", ["thursday", "thu", "thursdays", "四", "4"]), ("friday", ["friday", "fri", "fridays", "五", "5"]),
        ("saturday", ["saturday", "sat", "saturdays", "六", "6"]),
        ("sunday", ["sunday", "sun", "sundays", "日", "天", "7", "末"]),
    ]

    /// "Monday", "mon", "一", "周一", "星期日" as "monday" … "sunday".
    static func weekday(_ text: String) -> String? {
        var rest = PhraseTokens.key(Substring(text.trimmingEdges))
        for filler in ["每周", "每星期", "每个星期", "星期", "礼拜", "周"] where rest.hasPrefix(filler) {
            rest.removeFirst(filler.count)
        }
        return weekdays.first { $0.1.contains(rest) }?.0
    }

    private static let zones: [String: String] = [
        "beijing": "Asia/Shanghai", "shanghai": "Asia/Shanghai", "china": "Asia/Shanghai", "北京": "Asia/Shanghai",
        "上海": "Asia/Shanghai", "中国": "Asia/Shanghai", "hong kong": "Asia/Hong_Kong", "香港": "Asia/Hong_Kong",
        "taipei": "Asia/Taipei", "台北": "Asia/Taipei", "tokyo": "Asia/Tokyo", "japan": "Asia/Tokyo", "东京": "Asia/Tokyo",
        "seoul": "Asia/Seoul", "首尔": "Asia/Seoul", "singapore": "Asia/Singapore", "新加坡": "Asia/Singapore",
        "london": "Europe/London", "伦敦": "Europe/London", "berlin": "Europe/Berlin", "柏林": "Europe/Berlin",
        "paris": "Europe/Paris", "巴黎": "Europe/Paris", "zurich": "Europe/Zurich", "new york": "America/New_York",
        "纽约": "America/New_York", "eastern": "America/New_York", "美东": "America/New_York",
        "chicago": "America/Chicago", "los angeles": "America/Los_Angeles", "san francisco": "America/Los_Angeles",
        "pacific": "America/Los_Angeles", "洛杉矶": "America/Los_Angeles", "sydney": "Australia/Sydney",
        "悉尼": "Australia/Sydney", "utc": "UTC", "gmt": "UTC", "mumbai": "Asia/Kolkata", "india": "Asia/Kolkata",
    ]

    /// An IANA identifier as it is written, or that of a known place. Whether it exists the tool decides.
    static func zone(_ text: String) -> String? {
        var name = text.trimmingEdges
        for ending in [" time", " timezone", " time zone", "时间", "时区"] where name.lowercased().hasSuffix(ending) {
            name = String(name.dropLast(ending.count)).trimmingEdges
        }
        if let known = zones[name.lowercased()] { return known }
        let isIdentifier =
            name.contains("/") && name.allSatisfy { $0.isASCII && ($0.isLetter || "/_+-".contains($0) || $0.isNumber) }
        return isIdentifier && name.count <= 64 ? name : nil
    }

    private static let languages: [String: String] = [
        "english": "en", "en": "en", "英文": "en", "英语": "en", "chinese": "zh", "mandarin": "zh", "zh": "zh", "中文": "zh",
        "汉语": "zh", "普通话": "zh", "简体中文": "zh", "german": "de", "deutsch": "de", "德语": "de", "french": "fr", "法语": "fr",
        "spanish": "es", "西班牙语": "es", "japanese": "ja", "日语": "ja", "日文": "ja", "korean": "ko", "韩语": "ko",
    ]

    static func languageTag(_ text: String) -> String? { languages[text.trimmingEdges.lowercased()] }
}
