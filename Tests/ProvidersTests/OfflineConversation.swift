import Foundation
import Testing
import TextFormats

@testable import Providers

/// Plays the agent: answers the provider's tool calls from a table until there is a text.
struct OfflineConversation {
    static let allTools = [
        "watchlist", "quotes", "feeds", "memory", "read_file", "write_file", "edit_file", "list_dir", "profile",
        "preferences", "schedule",
    ]
    static let context = """


        ---
        [context]
        time: 2026-11-24T03:44:46.123Z (Asia/Shanghai)
        user: alice
        language: zh
        watchlist: {"stocks":["AAPL","腾讯","NVDA"],"influencers":["Elon Musk"],"keywords":["AI"],"sectors":["半导体"]}
        """

    var tools = OfflineConversation.allTools
    var answer: (ToolCall) -> String
    private(set) var calls: [ToolCall] = []
    private(set) var steps = 0
    /// The most calls made at once.
    private(set) var most = 0

    init(tools: [String] = OfflineConversation.allTools, answer: @escaping (ToolCall) -> String) {
        self.tools = tools
        self.answer = answer
    }

    init(_ answers: [String: String]) {
        self.init { answers[$0.name] ?? #"{"error":{"code":"unknown_tool","detail":"no such tool"}}"# }
    }

    func request(_ text: String, context: String = OfflineConversation.context) -> ChatRequest {
        ChatRequest(
            model: "offline",
            messages: [
                .system("You are nanobot."), .user("remember that old words do not count"), .assistant("ok"),
                .user(text + context),
            ],
            tools: tools.map { ToolDefinition(name: $0, description: "", parameters: ["type": "object"]) })
    }

    mutating func ask(_ text: String, context: String = OfflineConversation.context) throws -> String {
        var request = request(text, context: context)
        calls = []
        for step in 0..<8 {
            steps = step + 1
            let response = try OfflineProvider().complete(request)
            guard response.finishReason == .toolCalls else { return response.message.content }
            #expect(Set(response.message.toolCalls.map(\.id)).count == response.message.toolCalls.count)
            #expect(response.message.toolCalls.allSatisfy { tools.contains($0.name) && $0.parsedArguments != nil })
            most = max(most, response.message.toolCalls.count)
            request.messages.append(response.message)
            for call in response.message.toolCalls {
                calls.append(call)
                request.messages.append(.tool(answer(call), callID: call.id, name: call.name))
            }
        }
        Issue.record("no answer after 8 steps")
        return ""
    }
}
