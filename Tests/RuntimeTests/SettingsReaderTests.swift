import CoreMetrics
import DurableFiles
import Foundation
import Providers
import Runtime
import TestSupport
import Testing
import TextFormats

@Suite struct SettingsReaderTests {
    private func read(_ text: String?, environment: [String: String] = [:]) throws -> Settings {
        let folder = try TemporaryDirectory()
        let home = NanobotHome(path: folder.path)
        if let text { try LinuxFileSystem().createFile(home.configuration, Array(text.utf8)) }
        return try SettingsReader(environment: environment).read(home)
    }

    @Test("without a file and environment the defaults hold")
    func defaults() throws {
        let settings = try read(nil)
        #expect(settings.model == "offline")
        #expect(settings.workers == 16)
        #expect(settings.host == "127.0.0.1")
        #expect(settings.userLimits.running == 2)
        #expect(settings.adminToken == nil)
    }

    @Test("the file of the design page is understood, and the environment wins over it")
    func fileAndEnvironment() throws {
        let text = """
            {"model": "openai/gpt-4o-mini", "fallback_models": ["offline"], "default_timezone": "Asia/Shanghai",
             "retention_days": 7, "workers": 4, "server": {"host": "127.0.0.1", "port": 9000},
             "providers": {"openai": {"type": "openai", "base_url": "https://gateway.example/v1",
               "api_key_env": "MY_KEY", "api_key_file": null, "max_concurrent": 8,
               "requests_per_minute": 90}, "anthropic": {"thinking_tokens": 2048}},
             "prices": {"openai/gpt-4o-mini": {"input": 0.15, "cached_input": 0.075, "output": 0.6}},
             "limits": {"user": {"running": 3, "waiting": 5, "requests_per_minute": 60, "tokens_per_day": 0,
               "cost_per_month": 0, "disk_mb": 100}}, "plans": {}, "tools": {}, "data_sources": {}}
            """
        let settings = try read(text, environment: ["NANOBOT_MODEL": "ollama/x", "NANOBOT_PORT": "9001", "MY_KEY": "k"])
        #expect(settings.model == "ollama/x")
        #expect(settings.port == 9001)
        #expect(settings.workers == 4)
        #expect(settings.defaultTimezone == "Asia/Shanghai")
        #expect(settings.userLimits.waiting == 5)
        #expect(settings.providers["openai"]?.maxConcurrent == 8)
        #expect(settings.providers["openai"]?.rates.requestsPerMinute == 90)
        #expect(settings.providers["anthropic"]?.thinkingTokens == 2_048)
        #expect(settings.prices["openai/gpt-4o-mini"]?.output == 0.6)
        let account = SettingsReader(environment: ["MY_KEY": "k"]).accounts(settings).first { $0.name == "openai" }
        #expect(try account?.apiKey() == "k")
        #expect(account?.keySource == "MY_KEY")
    }

