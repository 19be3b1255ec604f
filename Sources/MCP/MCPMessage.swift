// Messages of JSON-RPC 2.0 as this protocol uses them. Pure.
import TextFormats

enum MCPMessage {
    /// Revisions that are spoken, the one that is asked for first.
    static let versions = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]

    static func request(_ id: Int, _ method: String, _ parameters: JSON) -> JSON {
        ["jsonrpc": "2.0", "id": JSON(id), "method": .string(method), "params": parameters]
    }

    static func notification(_ method: String) -> JSON { ["jsonrpc": "2.0", "method": .string(method)] }

    static func cancelled(_ id: Int) -> JSON {
        [
            "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": ["requestId": JSON(id), "reason": "the caller waits no longer"],
        ]
    }

    static func initialize(_ id: Int) -> JSON {
        request(
            id, "initialize",
            [
                "protocolVersion": .string(versions[0]), "capabilities": [:],
                "clientInfo": ["name": "nanobot", "version": "1"],
            ])
    }

    /// What a server that asks us for something gets, at once: that we are here, that there are no roots for it, and that we do
    /// nothing else (sampling, elicitation). nil: the message asks for nothing.
    static func answer(to message: JSON) -> JSON? {
        guard let id = message["id"], !id.isNull, let method = message["method"]?.string else { return nil }
        switch method {
        case "ping": return ["jsonrpc": "2.0", "id": id, "result": [:]]
        case "roots/list": return ["jsonrpc": "2.0", "id": id, "result": ["roots": []]]
        default:
            let words = "\(method.prefix(100)) is not offered by this client"
            return ["jsonrpc": "2.0", "id": id, "error": ["code": -32601, "message": .string(words)]]
        }
    }
}
