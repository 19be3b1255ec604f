// Servers that are shell scripts, and servers over HTTP, as good and as bad as they come.
import Foundation
import HTTPTransport
import ModelTestSupport
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import MCP

@Suite("MCP servers")
struct MCPServersTests {
    private func failure(_ body: () throws(MCPError) -> MCPCallResult) -> MCPError? {
        do throws(MCPError) {
            _ = try body()
            return nil
        } catch {
            return error
        }
    }

    @Test("a child process is greeted, asked for its tools and called; each user has a process of its own")
    func users() throws {
        let servers = MCPServers([ShellServer.settings(ShellServer.script(call: ShellServer.answer))])
        defer { servers.close() }
        let offer = try #require(servers.offers(waiting: 20).first)
        #expect(offer.tool.name == "echo")
        let alice = try servers.call(offer, ["a": 1], user: "alice", cancellation: nil).text
        #expect(alice.hasPrefix("from "))
        #expect(try servers.call(offer, [:], user: "alice", cancellation: nil).text == alice)
        #expect(try servers.call(offer, [:], user: "bob", cancellation: nil).text != alice)
    }

    @Test(
        "one connection serves all where the server is shared; the one unused longest makes room where places are few")
    func places() throws {
        let script = ShellServer.script(call: ShellServer.answer)
        let shared = MCPServers([ShellServer.settings(script) { $0.isShared = true }])
        defer { shared.close() }
        let offer = try #require(shared.offers(waiting: 20).first)
        let texts = try ["alice", "bob"].map { user throws(MCPError) in
            try shared.call(offer, [:], user: user, cancellation: nil).text
        }
        #expect(texts[0] == texts[1])
        let few = MCPServers([ShellServer.settings(script) { $0.maxConnections = 1 }])
        defer { few.close() }
        let other = try #require(few.offers(waiting: 20).first)
        let alice = try few.call(other, [:], user: "alice", cancellation: nil).text
        _ = try few.call(other, [:], user: "bob", cancellation: nil)
        #expect(try few.call(other, [:], user: "alice", cancellation: nil).text != alice)
    }

