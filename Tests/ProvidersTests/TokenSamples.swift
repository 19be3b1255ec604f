// Texts and the tokens that tokenizers make of them, for the test of the estimate. Made with LiteLLM 1.110.2's tables on
// 2026-12-01: the highest count of cl100k_base, o200k_base, Claude 2 and DeepSeek V3. Plain values.

extension ModelWindowTests {
    static let samples: [Sample] = [
        Sample(
            testDescription: "English prose",
            text: "The quarterly report shows that revenue grew faster than expected, mainly because the company sold "
                + "more chips to data centres. Analysts had been worried about inventories, but management said that o"
                + "rders for the next two quarters are already booked.",
            tokens: 47),
        Sample(
            testDescription: "German prose",
            text: "Die Europäische Zentralbank hat den Leitzins überraschend gesenkt; Analysten erwarten für das Wi"
                + "rtschaftswachstum größere Rückgänge als üblich.",
            tokens: 49),
        Sample(
            testDescription: "Chinese",
            text: "公司发布公告称，前三季度实现营业收入一千二百余亿元，同比增长百分之"
                + "十六点九。分析人士认为，行业整体需求放缓，龙头企业的增长主要来自渠"
                + "道改革，后续仍需关注库存与批价走势。",
            tokens: 98),
        Sample(
            testDescription: "traditional Chinese",
            text: "臺灣證券交易所今日公布外資買賣超統計，半導體類股獲得青睞，龍頭廠商"
                + "股價創下歷史新高，惟市場憂慮關稅與匯率變動對獲利之影響。",
            tokens: 102),
        Sample(
            testDescription: "Japanese",
            text: "日経平均株価は続伸し、終値は前日比五百円高だった。半導体関連株が買"
                + "われ、投資家心理が改善した。",
            tokens: 60),
        Sample(
            testDescription: "Korean",
            text: "코스피는 외국인의 매수세에 힘입어 상승 마감했다. 반도체 업종이 강세를"
                + " 보였고 원화 환율은 소폭 하락했다.",
            tokens: 74),
        Sample(
            testDescription: "Russian",
            text: "Индекс биржи вырос на полтора процента после решения ц"
                + "ентрального банка сохранить ключевую ставку без измен"
                + "ений.",
            tokens: 50),
        Sample(
            testDescription: "Arabic",
            text: "ارتفع مؤشر السوق المالية اليوم بدعم من أسهم البنوك وال"
                + "طاقة وسط تفاؤل المستثمرين.",
            tokens: 66),
        Sample(
            testDescription: "Hindi",
            text: "भारतीय शेयर बाजार आज बढ़त के साथ बंद हु"
                + "ए और निवेशकों का भरोसा मजबूत हुआ।",
            tokens: 86),
        Sample(
            testDescription: "Thai",
            text: "ตลาดหลักทรัพย์ปิดบวกจากแรงซื้อหุ้"
                + "นกลุ่มธนาคารและพลังงานในวันนี้",
            tokens: 112),
        Sample(
            testDescription: "emoji",
            text: "😀🚀📈📉💰🔥✨🧠🥶🚀🚀📈",
            tokens: 33),
        Sample(
            testDescription: "Swift",
            text: "func average(of prices: [Double]) -> Double? {\n    guard !prices.isEmpty else { return nil }\n    "
                + "let sum = prices.reduce(0, +)\n    return sum / Double(prices.count)\n}\n",
            tokens: 49),
        Sample(
            testDescription: "Python",
            text: "def parse(lines):\n    for number, line in enumerate(lines, start=1):\n        key, _, value = line"
                + ".partition(\"=\")\n        if not value:\n            raise ValueError(f\"line {number}: no value\""
                + ")\n        yield key.strip(), value.strip()\n",
            tokens: 59),
        Sample(
            testDescription: "JSON",
            text: "[{\"symbol\": \"AAPL\", \"price\": 407.69, \"volume\": 9392422, \"time\": \"2026-11-24T09:00:00Z\"}"
                + ", {\"symbol\": \"AAPL\", \"price\": 771.32, \"volume\": 7813311, \"time\": \"2026-11-24T09:01:00Z\""
                + "}, {\"symbol\": \"AAPL\", \"price\": 407.2, \"volume\": 9855682, \"time\": \"2026-11-24T09:02:00Z\""
                + "}, {\"symbol\": \"AAPL\", \"price\": 171.72, \"volume\": 8589401, \"time\": \"2026-11-24T09:03:00Z\""
                + "}, {\"symbol\": \"AAPL\", \"price\": 428.71, \"volume\": 3124476, \"time\": \"2026-11-24T09:04:00Z\""
                + "}, {\"symbol\": \"AAPL\", \"price\": 85.62, \"volume\": 5091228, \"time\": \"2026-11-24T09:05:00Z\""
                + "}]",
            tokens: 248),
        Sample(
            testDescription: "CSV",
            text: "2026-03-03,269.81,445.30,702636\n2026-10-13,482.41,327.31,2642313\n2026-10-01,416.02,32.52,598155\n"
                + "2026-04-08,300.21,389.28,5474295\n2026-08-19,421.37,260.04,4935045\n2026-08-01,331.56,229.21,466680"
                + "0\n2026-07-18,497.85,420.27,4261325\n2026-06-25,115.60,145.23,1178155",
            tokens: 150),
        Sample(
            testDescription: "a table",
            text: "| name | value | note |\n|---|---:|---|\n| item 0 | 577 | ok |\n| item 1 | 785 | ok |\n| item 2 | 1"
                + "11 | ok |\n| item 3 | 411 | ok |\n| item 4 | 111 | ok |\n| item 5 | 867 | ok |\n| item 6 | 298 | ok"
                + " |\n| item 7 | 396 | ok |",
            tokens: 95),
        Sample(
            testDescription: "base64",
            text: "0EdMtpESOwpMuYlTO53yethgMDoYPL64ex2HkX5pRfToUTB5HzHbFpn2Gl5657XoXnA5lBTzhHYJGJYhR3HNF1qTknhOB+tAz7P"
                + "0pGTgqRRR9XPutZ1gCYPhkL2KrdymNp2OJycDUbZYsQJ4VhZ5fatitlkFjKJJSHK2vQGBrKR2ob8BXwIqAVZfpcs4dXYU2R8YHe"
                + "OKc+9zVR6e8bDIZaOCC0LWg46RXw6e6lXELbhUwZQdxB29uCMCl6uTzo9qnhMu5mGXueMfr43SBKy58YW5bxWaaNainhMDt8RAp"
                + "NnXmQlxjo22w/8QovMBBNtB",
            tokens: 230),
        Sample(
            testDescription: "hexadecimal",
            text: "d0474cb691123b0a4cb989533b9df27ad860303a183cbeb87b1d87917e6945f4e85130791f31db1699f61a5e7ae7b5e85e7"
                + "0399414f38476091896214771cd175a9392784e07eb40cfb3f4a464e0a91451f573eeb59d600983e190bd8aaddca6369d8e"
                + "27270351b658b102785616797dab62b659058ca249",
            tokens: 132),
        Sample(
            testDescription: "addresses",
            text: "https://www.example-0.com/a/b0?source=x&id=5feceb66ffc8\nhttps://www.example-1.com/a/b1?source=x&id"
                + "=6b86b273ff34\nhttps://www.example-2.com/a/b2?source=x&id=d4735e3a265e\nhttps://www.example-3.com/a"
                + "/b3?source=x&id=4e07408562be\nhttps://www.example-4.com/a/b4?source=x&id=4b227777d4dd",
            tokens: 146),
        Sample(
            testDescription: "marks",
            text: "!?;:,.(){}[]<>=+-*/&|^%$#@~`!?;:,.(){}[]<>",
            tokens: 30),
        Sample(
            testDescription: "capitals",
            text: "QWERTZUIOPASDFGHJKLYXCVBNMKJHGFDSAPOIUZTREWQ",
            tokens: 25),
    ]
}
