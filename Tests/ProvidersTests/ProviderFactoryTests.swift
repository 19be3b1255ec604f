import HTTPTransport
import Logging
import ModelTestSupport
import Testing

@testable import Providers

@Suite("Picking a model by name")
struct ProviderFactoryTests {
    private func factory(
        _ settings: [ProviderSettings], model: String = "offline", fallbacks: [String] = [],
        prices: [String: ModelPrice] = [:], offline: ScriptedProvider = ScriptedProvider(name: "offline", [])
    ) -> ProviderFactory {
        ProviderFactory(
            settings: settings, prices: prices, defaultModel: model, fallbackModels: fallbacks,
            retries: RetryPolicy(maxAttempts: 1), offline: offline,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private let openai = ProviderSettings(name: "openai", type: .openai, apiKey: { "sk-test" })

    @Test("splits the name at the first slash")
    func names() throws {
        let router = ProviderSettings(name: "openrouter", type: .openai, baseURL: "https://x/v1", apiKey: { "k" })
        let factory = factory([openai, router], model: "openai/gpt-4o-mini")
        let standard = try factory.resolve(nil)
        #expect(standard.fullName == "openai/gpt-4o-mini")
        #expect(standard.model == "gpt-4o-mini")
        #expect(standard.provider.name == "openai")
        #expect(try factory.resolve("openrouter/anthropic/claude").model == "anthropic/claude")
        for name in ["offline", "offline/rules"] {
            let offline = try factory.resolve(name)
            #expect(offline.provider.name == "offline")
            #expect(offline.fullName == name)
        }
    }

    @Test(
        "explains a name that nothing answers to",
        arguments: [
            ("gpt-4o", "openai/gpt-4o"), ("nope/model", "providers"), ("openai", "openai/MODEL"),
            ("openai/", "openai/MODEL"), ("", "provider/model"), ("/x", "known"),
        ])
    func unknown(name: String, remedy: String) {
        let factory = factory([openai])
        do throws(ProviderError) {
            _ = try factory.resolve(name)
            Issue.record("\(name) was resolved")
        } catch {
            #expect(error.code == .badRequest)
            #expect(!error.isRetryable)
            #expect(error.detail.contains(remedy), "\(error.detail)")
        }
    }

    @Test(
        "asks for a key unless the model runs on this machine",
        arguments: [
            (ProviderType.openai, nil, true), (.openai, "https://api.deepseek.com", true),
            (.openai, "http://localhost:11434/v1", false), (.openai, "http://127.0.0.1:8080/v1", false),
            (.openai, "http://[::1]:8080/v1", false), (.openai, "http://127.0.0.1.example.com/", true),
            (.anthropic, nil, true),
        ] as [(ProviderType, String?, Bool)])
    func keys(type: ProviderType, baseURL: String?, needed: Bool) throws {
        let settings = ProviderSettings(name: "acme", type: type, baseURL: baseURL, keySource: "ACME_KEY")
        let factory = factory([settings])
        do throws(ProviderError) {
            _ = try factory.resolve("acme/m")
            #expect(!needed)
        } catch {
            #expect(needed)
            #expect(error.code == .authentication)
            #expect(error.detail.contains("ACME_KEY"))
        }
    }

    @Test("fails with the reason when a key is configured and cannot be had, also for a model on this machine")
    func unreadableKey() {
        let reason = ProviderError(code: .authentication, detail: "open /etc/acme.key: Permission denied")
        let local = ProviderSettings(
            name: "acme", type: .openai, baseURL: "http://127.0.0.1:9/v1",
            apiKey: { () throws(ProviderError) -> String? in throw reason })
        let factory = factory([local, openai])
        do throws(ProviderError) {
            _ = try factory.resolve("acme/m")
            Issue.record("resolved")
        } catch {
            #expect(error == reason)
        }
        #expect(factory.keyProblems() == [reason])
    }

    @Test("says what to configure where the configuration names no key")
    func noKeySource() {
        do throws(ProviderError) {
            _ = try factory([ProviderSettings(name: "acme", type: .openai)]).resolve("acme/m")
            Issue.record("resolved")
        } catch {
            #expect(error.detail.contains("providers.acme.api_key_env"))
            #expect(!error.detail.contains("ACME_API_KEY"))
        }
    }

    @Test("tells a refused key's source to who must change it")
    func refusedKey() throws {
        let server = try LoopbackHTTPServer { _ in .json(#"{"error":"bad key"}"#, status: 401) }
        for type in [ProviderType.openai, .anthropic] {
            let settings = ProviderSettings(
                name: "acme", type: type, baseURL: server.url, apiKey: { "k" }, keySource: "/etc/acme.key")
            let resolved = try factory([settings]).resolve("acme/m")
            let error = providerFailure { () throws(ProviderError) in
                try resolved.provider.complete(ChatRequest(model: "m", messages: [.user("hi")]))
            }
            #expect(error?.code == .authentication)
            #expect(error?.detail.contains("/etc/acme.key") == true)
        }
    }

    @Test("puts the fallback models behind the first, without those that have no key")
    func fallbacks() throws {
        let dead = ProviderSettings(name: "dead", type: .openai, baseURL: "http://127.0.0.1:9/v1")
        let keyless = ProviderSettings(name: "keyless", type: .openai)
        let offline = ScriptedProvider(name: "offline", [.text("from the rules")])
        let factory = factory(
            [dead, keyless], model: "dead/m", fallbacks: ["dead/m", "keyless/m", "offline"], offline: offline)
        let resolved = try factory.resolve(nil)
        #expect(resolved.fullName == "dead/m")
        let request = ChatRequest(model: resolved.model, messages: [.user("hi")])
        #expect(try resolved.provider.complete(request).message.content == "from the rules")
    }

    @Test("names the answering model in full and computes the cost")
    func cost() throws {
        let server = try LoopbackHTTPServer { _ in .json(WireFixture.openai.plain) }
        let factory = factory(
            [ProviderSettings(name: "acme", type: .openai, baseURL: server.url)],
            prices: ["acme/m": ModelPrice(input: 2, cachedInput: 1, output: 10)])
        let response = try factory.resolve("acme/m").provider.complete(ChatRequest(model: "m", messages: [.user("hi")]))
        #expect(response.model == "acme/m")
        // 100 input of which 40 cached, 20 output.
        #expect(abs(response.usage.costUSD - (60 * 2 + 40 * 1 + 20 * 10) / 1_000_000) < 1e-12)
    }

    @Test("gives every account a hold key of its own that fits a file name")
    func holdKeys() {
        let factory = factory([openai], model: "openai/x")
        #expect(factory.holdKey() == "openai")
        #expect(factory.holdKey(for: "offline") == "offline")
        let names = ["a-very-long-account-name-1", "a-very-long-account-name-2", "Über", "", "UPPER", "upper"]
        let keys = names.map { ProviderFactory.holdKey(account: $0) }
        #expect(Set(keys).count == names.count)
        for key in keys { #expect(key.wholeMatch(of: /[a-z0-9_-]{1,16}/) != nil, "\(key)") }
    }
}
