// What servers say by themselves: on the stream of a GET, in the streams of answers, between the calls of a child process.
import Foundation
import HTTPTransport
import ModelTestSupport
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import MCP

@Suite("What MCP servers say by themselves", .timeLimit(.minutes(2)))
struct ListeningTests {
    /// A server over HTTP with sessions, whose GETs a test writes down.
    private final class Script: Sendable {
        struct State {
            var lists = 0
            var gets: [RecordedRequest] = []
            var replies: [JSON] = []
            var deleted: [String] = []
            var sessions = 0
        }

        let state = Mutex(State())
        let deletions = DispatchSemaphore(value: 0)
        let heard = DispatchSemaphore(value: 0)
        private let announces: Bool
        /// By the number of the GET, from 1.
        private let get: @Sendable (Int, RecordedRequest) -> ScriptedAnswer
        private let call: @Sendable (Int) -> ScriptedAnswer

        init(
            announces: Bool = true, call: @escaping @Sendable (Int) -> ScriptedAnswer = { ListeningTests.answer($0) },
            get: @escaping @Sendable (Int, RecordedRequest) -> ScriptedAnswer
        ) {
            self.announces = announces
            self.call = call
            self.get = get
        }

        func answer(_ request: RecordedRequest) -> ScriptedAnswer {
            if request.method == "GET" {
                let number = state.withLock { state in
                    state.gets.append(request)
                    return state.gets.count
                }
                return get(number, request)
            }
            if request.method == "DELETE" {
                state.withLock { $0.deleted.append(request.header("mcp-session-id") ?? "none") }
                deletions.signal()
                return .json("", status: 200)
            }
            let message = (try? JSON.parse(request.body)) ?? .null
            guard let method = message["method"]?.string, let id = message["id"]?.int else {
                if message["method"] == nil {
                    state.withLock { $0.replies.append(message) }
                    heard.signal()
                }
                return .json("", status: 202)
            }
            switch method {
            case "initialize":
                let number = state.withLock { state in
                    state.sessions += 1
                    return state.sessions
                }
                let capabilities: JSON = announces ? ["tools": ["listChanged": true]] : ["tools": [:]]
                let text = ListeningTests.text(id, ["protocolVersion": "2025-06-18", "capabilities": capabilities])
                return .json(text, headers: [("Mcp-Session-Id", "s\(number)")])
            case "tools/list":
                let number = state.withLock { state in
                    state.lists += 1
                    return state.lists
                }
                return .json(ListeningTests.text(id, ["tools": [["name": .string("t\(number)")]]]))
            default: return call(id)
            }
        }

        func serve() throws -> LoopbackHTTPServer { try LoopbackHTTPServer { self.answer($0) } }
    }

    static func text(_ id: Int, _ result: JSON) -> String {
        JSON.object(["jsonrpc": "2.0", "id": JSON(id), "result": result]).text()
    }

    static func answer(_ id: Int) -> ScriptedAnswer { .json(text(id, ["content": [["type": "text", "text": "ok"]]])) }

    private static func stream(_ pieces: [ScriptedAnswer.Piece], cut: Bool = false) -> ScriptedAnswer {
        ScriptedAnswer(headers: [("Content-Type", "text/event-stream")], pieces: pieces, framing: .chunked, cut: cut)
    }

    private static func event(_ message: JSON, id: String? = nil) -> ScriptedAnswer.Piece {
        .bytes(Array(((id.map { "id: \($0)\n" } ?? "") + "data: \(message.text())\n\n").utf8))
    }

    private static let changed: JSON = ["jsonrpc": "2.0", "method": "notifications/tools/list_changed"]
    private static let noStream = ScriptedAnswer.json("", status: 405)

    private static func servers(_ server: LoopbackHTTPServer, _ change: (inout MCPServerSettings) -> Void = { _ in }) -> MCPServers {
        var settings = MCPServerSettings(name: "web", place: .address(MCPAddress(url: server.url + "/mcp")))
        settings.timeout = 20
        change(&settings)
        return MCPServers([settings])
    }