    @Test("a process sees its own variables and no others")
    func environment() throws {
        let call = #"""
            printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}\n' "$id" "$(env | cut -d= -f1 | sort | tr '\n' ' ')"
            """#
        let servers = MCPServers([ShellServer.settings(ShellServer.script(call: call))])
        defer { servers.close() }
        let offer = try #require(servers.offers(waiting: 20).first)
        let names = try servers.call(offer, [:], user: "a", cancellation: nil).text.split(separator: " ")
        #expect(names.contains("SECRET"))
        #expect(Set(names).isSubset(of: ["PATH", "SECRET", "PWD", "SHLVL", "_", "OLDPWD"]))
    }

    @Test(
        "what a server does wrong is an error that says so",
        arguments: [
            ("exit 3", MCPError.Code.unavailable), ("sleep 60", .timeout),
            (#"printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-1,"message":"no such"}}\n' "$id""#, .refused),
            (#"printf '{"jsonrpc":"2.0","id":%s}\n' "$id""#, .protocolError),
            (#"echo '{"jsonrpc":"2.0","id":99999,"result":{}}'"#, .timeout), ("echo garbage", .timeout),
            ("head -c 9000000 /dev/zero | tr '\\\\0' x", .protocolError),
        ])
    func wrong(call: String, code: MCPError.Code) throws {
        let servers = MCPServers([ShellServer.settings(ShellServer.script(call: call)) { $0.timeout = 2 }])
        defer { servers.close() }
        let offer = try #require(servers.offers(waiting: 20).first)
        let error = failure { () throws(MCPError) in try servers.call(offer, [:], user: "a", cancellation: nil) }
        #expect(error?.code == code)
        #expect(error?.mayHaveRun == true || code == .refused || code == .protocolError)
    }

    @Test(
        "a server that cannot be used is left out, with the reason",
        arguments: [
            ("exit 1", "has ended"), ("echo boom >&2; exit 1", "boom"),
            (
                #"read line; echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"1999-01-01"}}'; sleep 5"#,
                "1999-01-01"
            ),
        ])
    func unusable(script: String, reason: String) {
        let told = Mutex<[String]>([])
        let servers = MCPServers([ShellServer.settings(script)]) { _, problem in told.withLock { $0.append(problem) } }
        #expect(servers.offers(waiting: 30).isEmpty)
        #expect(servers.report().first?.problem?.contains(reason) == true)
        #expect(told.withLock { $0.count } == 1)
        // Asked again only later.
        #expect(servers.offers(waiting: 0).isEmpty)
        #expect(told.withLock { $0.count } == 1)
    }

    @Test("a program that is not there is an error, not a child")
    func absent() {
        let command = MCPCommand(program: "/no/such/program", arguments: []) { [:] }
        let servers = MCPServers([MCPServerSettings(name: "x", place: .command(command))])
        #expect(servers.offers(waiting: 20).isEmpty)
        #expect(servers.report().first?.problem?.contains("/no/such/program") == true)
    }

    @Test("a process that died between two calls is started anew; one that dies in a call is not asked twice")
    func restart() throws {
        let call = #"case "$line" in *die*) exit 1;; *) \#(ShellServer.answer);; esac"#
        let servers = MCPServers([ShellServer.settings(ShellServer.script(call: call))])
        defer { servers.close() }
        let offer = try #require(servers.offers(waiting: 20).first)
        let first = try servers.call(offer, [:], user: "a", cancellation: nil).text
        let error = failure { () throws(MCPError) in try servers.call(offer, ["x": "die"], user: "a", cancellation: nil)
        }
        #expect(error?.code == .unavailable && error?.mayHaveRun == true)
        #expect(try servers.call(offer, [:], user: "a", cancellation: nil).text != first)
    }

    @Test("a cancelled call ends at once, and the connection goes on")
    func cancelled() throws {
        let token = CancellationToken()
        token.cancel()
        let servers = MCPServers([ShellServer.settings(ShellServer.script(call: ShellServer.answer))])
        defer { servers.close() }
        let offer = try #require(servers.offers(waiting: 20).first)
        let before = try servers.call(offer, [:], user: "a", cancellation: nil).text
        let error = failure { () throws(MCPError) in try servers.call(offer, [:], user: "a", cancellation: token) }
        #expect(error?.code == .cancelled)
        #expect(try servers.call(offer, [:], user: "a", cancellation: nil).text == before)
    }

    @Test("lists in pages are read to their end, a list in a circle is an error, hints are believed")
    func pages() throws {
        let channel = ScriptedChannel([
            ["protocolVersion": "2025-06-18"],
            [
                "tools": [
                    ["name": "a", "annotations": ["readOnlyHint": true]],
                    ["name": "b", "annotations": ["idempotentHint": true]],
                    ["name": ""], ["no": "name"],
                ], "nextCursor": "2",
            ],
            ["tools": [["name": "c", "description": "C"]]], ["tools": [], "nextCursor": "x"],
            ["tools": [], "nextCursor": "x"],
        ])
        let session = try MCPSession(server: "s", channel: channel)
        let list = try session.tools()
        let tools = list.tools
        #expect(list.missing.map(\.reason) == ["a tool has no name", "a tool has no name"])
        #expect(tools.map(\.name) == ["a", "b", "c"])
        #expect(tools.map(\.isReadOnly) == [true, false, false])
        #expect(tools.map(\.isIdempotent) == [true, true, false])
        #expect(throws: MCPError.self) { try session.tools() }
        #expect(channel.version == "2025-06-18")
    }

    @Test("contents become text; pings are answered, other wishes of the server refused")
    func contents() throws {
        let channel = ScriptedChannel([
            ["protocolVersion": "2025-06-18"],
            [
                "content": [
                    ["type": "text", "text": "one"], ["type": "image", "data": "x"],
                    ["type": "resource", "resource": ["uri": "u", "text": "two"]],
                    ["type": "resource_link", "uri": "v"],
                ], "isError": true,
            ],
            ["structuredContent": ["n": 1]],
        ])
        let session = try MCPSession(server: "s", channel: channel)
        let result = try session.call("t", [:], seconds: 1, cancellation: nil)
        #expect(result.text == "one\n[image, which cannot be shown]\ntwo\n[a resource: v]" && result.isError)
        #expect(try session.call("t", [:], seconds: 1, cancellation: nil).text == #"{"n":1}"#)
        #expect(MCPMessage.answer(to: ["id": 7, "method": "ping"]) == ["jsonrpc": "2.0", "id": 7, "result": [:]])
        #expect(MCPMessage.answer(to: ["id": 7, "method": "sampling/createMessage"])?["error"]?["code"] == -32601)
        #expect(MCPMessage.answer(to: ["method": "notifications/message"]) == nil)
    }

    @Test(
        "over HTTP: JSON and streams, the session's id and the revision go along, keys come from the settings",
        arguments: [true, false])
    func http(isStream: Bool) throws {
        let server = try LoopbackHTTPServer { request in
            let message = (try? JSON.parse(request.body)) ?? .null
            guard let id = message["id"]?.int else { return .json("", status: 202) }
            let result: JSON
            switch message["method"]?.string {
            case "initialize"?: result = ["protocolVersion": "2025-06-18"]
            case "tools/list"?: result = ["tools": [["name": "find", "inputSchema": ["type": "object"]]]]
            default: result = ["content": [["type": "text", "text": "found"]]]
            }
            let answer: JSON = ["jsonrpc": "2.0", "id": JSON(id), "result": result]
            guard isStream else { return .json(answer.text(), headers: [("Mcp-Session-Id", "s1")]) }
            var events = ScriptedAnswer.events([
                "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n",
                "data: \(answer.text())\n\n",
            ])
            events.headers.append(("Mcp-Session-Id", "s1"))
            return events
        }
        let address = MCPAddress(url: server.url + "/mcp") { () throws(MCPError) in
            [(name: "Authorization", value: "Bearer k")]
        }
        let servers = MCPServers([MCPServerSettings(name: "web", place: .address(address))])
        let offer = try #require(servers.offers(waiting: 20).first)
        #expect(try servers.call(offer, ["q": "x"], user: "alice", cancellation: nil).text == "found")
        let call = try #require(server.requests.last { $0.text.contains("tools/call") })
        #expect(call.header("mcp-session-id") == "s1")
        #expect(call.header("mcp-protocol-version") == "2025-06-18")
        #expect(call.header("authorization") == "Bearer k")
        #expect(call.header("accept")?.contains("text/event-stream") == true)
    }

    @Test("over HTTP: a session the server has forgotten is begun anew, for it did not carry out what it was asked; what it failed at is not repeated")
    func forgotten() throws {
        let calls = Mutex(0)
        let server = try LoopbackHTTPServer { request in
            let message = (try? JSON.parse(request.body)) ?? .null
            guard let id = message["id"]?.int else { return .json("", status: 202) }
            let answer = { (result: JSON) -> ScriptedAnswer in
                let whole: JSON = ["jsonrpc": "2.0", "id": JSON(id), "result": result]
                return .json(whole.text())
            }
            switch message["method"]?.string {
            case "initialize"?: return answer(["protocolVersion": "2025-06-18"])
            case "tools/list"?:
                return answer(["tools": [["name": "get", "annotations": ["readOnlyHint": true]], ["name": "put"]]])
            default:
                let isFirst = calls.withLock { count -> Bool in
                    count += 1
                    return count % 2 == 1
                }
                let status = message["params"]?["name"] == "put" ? 500 : 404
                return isFirst ? .json("gone", status: status) : answer(["content": [["type": "text", "text": "ok"]]])
            }
        }
        let servers = MCPServers([MCPServerSettings(name: "web", place: .address(MCPAddress(url: server.url)))])
        let offers = servers.offers(waiting: 20)
        #expect(try servers.call(offers[0], [:], user: "a", cancellation: nil).text == "ok")
        let error = failure { () throws(MCPError) in try servers.call(offers[1], [:], user: "a", cancellation: nil) }
        #expect(error?.code == .unavailable && error?.mayHaveRun == true)
        let turnedAway = try LoopbackHTTPServer { _ in .json("who are you", status: 401) }
        let closed = MCPServers([MCPServerSettings(name: "web", place: .address(MCPAddress(url: turnedAway.url)))])
        let refused = failure { () throws(MCPError) in try closed.call(offers[1], [:], user: "a", cancellation: nil) }
        #expect(refused?.mayHaveRun == false && refused?.detail.contains("401") == true)
    }

    @Test("over HTTP: what a server asks meanwhile is answered while it waits, and it is told when nobody waits for it")
    func asking() throws {
        let isAnswered = WakeSignal()
        let server = try LoopbackHTTPServer { request in
            let message = (try? JSON.parse(request.body)) ?? .null
            if message["id"] == "p" { isAnswered.signal() }
            guard let id = message["id"]?.int else { return .json("", status: 202) }
            let text = { (result: JSON) in JSON.object(["jsonrpc": "2.0", "id": JSON(id), "result": result]).text() }
            switch message["method"]?.string {
            case "initialize"?: return .json(text(["protocolVersion": "2025-06-18"]))
            case "tools/list"?: return .json(text(["tools": [["name": "ask"]]]))
            default:
                guard message["params"]?["arguments"]?["hang"] == nil else {
                    return ScriptedAnswer(pieces: [.stall], framing: .chunked)
                }
                let ping = "data: {\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n\n"
                let answer = "data: \(text(["content": [["type": "text", "text": "ok"]]]))\n\n"
                return ScriptedAnswer(
                    headers: [("Content-Type", "text/event-stream")],
                    pieces: [.bytes(Array(ping.utf8)), .hold(isAnswered), .bytes(Array(answer.utf8))],
                    framing: .chunked)
            }
        }
        var settings = MCPServerSettings(name: "web", place: .address(MCPAddress(url: server.url)))
        settings.timeout = 1
        let servers = MCPServers([settings])
        let offer = try #require(servers.offers(waiting: 20).first)
        #expect(try servers.call(offer, [:], user: "a", cancellation: nil).text == "ok")
        let hung = failure { () throws(MCPError) in
            try servers.call(offer, ["hang": true], user: "a", cancellation: nil)
        }
        #expect(hung?.code == .timeout)
        #expect(server.requests.contains { $0.text.contains("notifications/cancelled") })
    }

    @Test("a list that has changed is read again once; until then, and if that fails, the old one holds")
    func changed() throws {
        let lists = Mutex(0)
        let server = try LoopbackHTTPServer { request in
            let message = (try? JSON.parse(request.body)) ?? .null
            guard let id = message["id"]?.int else { return .json("", status: 202) }
            let text = { (result: JSON) in JSON.object(["jsonrpc": "2.0", "id": JSON(id), "result": result]).text() }
            switch message["method"]?.string {
            case "initialize"?: return .json(text(["protocolVersion": "2025-06-18"]))
            case "tools/list"?:
                let count = lists.withLock { count -> Int in
                    count += 1
                    return count
                }
                return count == 1 ? .json(text(["tools": [["name": "old"]]])) : .json("broken", status: 500)
            default:
                return .events([
                    "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n",
                    "data: \(text(["content": []]))\n\n",
                ])
            }
        }
        let told = DispatchSemaphore(value: 0)
        let servers = MCPServers([MCPServerSettings(name: "web", place: .address(MCPAddress(url: server.url)))]) { _, _ in
            told.signal()
        }
        let offer = try #require(servers.offers(waiting: 20).first)
        _ = try servers.call(offer, [:], user: "a", cancellation: nil)
        #expect(servers.offers(waiting: 20) == [offer])
        told.wait()
        #expect(servers.offers(waiting: 20) == [offer])
        #expect(lists.withLock { $0 } == 2)
    }

    @Test("who waits for others at a shared server has the same time limit, can be stopped, and holds up nobody else")
    func waiting() throws {
        let isThere = WakeSignal()
        let goesOn = WakeSignal()
        let channel = HeldChannel(isThere: isThere, goesOn: goesOn)
        let session = try MCPSession(server: "s", channel: channel)
        let isOver = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            _ = try? session.call("t", [:], seconds: 60, cancellation: nil)
            isOver.signal()
        }
        isThere.wait()
        #expect(!session.isBroken)
        let busy = failure { () throws(MCPError) in try session.call("t", [:], seconds: 0.1, cancellation: nil) }
        #expect(busy?.code == .busy && busy?.mayHaveRun == false)
        let token = CancellationToken()
        token.cancel()
        let stopped = failure { () throws(MCPError) in try session.call("t", [:], seconds: 60, cancellation: token) }
        #expect(stopped?.code == .cancelled && stopped?.mayHaveRun == false)
        goesOn.signal()
        isOver.wait()
    }
}

/// Holds every call until the test lets it go on.
private final class HeldChannel: MCPChannel, @unchecked Sendable {
    private let isThere: WakeSignal
    private let goesOn: WakeSignal

    init(isThere: WakeSignal, goesOn: WakeSignal) {
        self.isThere = isThere
        self.goesOn = goesOn
    }

    func exchange(
        _ request: JSON, id: Int, seconds: Double, cancellation: CancellationToken?, other: @escaping (JSON) -> JSON?
    ) throws(MCPError) -> JSON {
        if request["method"] == "tools/call" {
            isThere.signal()
            goesOn.wait()
        }
        return ["jsonrpc": "2.0", "id": JSON(id), "result": ["protocolVersion": "2025-06-18"]]
    }

    func notify(_ message: JSON) throws(MCPError) {}
    func agreed(on version: String) {}
    func listen(other: @escaping (JSON) -> JSON?) -> MCPListening { .noStream }
    func close() {}
}