    @Test("a mistake is named with its key", arguments: [
        (#"{"modle": "x"}"#, "did you mean \"model\""), (#"{"workers": 0}"#, "workers"),
        (#"{"server": {"prot": 1}}"#, "server.prot"), (#"{"server": {"cors_origins": ["*"]}}"#, "server.cors_origins[0]"),
        (#"{"server": {"cors_origins": ["https://a.example", "https://b.example/x"]}}"#, "server.cors_origins[1]"), (#"{"default_timezone": "Mars/Base"}"#, "default_timezone"),
        (#"{"providers": {"x": {"type": "gemini"}}}"#, "providers.x.type"),
        (#"{"providers": {"x": {"base_url": "http://a"}}}"#, "providers.x.type"),
        (#"{"providers": {"openai": {"thinking_tokens": 2048}}}"#, "providers.openai.thinking_tokens"),
        (#"{"providers": {"anthropic": {"thinking_tokens": 5}}}"#, "providers.anthropic.thinking_tokens"),
        (#"{"tools": {"mcp_servers": {"A b": {"command": "/x"}}}}"#, "tools.mcp_servers.A b"),
        (#"{"tools": {"mcp_servers": {"a": {"command": "x"}}}}"#, "tools.mcp_servers.a.command"),
        (#"{"tools": {"mcp_servers": {"a": {"command": "/x", "url": "http://x"}}}}"#, "tools.mcp_servers.a.command"),
        (#"{"tools": {"mcp_servers": {"a": {"url": "ftp://x"}}}}"#, "tools.mcp_servers.a.url"),
        (#"{"tools": {"mcp_servers": {"a": {"comand": "/x"}}}}"#, "did you mean \"command\""),
        (#"{"tools": {"mcp_wait_s": 121}}"#, "tools.mcp_wait_s"), (#"{"tools": {"mcp_wait_s": "5"}}"#, "tools.mcp_wait_s"),
        (#"{"data_sources": {"m": {"kind": "quotes"}}}"#, "data_sources.m.url"),
        (#"{"data_sources": {"m": {"kind": "quotes", "url": "http://{symbol}.x/"}}}"#, "data_sources.m.url"),
        (#"{"data_sources": {"m": {"kind": "quotes", "url": "http://x", "fields": {"cost": "c"}}}}"#, "data_sources.m.fields.cost"),
        (#"{"limits": {"user": {"running": -1}}}"#, "limits.user.running"), ("{", "JSON"),
        (#"{"providers": {"openai": {"context_window": 100}}}"#, "providers.openai.context_window"),
        (#"{"providers": {"openai": {"contextwindow": 9000}}}"#, "did you mean \"context_window\""),
        (#"{"providers": {"openai": {"context_window": 8000, "max_output_tokens": 4001}}}"#, "providers.openai.max_output_tokens"),
        (#"{"providers": {"openai": {"temperature": 2.5}}}"#, "providers.openai.temperature"),
        (#"{"providers": {"openai": {"extra": [1]}}}"#, "providers.openai.extra"),
        (#"{"providers": {"openai": {"extra": {"max_tokens": 5}}}}"#, "max_output_tokens, beside extra"),
        (#"{"providers": {"openai": {"extra": {"messages": []}}}}"#, "providers.openai.extra.messages"),
        (#"{"providers": {"openai": {"models": {"gpt-4o": {"temprature": 1}}}}}"#, "providers.openai.models.gpt-4o.temprature"),
        (#"{"providers": {"openai": {"models": {"gpt-4o": {"base_url": "http://x"}}}}}"#, "providers.openai.models.gpt-4o.base_url"),
        (#"{"server": {"transfer_mb": 15}}"#, "server.transfer_mb"), (#"{"server": {"write_timeout_s": 0}}"#, "server.write_timeout_s"),
        (#"{"server": {"transfer_mb": 64, "transfer_mb_per_user": 65}}"#, "server.transfer_mb_per_user"),
    ])
    func mistakes(_ text: String, _ words: String) throws {
        do {
            _ = try read(text)
            Issue.record("accepted \(text)")
        } catch let error as SettingsError {
            #expect(error.description.contains(words), "\(error)")
        }
    }

    @Test("memory of transfers and the time of a write are set, and a user's share follows a small whole")
    func transfers() throws {
        let server = try read(#"{"server": {"transfer_mb": 64, "transfer_mb_per_user": 48, "write_timeout_s": 7}}"#).server
        #expect((server.transferMB, server.transferMBOfUser, server.writeTimeout) == (64, 48, 7))
        #expect(try read(#"{"server": {"transfer_mb": 16}}"#).server.transferMBOfUser == 16)
        #expect(try read(nil).server.transferMBOfUser == 32)
    }

    @Test("a key's file is looked up in the home, names itself when it cannot be read, and gives way to the variable")
    func keyFiles() throws {
        let folder = try TemporaryDirectory()
        let home = NanobotHome(path: folder.path)
        let text = """
            {"providers": {"house": {"type": "openai", "base_url": "http://127.0.0.1:4000/v1",
              "api_key_env": "HOUSE_KEY", "api_key_file": "house.key"}, "far": {"type": "openai",
              "api_key_file": "/nonexistent/far.key"}}}
            """
        let files = LinuxFileSystem()
        try files.createFile(home.configuration, Array(text.utf8))
        func account(_ name: String, environment: [String: String] = [:]) throws -> ProviderSettings {
            let reader = SettingsReader(environment: environment)
            return try #require(reader.accounts(try reader.read(home)).first { $0.name == name })
        }
        func failure(_ account: ProviderSettings) -> ProviderError? {
            do throws(ProviderError) {
                _ = try account.apiKey()
                return nil
            } catch {
                return error
            }
        }
        let path = "\(folder.path)/house.key"
        #expect(try account("house").keySource == path)
        #expect(failure(try account("house"))?.detail.contains(path) == true)
        #expect(failure(try account("house"))?.isRetryable == false)
        #expect(failure(try account("far"))?.detail.contains("/nonexistent/far.key") == true)
        #expect(try account("house", environment: ["HOUSE_KEY": "e"]).apiKey() == "e")
        #expect(try account("house", environment: ["HOUSE_KEY": "e"]).keySource == "HOUSE_KEY")

        try files.createFile(path, Array(" \n".utf8))
        #expect(failure(try account("house"))?.detail.contains("empty") == true)
        try files.replaceFile(path, Array("secret\n".utf8))
        #expect(try account("house").apiKey() == "secret")
    }

    @Test("a short admin token, a bad port and an unknown zone in the environment are refused", arguments: [
        ["NANOBOT_ADMIN_TOKEN": "short"], ["NANOBOT_PORT": "http"], ["NANOBOT_DEFAULT_TIMEZONE": "../etc/passwd"],
        ["NANOBOT_ADMIN_TOKEN_FILE": "/nonexistent"],
    ])
    func badEnvironment(_ environment: [String: String]) {
        #expect(throws: SettingsError.self) { try read(nil, environment: environment) }
    }
}

@Suite struct MetricsStoreTests {
    @Test("counters and durations come out in Prometheus text form")
    func text() {
        let store = MetricsStore()
        let counter = store.makeCounter(label: "jobs_total", dimensions: [("lane", "a\"b")])
        counter.increment(by: 2)
        counter.increment(by: 3)
        let timer = store.makeTimer(label: "seconds", dimensions: [])
        timer.recordNanoseconds(20_000_000)
        timer.recordNanoseconds(700_000_000_000)
        let text = store.text()
        #expect(text.contains("# TYPE jobs_total counter\njobs_total{lane=\"a\\\"b\"} 5\n"))
        #expect(text.contains("seconds_bucket{le=\"0.025\"} 1\n"))
        #expect(text.contains("seconds_bucket{le=\"300.0\"} 1\n"))
        #expect(text.contains("seconds_bucket{le=\"+Inf\"} 2\n"))
        #expect(text.contains("seconds_count 2\n"))
    }
}
