// The table of known windows, what is configured over it, and the estimate that requests are measured with.
import Foundation
import Testing
import TextFormats

@testable import Providers

@Suite("Windows of models")
struct ModelWindowTests {
    @Test("each row of the table can be read, names its source and its day, and occurs once")
    func table() {
        #expect(KnownModel.rows.count > 100)
        #expect(KnownModel.all.count == KnownModel.rows.count)
        #expect(Set(KnownModel.all.map(\.pattern)).count == KnownModel.all.count)
        for row in KnownModel.all {
            #expect(row.source.hasPrefix("https://") && RFC3339.date(row.date + "T00:00:00Z") != nil, "\(row.pattern)")
            #expect(row.contextWindow >= 4_096 && row.maxOutputTokens <= row.contextWindow, "\(row.pattern)")
            #expect(!row.pattern.dropLast().contains("*") && row.pattern == row.pattern.lowercased(), "\(row.pattern)")
        }
    }

    @Test(
        "a model is found under the names that accounts and gateways give it",
        arguments: [
            ("gpt-4o-mini", 128_000), ("gpt-4o-mini-2024-07-18", 128_000), ("openai/gpt-4.1", 1_047_576), ("gpt-4", 8_192),
            ("claude-sonnet-4-5-20250929", 200_000), ("anthropic/claude-sonnet-4.5", 200_000), ("claude-opus-4-6", 1_000_000),
            ("deepseek-chat", 131_072), ("deepseek/deepseek-r1:free", 65_536), ("qwen-max", 30_720),
            ("qwen/qwen-2.5-72b-instruct", nil), ("Qwen/Qwen2.5-7B-Instruct", 32_768), ("moonshot-v1-8k", 8_192),
            ("moonshotai/kimi-k2.5", 262_144), ("gemini-2.5-flash", 1_048_576), ("meta-llama/llama-3.3-70b-instruct", 128_000),
            ("mistral-large-latest", 262_144), ("glm-4.6", 200_000), ("my-model", nil), ("", nil),
        ] as [(String, Int?)])
    func names(name: String, window: Int?) {
        #expect(KnownModel.named(name)?.contextWindow == window)
    }

    private func settings(
        _ type: ProviderType = .openai, name: String = "house", url: String? = "http://10.0.0.5/v1", thinking: Int = 0
    ) -> ProviderSettings {
        ProviderSettings(name: name, type: type, baseURL: url, thinkingTokens: thinking)
    }

    @Test("the operator's figure wins, a model's over its account's; then the table, then Ollama's default, then a guess")
    func precedence() {
        var account = settings()
        #expect(account.window(of: "m").tokens == ModelWindow.unknownModel && account.window(of: "m").source == .assumed)
        #expect(account.window(of: "gpt-4").tokens == 8_192)
        account.options = ModelOptions(contextWindow: 16_000, maxOutputTokens: 500, temperature: 0.2, extra: ["a": 1])
        account.models["m"] = ModelOptions(contextWindow: 50_000, extra: ["b": 2])
        #expect(account.window(of: "gpt-4").tokens == 16_000)
        #expect(account.window(of: "m").tokens == 50_000 && account.window(of: "m").outputTokens == 500)
        let options = account.options(of: "m")
        #expect(options.temperature == 0.2 && options.extra == ["a": 1, "b": 2])
        for ollama in [
            settings(name: "ollama", url: nil), settings(url: "http://127.0.0.1:11434/v1"), settings(url: "http://gpu:11434"),
        ] {
            #expect(ollama.window(of: "llama3.2").tokens == 4_096 && ollama.window(of: "llama3.2").source == .ollamaDefault)
        }
        #expect(settings(.offline).window(of: "x") == .unbounded)
    }

    @Test("room for the answer, its thoughts and the estimate's error is kept free, and a small window bounds the answer")
    func room() {
        let plain = settings().window(of: "gpt-4o")
        #expect(plain.answerBound == nil && plain.inputTokens(most: 60_000) == 60_000)
        let small = ModelWindow(tokens: 4_096, source: .ollamaDefault)
        #expect(small.answerBound == 1_024 && small.outputTokens == 1_024)
        #expect(small.inputTokens(most: 60_000) == 4_096 - 1_024 - 256)
        let anthropic = settings(.anthropic, thinking: 2_048).window(of: "claude-sonnet-4-5")
        #expect(anthropic.answerBound == 8_192 && anthropic.outputTokens == 10_240)
        let configured = ModelWindow(tokens: 200_000, source: .configured, answer: 10_000)
        #expect(configured.inputTokens(most: 60_000) == 200_000 - 10_000 - 1_024)
    }

    @Test("options reach the request and its body on both wires; extra is merged and null removes")
    func options() throws {
        let options = ModelOptions(
            maxOutputTokens: 300, temperature: 0.5,
            extra: ["top_k": 40, "user": .null, "stream_options": ["include_usage": false], "options": ["num_ctx": 8_192]])
        let request = options.applied(to: ChatRequest(model: "m", messages: [.user("hi")], stream: true, user: "u"))
        let openAI = OpenAIRequestBody(account: "a", dialect: OpenAIDialect()).json(request)
        #expect(openAI["max_tokens"] == 300 && openAI["temperature"]?.double == 0.5 && openAI["top_k"] == 40)
        #expect(openAI["user"] == nil && openAI["stream_options"]?["include_usage"] == false)
        #expect(openAI["options"]?["num_ctx"] == 8_192 && openAI["model"] == "m")
        let anthropic = AnthropicRequestBody(request).json
        #expect(anthropic["max_tokens"] == 300 && anthropic["temperature"]?.double == 0.5 && anthropic["top_k"] == 40)
        let own = ChatRequest(model: "m", messages: [], temperature: 1, maxTokens: 7)
        #expect(options.applied(to: own).maxTokens == 7 && options.applied(to: own).temperature == 1)
        let composed = ModelOptions(extra: ["user": .null]).over(ModelOptions(extra: ["top_k": 1])).extra
        #expect(MergePatch.merged(["user": "u"], with: try #require(composed)) == ["top_k": 1])
    }

    /// Counts of cl100k_base, o200k_base, Claude 2's and DeepSeek V3's tokenizers (the tables in LiteLLM 1.110.2), the highest
    /// of the four; counted on 2026-12-01.
    struct Sample: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var text: String
        var tokens: Int
    }

    @Test("the estimate is not below what tokenizers count, and not far above it for prose and code", arguments: samples)
    func estimate(sample: Sample) {
        let estimate = TokenEstimate.tokens(sample.text)
        #expect(estimate >= sample.tokens)
        #expect(estimate <= sample.tokens * 5 / 2 + 2, "\(estimate) for \(sample.tokens)")
    }
}
