// A server over HTTP that repeats the headers it was sent: in its errors, in what its tools return, in how it describes them.
import Foundation
import HTTPTransport
import ModelTestSupport
import Synchronization
import Testing
import TextFormats

@testable import MCP

@Suite("The headers a server repeats")
struct EchoedHeaderTests {
    private static let token = "crm-token+0123456789"
    private static let password = "url-pass-word-77"

    /// How the server answers a call.
    enum Way: CaseIterable, Sendable {
        case result, toolError, protocolError, status, page, cutPage

        func answer(_ id: Int, _ echo: String) -> ScriptedAnswer {
            let result = { (json: JSON) -> ScriptedAnswer in
                let whole: JSON = ["jsonrpc": "2.0", "id": JSON(id), "result": json]
                return .json(whole.text())
            }
            switch self {
            case .result: return result(["content": [["type": "text", "text": .string("you sent \(echo)")]]])
            case .toolError:
                return result(["isError": true, "content": [["type": "text", "text": .string("you sent \(echo)")]]])
            case .protocolError:
                let whole: JSON = [
                    "jsonrpc": "2.0", "id": JSON(id), "error": ["code": -1, "message": .string("you sent \(echo)")],
                ]
                return .json(whole.text())
            case .status: return .json("you sent \(echo)", status: 403)
            case .page: return .json("<b>you sent \(echo.replacingOccurrences(of: "+", with: "&#43;"))</b>", status: 403)
            case .cutPage: return .json(String(repeating: "you sent ", count: 20) + "\(echo)", status: 403)
            }
        }
    }

    @Test("are in nothing that it says", arguments: Way.allCases)
    func echo(_ way: Way) throws {
        let server = try LoopbackHTTPServer { request in
            let message = (try? JSON.parse(request.body)) ?? .null
            guard let id = message["id"]?.int else { return .json("", status: 202) }
            let echo = "\(request.header("authorization") ?? "") of \(request.header("x-tenant") ?? ""), \(request.text)"
            switch message["method"]?.string {
            case "initialize"?:
                let whole: JSON = ["jsonrpc": "2.0", "id": JSON(id), "result": ["protocolVersion": "2025-06-18"]]
                return .json(whole.text())
            case "tools/list"?:
                let whole: JSON = [
                    "jsonrpc": "2.0", "id": JSON(id),
                    "result": ["tools": [["name": "find", "description": .string("for \(echo)"), "inputSchema": ["type": "object"]]]],
                ]
                return .json(whole.text())
            default: return way.answer(id, echo)
            }
        }
        let address = MCPAddress(url: "\(server.url)/mcp?api_key=\(Self.password)&q=plain") { () throws(MCPError) in
            [(name: "Authorization", value: "Bearer \(Self.token)"), (name: "X-Tenant", value: "acme-corp")]
        }
        let problems = Mutex<[String]>([])
        let servers = MCPServers([MCPServerSettings(name: "web", place: .address(address))]) { _, problem in
            problems.withLock { $0.append(problem) }
        }
        let offer = try #require(servers.offers(waiting: 20).first)
        var said = [offer.tool.description]
        do throws(MCPError) {
            said.append(try servers.call(offer, [:], user: "alice", cancellation: nil).text)
        } catch {
            said += [error.detail, error.description]
        }
        said += problems.withLock { $0 }
        #expect(said[0].contains("[key]") && said[1].contains("[key]"))
        // What is no credential stays: it may be what the model has to know.
        #expect(said[0].contains("acme-corp"))
        for text in said {
            for leak in [Self.token, "crm-token", "0123456789", Self.password] { #expect(!text.contains(leak), "\(text)") }
        }
    }
}
