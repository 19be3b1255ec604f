// Problems in the language the caller asks for: every code has a Chinese title and sentence, codes and fields stay, no fact is lost.

import Foundation
import Identity
import Jobs
import Scheduler
import Tenants
import Testing
import TextFormats
import WireTypes

@testable import API

@Suite(.timeLimit(.minutes(2)))
struct ProblemTextTests {
    private static func isChinese(_ text: String) -> Bool {
        text.unicodeScalars.contains { (0x3400...0x9FFF).contains($0.value) }
    }

    /// The codes that the sources of the API write out.
    private func writtenCodes() throws -> Set<String> {
        let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources")
        var found: Set<String> = []
        for room in ["API", "WireTypes"] {
            let folder = sources.appendingPathComponent(room)
            for path in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where path.hasSuffix(".swift") {
                let text = try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
                for match in text.matches(of: /\bcode(?:: | = )(?:[^",?]*\? )?"([a-z_]+)"/) { found.insert(String(match.1)) }
            }
        }
        return found
    }

    @Test("every code the service answers with has a title and a sentence in Chinese, and every row of them has a code")
    func complete() throws {
        let written = try writtenCodes()
        #expect(written.contains("too_many_requests") && written.count > 30)
        // A report's own error comes through `ReportLibrary` with its code.
        let codes = written.union(["report_too_large"]).union(JobError.Kind.allCases.map { ProblemDetails(JobError($0, "")).code })
            .union(TenantError.Code.allCases.map(\.rawValue)).union(ScheduleError.Code.allCases.map(\.rawValue))
            .union(IdentityError.Code.allCases.map(\.rawValue)).union(WorkspaceFileError.Code.allCases.map(\.rawValue))
        for code in codes {
            let text = ChineseProblems.texts[code]
            #expect(text != nil, "\(code)")
            #expect(text.map { Self.isChinese($0.title) && Self.isChinese($0.sentence) } ?? true, "\(code)")
        }
        for code in ChineseProblems.texts.keys { #expect(codes.contains(code), "\(code)") }
    }

    @Test(
        "the language is the one the caller likes best of those there are",
        arguments: [
            ("zh", "zh"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-US,en;q=0.9,zh;q=0.8", "en"), ("zh-Hant-TW", "zh"), ("de,zh;q=0.5", "zh"),
            ("de", "en"), ("*", "en"), ("en;q=0,zh", "zh"), ("zh;q=0", "en"), ("zh;q=0.3, en;q=0.7", "en"), ("", "en"), ("ZH-cn", "zh"),
            (";;,q=1", "en"), (nil, "en"),
        ] as [(String?, String)])
    func language(header: String?, language: String) async throws {
        try await ServiceFixture().serve { http in
            let reply = try await http.get("/users/ghost", header.map { [("Accept-Language", $0)] } ?? [])
            #expect(reply.status == 404 && reply.code == "user_not_found")
            #expect(reply.header("content-language") == language)
            #expect(reply.header("vary")?.contains("Accept-Language") == true)
            let json = try reply.json
            for name in ["title", "detail"] {
                #expect(Self.isChinese(json[name]?.string ?? "") == (language == "zh"))
            }
            #expect(json["detail"]?.string?.contains("ghost") == true)
            #expect(json["type"] == "urn:nanobot:problem:user_not_found")
        }
    }

    @Test(
        "a Chinese detail names its field and its values, and has no English words where a form of its own is known",
        arguments: [
            ("POST", "/users", [:], "user_id：必须填写。"),
            ("POST", "/chat", [], "body：必须是对象，不能是数组。"),
            ("PUT", "/users/alice/preferences", ["report_time": "25:00"],
                "report_time：必须是 \"00:00\" 到 \"23:59\" 之间的时刻 \"HH:MM\"，例如 \"09:00\"。"),
            ("PUT", "/users/alice/preferences", ["report_tme": "09:00"], "report_tme：不是已知的字段；是否想写“report_time”？"),
            ("POST", "/chat", ["user_id": "alice"], "message：必须填写。"),
            ("POST", "/chat?wait=99", ["user_id": "alice", "message": "hi"], "wait：必须是 0 到 60 之间的秒数。"),
            ("GET", "/users?limit=0", .null, "limit：必须在 1 到 200 之间。"), ("GET", "/users?x=%ff", .null, "x：必须是经过百分号编码的 UTF-8"),
            ("POST", "/users", ["user_id": "A b"], "user_id：用户 ID 为 1 到 64 个字符："),
            ("POST", "/users/alice/schedules", ["kind": "cron", "expression": "99 * * * *", "job": ["kind": "report"]],
                "expression：cron 字段 minute：\"99\" 超出范围，允许 0–59。"),
            ("GET", "/users/alice/file?path=../x", .null, "path：\"../x\" 超出了工作区；"), ("GET", "/users/me", .null, "user_id：\"me\" 指"),
            ("GET", "/nothing", .null, "没有这个路径；GET /openapi.json 列出全部路径。"), ("PUT", "/chat", [:], "这个路径接受的方法：POST。"),
        ] as [(String, String, JSON, String)])
    func details(method: String, path: String, body: JSON, detail: String) async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        try await service.serve { http in
            let headers = [("Accept-Language", "zh-CN")]
            let reply = body.isNull ? try await http.send(method, path, headers) : try await http.send(method, path, json: body, headers)
            let json = try reply.json
            #expect(json["detail"]?.string?.hasPrefix(detail) == true, "\(json)")
            #expect(json["detail"]?.string?.contains("（") == false)
            let english = try body.isNull ? await http.send(method, path).json : await http.send(method, path, json: body).json
            for name in ["code", "field", "status", "type"] { #expect(json[name] == english[name]) }
        }
    }

    @Test("what has no Chinese form of its own stays readable behind the sentence of its code")
    func unknown() {
        let problem = ProblemDetails(status: 422, code: "invalid_field", detail: "x: is a riddle", field: "x")
        let translated = problem.translated(to: .chinese)
        #expect(translated.detail == "x：这个字段的值不符合要求。（is a riddle）")
        #expect(problem.translated(to: .english) == problem)
        let own = ProblemDetails(status: 429, code: "budget_tokens", detail: "今天的额度已用完。")
        #expect(own.translated(to: .chinese).detail == own.detail)
    }

    @Test("a job that failed is told in the caller's language, with its code")
    func failedJob() async throws {
        let service = try ServiceFixture()
        try service.makeUser("alice")
        service.startWorker { _, _ in .fail(code: "timeout") }
        try await service.serve { http in
            let reply = try await http.send(
                "POST", "/chat", json: ["user_id": "alice", "message": "hi"], [("Accept-Language", "zh")])
            let json = try reply.json
            #expect(reply.status == 502 && json["title"] == "任务失败")
            let sentence = UserErrorTexts.sentence(code: "timeout", detail: "", language: "zh")
            #expect(json["detail"] == .string("timeout：\(sentence)"))
        }
    }

    @Test("each row of a batch is told in the caller's language")
    func batch() async throws {
        try await ServiceFixture().serve { http in
            let rows = try await http.send(
                "POST", "/jobs", json: [["kind": "chat", "user_id": "alice"]], [("Accept-Language", "zh")]
            ).json
            #expect(rows.array?.first?["error"]?["detail"] == "message：必须填写。")
        }
    }
}
