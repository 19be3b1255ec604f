// Messages that a strict parser refuses: read where their meaning is plain, an error at once where it is not.
import Foundation
import HTTPTransport
import ModelTestSupport
import Synchronization
import Testing
import TextFormats

@testable import MCP

@Suite("Messages of MCP servers")
struct MCPReadingTests {
    /// How a server wrote its answer, with %ID for the request's id, and the text that a caller gets; nil: an error at once.
    struct Answer: Sendable, CustomTestStringConvertible {
        var written: [UInt8]
        var text: String?
        var testDescription: String { String(decoding: written.prefix(90), as: UTF8.self).debugDescription }

        init(_ written: String, _ text: String?) { self.init(Array(written.utf8), text) }
        init(_ written: [UInt8], _ text: String?) {
            self.written = written
            self.text = text
        }

        func bytes(_ id: Int) -> [UInt8] { BytePattern("%ID").replacing(in: written, with: Array("\(id)".utf8)) }
    }

    private static let ok = #""result":{"content":[{"type":"text","text":"ok"}]}"#
    private static let whole = #"{"jsonrpc":"2.0","id":%ID,\#(ok)}"#
    private static let price = #"[{"symbol":"AAPL","price":189.5,"change":NaN}]"#

    static let answers: [Answer] = [
        Answer(#"{"jsonrpc":"2.0","id":%ID,"result":{"structuredContent":\#(price)}}"#, #"[{"symbol":"AAPL","price":189.5,"change":null}]"#),
        Answer(#"{"jsonrpc":"2.0","id":%ID,"result":{"structuredContent":[Infinity,-Infinity,nan,1e999]}}"#, "[null,null,null,null]"),
        Answer(#"{"jsonrpc":"2.0","id":%ID,"result":{"content":[{"type":"text","text":"a\ud83dz"}]}}"#, "a\u{FFFD}z"),
        Answer(#"{"jsonrpc":"2.0","id":%ID,"id":%ID,\#(ok)}"#, "ok"),
        Answer(#"{"jsonrpc":"2.0","id":%ID,"result":{},\#(ok)}"#, "ok"),
        Answer("\u{FEFF}" + whole, "ok"), Answer(whole + "\r", "ok"), Answer("Loading… " + whole, "ok"),
        Answer("[12:00] INFO {1} " + whole, "ok"),
        Answer(#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"# + whole, "ok"),
        Answer(#"[{"jsonrpc":"2.0","method":"notifications/message"},\#(whole)]"#, "ok"),
        Answer(#"{"jsonrpc":"2.0","id":%ID,"result":{"content":[{"type":"text","text":"ok"},],},}"#, "ok"),
        Answer(#"{"jsonrpc":"2.0","id":"%ID",\#(ok)}"#, "ok"), Answer(#"{"jsonrpc":"2.0","id":%ID.0,\#(ok)}"#, "ok"),
        Answer("{\"jsonrpc\":\"2.0\",\"id\":%ID,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"a\tb\"}]}}", "a\tb"),
        Answer(
            Array(#"{"jsonrpc":"2.0","id":%ID,"result":{"content":[{"type":"text","text":"a"#.utf8) + [0xff] + Array(#""}]}}"#.utf8),
            "a\u{FFFD}"),
        Answer(
            #"{"jsonrpc":"2.0","id":%ID,"result":{"structuredContent":\#(String(repeating: "[", count: 100))1\#(String(repeating: "]", count: 100))}}"#,
            String(repeating: "[", count: 100) + "1" + String(repeating: "]", count: 100)),
        // Of no use, and clearly an answer.
        Answer(#"{"jsonrpc":"2.0","id":%ID,"result":{"content":[{"type":"text","text":'ok'}]}}"#, nil),
        Answer(#"{"jsonrpc":"2.0","id":%ID,"result":{"content":[{"type":"text","te"#, nil),
        Answer(#"{"jsonrpc":"2.0","id":%ID,"res"#, nil),
        Answer(#"{"jsonrpc":"2.0","id":%ID,"result":\#(String(repeating: "[", count: 500))}"#, nil),
        Answer(#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#, nil),
        Answer(#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"}}"#, nil),
    ]

    private func check(_ server: MCPServerSettings, _ text: String?) throws {
        let problems = Mutex<[String]>([])
        let servers = MCPServers([server]) { _, problem in problems.withLock { $0.append(problem) } }
        defer { servers.close() }
        let offer = try #require(servers.offers(waiting: 20).first)
        let begin = Date()
        do throws(MCPError) {
            #expect(try servers.call(offer, [:], user: "a", cancellation: nil).text == text)
        } catch {
            #expect(text == nil && [.protocolError, .refused].contains(error.code), "\(error)")
        }
        // Far below the server's time limit, which is an hour.
        #expect(Date().timeIntervalSince(begin) < 60)
    }

    @Test("A line is read leniently, or its caller gets an error at once", arguments: answers)
    func line(answer: Answer) throws {
        let parts = answer.written.split(separator: UInt8(ascii: "%"), maxSplits: 8, omittingEmptySubsequences: false)
        #expect(parts.count <= 4)
        let folder = try FileManager.default.url(
            for: .itemReplacementDirectory, in: .userDomainMask, appropriateFor: URL(fileURLWithPath: "/tmp/x"), create: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("line")
        try Data(answer.written).write(to: file)
        // Bytes that are no UTF-8 stay as they are in the C locale.
        let script = ShellServer.script(call: "LC_ALL=C sed \"s/%ID/$id/g\" '\(file.path)'; echo")
        try check(ShellServer.settings(script) { $0.timeout = 3_600 }, answer.text)
    }

    @Test("An answer over HTTP, as JSON and as an event, is read the same way", arguments: answers, [false, true])
    func http(answer: Answer, isStream: Bool) throws {
        let goesOn = WakeSignal()
        let server = try LoopbackHTTPServer { request in
            let message = (try? JSON.parse(request.body)) ?? .null
            guard let id = message["id"]?.int else { return .json("", status: 202) }
            let text = { (result: JSON) in JSON.object(["jsonrpc": "2.0", "id": JSON(id), "result": result]).text() }
            switch message["method"]?.string {
            case "initialize"?: return .json(text(["protocolVersion": "2025-06-18"]))
            case "tools/list"?: return .json(text(["tools": [["name": "echo"]]]))
            default:
                guard isStream else {
                    return ScriptedAnswer(
                        headers: [("Content-Type", "application/json")], pieces: [.bytes(answer.bytes(id))])
                }
                // The stream goes on behind the answer, as that of a server that waits for a client to leave.
                let event = Array("data: ".utf8) + answer.bytes(id).filter { $0 != 0x0d } + Array("\n\n".utf8)
                return ScriptedAnswer(
                    headers: [("Content-Type", "text/event-stream")], pieces: [.bytes(event), .hold(goesOn)], framing: .chunked)
            }
        }
        var settings = MCPServerSettings(name: "web", place: .address(MCPAddress(url: server.url)))
        settings.timeout = 3_600
        try check(settings, answer.text)
        goesOn.signal()
    }

    @Test("A message over many lines is read; lines of logs around it are not", arguments: [
        ["{", #"  "jsonrpc": "2.0","#, #"  "id": 7,"#, #"  "result": {"#, "  }", "}"],
        ["starting {", "{", #"{"level":"info","error":{"x":1}}"#, #"{"jsonrpc":"2.0","id":7,"result":{}}"#],
        [#"{"error":{"message":"of a log"}}"#, "} {", "null", "[1,2]", #"{"jsonrpc":"2.0","id":7,"result":{}}"#],
        [#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":'x'}}"#, #"{"jsonrpc":"2.0","id":7,"result":{}}"#],
    ])
    func lines(written: [String]) {
        var lines = MCPLines()
        var found: [JSON] = []
        for line in written {
            switch lines.take(Array(line.utf8)) {
            case .messages(let messages): found += messages.filter { MCPReading.answers($0, 7) }
            case .noise: continue
            case .unreadable(let reason): Issue.record("\(line): \(reason)")
            }
        }
        #expect(found == [["jsonrpc": "2.0", "id": 7, "result": [:]]])
    }

    @Test("A list of tools with NaN in a default is a list")
    func list() throws {
        let tools = #"[{"name":"a","inputSchema":{"type":"object","properties":{"x":{"type":"number","default":NaN}}}},{"name":"b"}]"#
        let servers = MCPServers([ShellServer.settings(ShellServer.script(tools: tools, call: ShellServer.answer))])
        defer { servers.close() }
        #expect(servers.offers(waiting: 20).map(\.tool.name) == ["a", "b"])
    }
}