    @Test("A list that changes is read again when the server says so on its stream, also where nobody has called a tool", arguments: [false, true])
    func changes(isShared: Bool) throws {
        let change = WakeSignal()
        let script = Script { _, _ in
            Self.stream([.bytes(Array(": here\n\n".utf8)), .hold(change), Self.event(Self.changed), .stall])
        }
        let server = try script.serve()
        let servers = Self.servers(server) { $0.isShared = isShared }
        #expect(servers.offers(waiting: 20).map(\.tool.name) == ["t1"])
        change.signal()
        while servers.offers(waiting: 0.01).map(\.tool.name) != ["t2"] {}
        // One session did it all.
        #expect(script.state.withLock { $0.sessions } == 1)
        #expect(script.state.withLock { $0.gets.first?.header("accept") } == "text/event-stream")
        #expect(script.state.withLock { $0.gets.first?.header("mcp-session-id") } == "s1")
        servers.close()
        script.deletions.wait()
        #expect(script.state.withLock { $0.deleted } == ["s1"])
    }

    /// A request of the server, and a part of what it gets.
    static let requests: [(method: String, reply: JSON)] = [
        ("ping", ["result": [:]]), ("roots/list", ["result": ["roots": []]]),
        ("sampling/createMessage", ["error": ["code": -32601, "message": "sampling/createMessage is not offered by this client"]]),
        ("elicitation/create", ["error": ["code": -32601, "message": "elicitation/create is not offered by this client"]]),
        ("tasks/list", ["error": ["code": -32601, "message": "tasks/list is not offered by this client"]]),
    ]

    private static func request(_ method: String) -> JSON {
        ["jsonrpc": "2.0", "id": .string("of-" + method), "method": .string(method), "params": [:]]
    }

    private static func reply(_ method: String, _ part: JSON) -> JSON {
        .object(JSONObject([("jsonrpc", "2.0"), ("id", .string("of-" + method))] + (part.object ?? [:]).map { ($0.key, $0.value) }))
    }

    @Test("Requests on the stream are answered at once, while no call is going on", arguments: requests)
    func asks(method: String, part: JSON) throws {
        let script = Script(announces: false) { _, _ in Self.stream([Self.event(Self.request(method)), .stall]) }
        let server = try script.serve()
        let servers = Self.servers(server)
        let offer = try #require(servers.offers(waiting: 20).first)
        #expect(try servers.call(offer, [:], user: "a", cancellation: nil).text == "ok")
        script.heard.wait()
        #expect(script.state.withLock { $0.replies } == [Self.reply(method, part)])
        servers.close()
    }

    @Test("A server without a stream is asked for it once for each connection, and works as before", arguments: [405, 400, 501, 200])
    func none(status: Int) throws {
        let asked = DispatchSemaphore(value: 0)
        let script = Script { _, _ in
            asked.signal()
            return .json("{}", status: status)
        }
        let server = try script.serve()
        let servers = Self.servers(server)
        let offer = try #require(servers.offers(waiting: 20).first)
        asked.wait()
        // Without a stream nothing is heard on the session that was kept for it.
        script.deletions.wait()
        #expect(try servers.call(offer, [:], user: "a", cancellation: nil).text == "ok")
        asked.wait()
        #expect(try servers.call(offer, [:], user: "a", cancellation: nil).text == "ok")
        servers.close()
        #expect(script.state.withLock { $0.gets.count } == 2)
    }

    @Test("A stream that ends or breaks is opened again behind its last event, after the time the server asks for", arguments: [false, true])
    func again(isCut: Bool) throws {
        let isBack = DispatchSemaphore(value: 0)
        let script = Script { number, _ in
            guard number > 1 else { return Self.stream([.bytes(Array("retry: 100\nid: e7\ndata:\n\n".utf8))], cut: isCut) }
            isBack.signal()
            return Self.stream([Self.event(Self.changed, id: "e8"), .stall])
        }
        let server = try script.serve()
        let servers = Self.servers(server)
        #expect(servers.offers(waiting: 20).map(\.tool.name) == ["t1"])
        isBack.wait()
        #expect(script.state.withLock { $0.gets.map { $0.header("last-event-id") } } == [nil, "e7"])
        while servers.offers(waiting: 0.01).map(\.tool.name) != ["t2"] {}
        servers.close()
    }

    @Test("A session that the server has forgotten is noticed on the stream; the next call begins another")
    func forgotten() throws {
        let isAsked = DispatchSemaphore(value: 0)
        let script = Script(announces: false) { number, _ in
            isAsked.signal()
            return number == 1 ? .json("unknown session", status: 404) : Self.stream([.stall])
        }
        let server = try script.serve()
        let servers = Self.servers(server)
        let offer = try #require(servers.offers(waiting: 20).first)
        #expect(try servers.call(offer, [:], user: "a", cancellation: nil).text == "ok")
        isAsked.wait()
        while script.state.withLock({ $0.sessions }) < 3 {
            #expect(try servers.call(offer, [:], user: "a", cancellation: nil).text == "ok")
        }
        isAsked.wait()
        servers.close()
    }

