// The language of a problem's title and detail: as the request's Accept-Language asks for, English where it does not say (RFC 9110,
// 12.5.4). Codes, types and fields are the same in every language. Pure; any thread. Never fails.

import HTTPTypes
import Hummingbird
import Jobs
import WireTypes

enum ProblemLanguage: String, Sendable {
    case english = "en"
    case chinese = "zh"

    /// - Parameter values: of all Accept-Language headers.
    init(_ values: [String]) {
        var best: (language: ProblemLanguage, quality: Double) = (.english, 0)
        for entry in values.flatMap({ $0.split(separator: ",") }) {
            let parts = entry.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            guard let range = parts.first, let tag = range.split(separator: "-").first else { continue }
            let language: ProblemLanguage
            switch tag {
            case "zh": language = .chinese
            case "en", "*": language = .english
            default: continue
            }
            let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            // Among equals the one that is named first.
            if quality > best.quality { best = (language, quality) }
        }
        self = best.language
    }

    init(_ request: Request) { self.init(request.headers[values: .acceptLanguage]) }
}

extension ProblemDetails {
    /// The problem in that language. A detail without a translation of its own stays behind the sentence of its code, so that no fact
    /// of it is lost.
    func translated(to language: ProblemLanguage) -> ProblemDetails {
        guard language == .chinese, let text = ChineseProblems.texts[code] else { return self }
        var problem = self
        problem.title = text.title
        if code == "job_failed" {
            problem.detail = Self.jobSentence(detail)
            return problem
        }
        let (place, rest) = splitField
        if let translated = ChineseDetails.translation(of: rest) {
            problem.detail = place + translated
        } else if rest.unicodeScalars.contains(where: { (0x3400...0x9FFF).contains($0.value) }) {
            // Its own words are Chinese already.
            problem.detail = detail
        } else {
            problem.detail = "\(place)\(text.sentence)（\(rest)）"
        }
        return problem
    }

    /// The field in front of a 422's detail, and what is said of it.
    private var splitField: (place: String, rest: String) {
        guard let field else { return ("", detail) }
        let start = "\(field): "
        guard detail.hasPrefix(start) else { return ("", detail) }
        return ("\(field)：", String(detail.dropFirst(start.count)))
    }

    /// "code: sentence" of a job that failed.
    private static func jobSentence(_ detail: String) -> String {
        guard let colon = detail.firstIndex(of: ":") else { return detail }
        let code = String(detail[..<colon])
        let sentence = detail[colon...].dropFirst().drop { $0 == " " }
        return "\(code)：\(UserErrorTexts.sentence(code: code, detail: String(sentence), language: "zh"))"
    }
}
