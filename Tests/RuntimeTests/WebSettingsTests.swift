// `tools.web_fetch` and `tools.web_search` as config.json has them.
import Agent
import HTTPTransport
import Testing
import TextFormats

@testable import Runtime

@Suite("Settings of the web tools")
struct WebSettingsTests {
    static func read(_ text: String) throws -> WebSettings {
        var reader = try ObjectReader(try JSON.parse(text))
        let settings = try WebSettings(&reader)
        try reader.finish()
        return settings
    }

    @Test("Every key is read")
    func keys() throws {
        let settings = try Self.read(
            """
            {"web_fetch": {"enabled": true, "allow_hosts": ["*.example.org"], "deny_hosts": ["x.example.org"],
              "allow_private": ["127.0.0.1:9101", "10.1.0.0/16"], "max_bytes": 5000, "timeout_s": 3, "max_redirects": 1},
             "web_search": {"provider": "searxng", "base_url": "http://127.0.0.1:1", "max_results": 7}}
            """)
        #expect(settings.access.allowedHosts == ["*.example.org"] && settings.access.exceptions.count == 2)
        #expect(settings.limits.maxBytes == 5_000 && settings.limits.seconds == 3 && settings.limits.redirects == 1)
        #expect(settings.search?.maxResults == 7)
        #expect(settings.tools(home: "/x", environment: [:]).map(\.name) == ["web_fetch", "web_search"])
        #expect(try Self.read("{}").tools(home: "/x", environment: [:]).map(\.name) == ["web_fetch"])
        #expect(try Self.read("{\"web_fetch\":{\"enabled\":false}}").tools(home: "/x", environment: [:]).isEmpty)
    }

    @Test(
        "A wrong value is named",
        arguments: [
            ("{\"web_fetch\":{\"allow_private\":[\"localhost:80\"]}}", "web_fetch.allow_private[0]"),
            ("{\"web_fetch\":{\"allow_hosts\":[\"https://x.org\"]}}", "web_fetch.allow_hosts[0]"),
            ("{\"web_fetch\":{\"deny_hosts\":[\"a b\"]}}", "web_fetch.deny_hosts[0]"),
            ("{\"web_fetch\":{\"max_byte\":1}}", "web_fetch.max_byte"),
            ("{\"web_fetch\":{\"timeout_s\":0}}", "web_fetch.timeout_s"),
            ("{\"web_search\":{}}", "web_search.provider"),
            ("{\"web_search\":{\"provider\":\"brave\"}}", "web_search.api_key_env"),
            ("{\"web_search\":{\"provider\":\"bing\"}}", "web_search.provider"), ("{\"web_fech\":{}}", "web_fech"),
            ("{\"web_search\":{\"provider\":\"searxng\",\"base_url\":\"x\"}}", "web_search.base_url"),
        ])
    func mistakes(text: String, field: String) {
        #expect { try Self.read(text) } throws: { ($0 as? FieldError)?.field == field }
    }
}