    @Test("The stream of an answer that ends before the answer goes on behind its last event", arguments: [false, true])
    func resumed(isCut: Bool) throws {
        let asked = Mutex(0)
        let script = Script(
            announces: false,
            call: { id in
                asked.withLock { $0 = id }
                return Self.stream([.bytes(Array("retry: 100\nid: c1\ndata:\n\n".utf8))], cut: isCut)
            },
            get: { _, request in
                guard request.header("last-event-id") == "c1" else { return Self.noStream }
                let answer = JSON.object([
                    "jsonrpc": "2.0", "id": JSON(asked.withLock { $0 }), "result": ["content": [["type": "text", "text": "late"]]],
                ])
                return Self.stream([Self.event(answer, id: "c2"), .stall])
            })
        let server = try script.serve()
        let servers = Self.servers(server)
        let offer = try #require(servers.offers(waiting: 20).first)
        #expect(try servers.call(offer, [:], user: "a", cancellation: nil).text == "late")
        servers.close()
    }

    @Test("A stream that ends before the answer, and cannot be gone on with, is an error at once", arguments: [false, true])
    func lost(isCut: Bool) throws {
        let script = Script(
            announces: false, call: { _ in Self.stream([.bytes(Array("retry: 100\nid: c1\ndata:\n\n".utf8))], cut: isCut) },
            get: { _, _ in Self.noStream })
        let server = try script.serve()
        let servers = Self.servers(server) { $0.timeout = 3_600 }
        let offer = try #require(servers.offers(waiting: 20).first)
        let error = #expect(throws: MCPError.self) { try servers.call(offer, [:], user: "a", cancellation: nil) }
        #expect(error?.mayHaveRun == true && error?.code != .timeout)
        servers.close()
    }

    // MARK: - Child processes

    @Test("Requests of a child are answered between calls, too", arguments: requests)
    func childAsks(method: String, part: JSON) throws {
        let folder = try TemporaryDirectory()
        let pipe = folder.path + "/reply"
        try #require(mkfifo(pipe, 0o600) == 0)
        let call = ShellServer.answer + "; printf '%s\\n' '\(Self.request(method).text())'; read -r reply; printf '%s' \"$reply\" > '\(pipe)'"
        let servers = MCPServers([ShellServer.settings(ShellServer.script(call: call))])
        defer { servers.close() }
        let offer = try #require(servers.offers(waiting: 20).first)
        _ = try servers.call(offer, [:], user: "a", cancellation: nil)
        let reader = try #require(FileHandle(forReadingAtPath: pipe))
        let reply = try #require(try reader.readToEnd())
        #expect(try JSON.parse(Array(reply)) == Self.reply(method, part))
    }

    @Test("A child that says between calls that its tools have changed is asked again")
    func childChanges() throws {
        let folder = try TemporaryDirectory()
        let tools = #"'"$([ -e \#(folder.path)/new ] && echo '[{"name":"new"}]' || echo '[{"name":"old"}]')"'"#
        let call = ShellServer.answer + "; : > \(folder.path)/new; printf '%s\\n' '\(Self.changed.text())'"
        let servers = MCPServers([ShellServer.settings(ShellServer.script(tools: tools, call: call))])
        defer { servers.close() }
        let offer = try #require(servers.offers(waiting: 20).first)
        #expect(offer.tool.name == "old")
        _ = try servers.call(offer, [:], user: "a", cancellation: nil)
        while servers.offers(waiting: 0.01).map(\.tool.name) != ["new"] {}
    }

    @Test("A child that dies between calls is noticed, and the next call starts another")
    func childDies() throws {
        let servers = MCPServers([ShellServer.settings(ShellServer.script(call: ShellServer.answer + "; exit 0"))])
        defer { servers.close() }
        let offer = try #require(servers.offers(waiting: 20).first)
        let first = try servers.call(offer, [:], user: "a", cancellation: nil).text
        // Whether the call or the listener meets the end first: nothing was carried out twice.
        while true {
            do throws(MCPError) {
                let second = try servers.call(offer, [:], user: "a", cancellation: nil).text
                #expect(second != first)
                break
            } catch {
                #expect(error.code == .unavailable)
            }
        }
    }
}
