// Reads config.json strictly (unknown keys are errors with a suggestion), then the environment. Called at start by every
// command; blocking. Failure: SettingsError that names the key.

import DurableFiles
import Foundation
import Providers
import Tenants
import TextFormats

public struct SettingsReader: Sendable {
    private let files: any FileSystem
    private let environment: [String: String]

    /// Bytes of a configuration file.
    static let maximumSize = 1 << 20
    static let workerRange = 1...4_096

    public init(environment: [String: String], files: any FileSystem = LinuxFileSystem()) {
        self.environment = environment
        self.files = files
    }

    /// - Throws: `SettingsError`. A missing config.json is no error: the defaults hold.
    public func read(_ home: NanobotHome) throws(SettingsError) -> Settings {
        var settings = Settings()
        if let json = try load(home.configuration) {
            do throws(FieldError) {
                try apply(json, to: &settings)
            } catch {
                throw SettingsError(place: home.configuration, detail: error.description)
            }
        }
        for (name, entry) in settings.providers {
            guard let path = entry.apiKeyFile, !path.hasPrefix("/") else { continue }
            // Not relative to wherever the process was started.
            settings.providers[name]?.apiKeyFile = "\(home.path)/\(path)"
        }
        try applyEnvironment(to: &settings, home)
        return settings
    }

    private func load(_ path: String) throws(SettingsError) -> JSON? {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try files.readSystemFile(path, maxBytes: SettingsReader.maximumSize)
        } catch {
            if error.code == .notFound { return nil }
            throw SettingsError(place: path, detail: error.description)
        }
        do throws(JSONError) {
            return try JSON.parse(bytes)
        } catch {
            throw SettingsError(place: path, detail: "is not valid JSON: \(error)")
        }
    }

    // MARK: config.json

    private func apply(_ json: JSON, to settings: inout Settings) throws(FieldError) {
        var reader = try ObjectReader(json)
        settings.model = try reader.string("model", min: 1, max: 200) ?? settings.model
        settings.fallbackModels = try reader.strings("fallback_models", maxCount: 16) ?? []
        if let zone = try reader.string("default_timezone") {
            guard TimeZoneName.isInstalled(zone) else {
                throw reader.error("default_timezone", "is no time zone of this system, such as Europe/Berlin")
            }
            settings.defaultTimezone = zone
        }
        settings.retentionDays = try reader.int("retention_days", in: 1...36_500) ?? settings.retentionDays
        settings.workers = try reader.int("workers", in: SettingsReader.workerRange) ?? settings.workers
        if var heartbeat = try reader.object("heartbeat") {
            let isOn = try heartbeat.bool("enabled") ?? true
            let minutes = try heartbeat.int("every_minutes", in: 5...1_440) ?? settings.heartbeatMinutes
            try heartbeat.finish()
            settings.heartbeatMinutes = isOn ? minutes : 0
        }
        if var memory = try reader.object("memory") {
            settings.memory.isOn = try memory.bool("enabled") ?? true
            settings.memory.maxTokens = try memory.int("max_tokens", in: 200...20_000) ?? MemoryDesk.defaultMaxTokens
            try memory.finish()
        }
        settings.logLevel = try reader.string("log_level") ?? settings.logLevel
        settings.documentationAssets = try reader.string("documentation_assets")
        if var server = try reader.object("server") {
            settings.host = try server.string("host", min: 1, max: 255) ?? settings.host
            settings.port = try server.int("port", in: 0...65_535) ?? settings.port
            settings.jwt = try JWTSettings.read(&server)
            settings.server = try ServerSettings(&server)
            try server.finish()
        }
        if let providers = try reader.object("providers") {
            for (name, entry) in providers.members {
                let path = providers.name(name)
                settings.providers[name] = try provider(entry, path, over: settings.providers[name])
            }
        }
        if let prices = try reader.object("prices") {
            for (name, entry) in prices.members { settings.prices[name] = try price(entry, prices.name(name)) }
        }
        if let limits = try reader.object("limits") { try apply(limits, to: &settings) }
        if let plans = try reader.object("plans") {
            for (name, entry) in plans.members {
                settings.plans[name] = try plan(entry, plans.name(name), over: settings.userLimits.usage)
            }
        }
        if var tools = try reader.object("tools") {
            settings.web = try WebSettings(&tools)
            settings.exec = try ExecSettings.read(&tools)
            try MCPSettings.read(&tools, into: &settings)
            try tools.finish()
        }
        if let sources = try reader.object("data_sources") {
            for (name, entry) in sources.members {
                settings.dataSources.append(try DataSourceEntry(name, entry, path: sources.name(name)))
            }
        }
        try reader.finish()
    }

    private func apply(_ limits: ObjectReader, to settings: inout Settings) throws(FieldError) {
        var limits = limits
        if var user = try limits.object("user") {
            let defaults = Settings.UserLimits()
            settings.userLimits = Settings.UserLimits(
                running: try user.int("running", in: 0...4_096) ?? defaults.running,
                waiting: try user.int("waiting", in: 0...1_000_000) ?? defaults.waiting,
                requestsPerMinute: try user.int("requests_per_minute", in: 0...1_000_000) ?? defaults.requestsPerMinute,
                tokensPerDay: try user.int("tokens_per_day", in: 0...Int(Int32.max)) ?? defaults.tokensPerDay,
                costPerMonth: try user.double("cost_per_month", in: 0...1e9) ?? defaults.costPerMonth,
                diskMB: try user.int("disk_mb", in: 0...10_000_000) ?? defaults.diskMB)
            try user.finish()
        }
        if var service = try limits.object("service") {
            settings.serviceLimits = UsageLimits(
                requestsPerMinute: try service.int("requests_per_minute", in: 0...100_000_000) ?? 0,
                tokensPerDay: try service.int("tokens_per_day", in: 0...(1 << 50)) ?? 0,
                costPerMonth: try service.double("cost_per_month", in: 0...1e9) ?? 0)
            try service.finish()
        }
        settings.waitingInAll = try limits.int("waiting", in: 0...10_000_000) ?? settings.waitingInAll
        settings.messageBounds = try MessageBounds(&limits)
        try limits.finish()
    }

    /// What a plan does not name is as for everybody.
    private func plan(_ json: JSON, _ path: String, over base: UsageLimits) throws(FieldError) -> UsageLimits {
        var reader = try ObjectReader(json, path: path)
        var limits = base
        limits.requestsPerMinute =
            try reader.int("requests_per_minute", in: 0...1_000_000) ?? base.requestsPerMinute
        limits.tokensPerDay = try reader.int("tokens_per_day", in: 0...Int(Int32.max)) ?? base.tokensPerDay
        limits.costPerMonth = try reader.double("cost_per_month", in: 0...1e9) ?? base.costPerMonth
        limits.running = try reader.int("running", in: 0...4_096) ?? base.running
        limits.waiting = try reader.int("waiting", in: 0...1_000_000) ?? base.waiting
        limits.diskMB = try reader.int("disk_mb", in: 0...10_000_000) ?? base.diskMB
        limits.models = try reader.strings("models", maxCount: 64) ?? []
        try reader.finish()
        return limits
    }

    private func provider(_ json: JSON, _ path: String, over base: Settings.ProviderEntry?) throws(FieldError)
        -> Settings.ProviderEntry
    {
        var reader = try ObjectReader(json, path: path)
        guard let type = try reader.choice("type", of: ProviderType.self) ?? base?.type else {
            throw reader.error("type", "is required: openai or anthropic")
        }
        var entry = base ?? Settings.ProviderEntry(type: type)
        entry.type = type
        entry.baseURL = try reader.string("base_url", min: 1, max: 2_000) ?? entry.baseURL
        entry.apiKeyEnvironment = try reader.string("api_key_env", min: 1, max: 200) ?? entry.apiKeyEnvironment
        entry.apiKeyFile = try reader.string("api_key_file", min: 1, max: 4_096) ?? entry.apiKeyFile
        entry.maxConcurrent = try reader.int("max_concurrent", in: 1...4_096) ?? entry.maxConcurrent
        entry.rates.requestsPerMinute =
            try reader.int("requests_per_minute", in: 0...1_000_000) ?? entry.rates.requestsPerMinute
        entry.rates.tokensPerMinute =
            try reader.int("tokens_per_minute", in: 0...Int(Int32.max)) ?? entry.rates.tokensPerMinute
        entry.thinkingTokens = try reader.int("thinking_tokens", in: 0...100_000) ?? entry.thinkingTokens
        if let reasoning = try reader.string("reasoning", max: 20) {
            guard ["tags", "unopened"].contains(reasoning) else {
                throw reader.error("reasoning", "must be \"tags\" or \"unopened\"")
            }
            entry.startsInReasoning = reasoning == "unopened"
        }
        try entry.options.read(&reader)
        entry.models = try ModelOptions.models(&reader)
        try reader.finish()
        if entry.thinkingTokens > 0 {
            guard type == .anthropic else { throw reader.error("thinking_tokens", "is for the type anthropic only") }
            guard entry.thinkingTokens >= 1_024 else {
                throw reader.error("thinking_tokens", "must be 0 or at least 1024")
            }
        }
        if let url = entry.baseURL, !url.hasPrefix("http://"), !url.hasPrefix("https://") {
            throw reader.error("base_url", "must begin with http:// or https://")
        }
        return entry
    }

    private func price(_ json: JSON, _ path: String) throws(FieldError) -> ModelPrice {
        var reader = try ObjectReader(json, path: path)
        let range = 0.0...1e6
        let input = try reader.require(try reader.double("input", in: range), "input")
        let output = try reader.require(try reader.double("output", in: range), "output")
        let cached = try reader.double("cached_input", in: range) ?? input
        try reader.finish()
        return ModelPrice(input: input, cachedInput: cached, output: output)
    }

    // MARK: Environment

    private func applyEnvironment(to settings: inout Settings, _ home: NanobotHome) throws(SettingsError) {
        if let model = variable("NANOBOT_MODEL") { settings.model = model }
        if let host = variable("NANOBOT_HOST") { settings.host = host }
        if let port = try number("NANOBOT_PORT", 0...65_535) { settings.port = port }
        if let workers = try number("NANOBOT_WORKERS", SettingsReader.workerRange) { settings.workers = workers }
        if let days = try number("NANOBOT_RETENTION_DAYS", 1...36_500) { settings.retentionDays = days }
        if let level = variable("NANOBOT_LOG_LEVEL") { settings.logLevel = level }
        if let folder = variable("NANOBOT_DOCS_ASSETS") { settings.documentationAssets = folder }
        if let zone = variable("NANOBOT_DEFAULT_TIMEZONE") {
            guard TimeZoneName.isInstalled(zone) else {
                throw SettingsError(
                    place: "NANOBOT_DEFAULT_TIMEZONE", detail: "\(zone) is no time zone of this system")
            }
            settings.defaultTimezone = zone
        }
        for name in ["openai", "anthropic"] {
            if let url = variable("\(name.uppercased())_BASE_URL") { settings.providers[name]?.baseURL = url }
        }
        settings.adminToken = try adminToken(home)
    }

    private func variable(_ name: String) -> String? {
        guard let value = environment[name], !value.isEmpty else { return nil }
        return value
    }

    private func number(_ name: String, _ range: ClosedRange<Int>) throws(SettingsError) -> Int? {
        guard let text = variable(name) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw SettingsError(
                place: name, detail: "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// `NANOBOT_ADMIN_TOKEN`, else the file of `NANOBOT_ADMIN_TOKEN_FILE`, else `admin-token` in the home.
    private func adminToken(_ home: NanobotHome) throws(SettingsError) -> String? {
        if let token = variable("NANOBOT_ADMIN_TOKEN") { return try checked(token, "NANOBOT_ADMIN_TOKEN") }
        let named = variable("NANOBOT_ADMIN_TOKEN_FILE")
        let path = named ?? home.adminTokenFile
        let token: String
        do throws(FileError) {
            let bytes = try files.readSystemFile(path, maxBytes: 4_096)
            let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            token = text
        } catch {
            if error.code == .notFound, named == nil { return nil }
            throw SettingsError(place: path, detail: error.description)
        }
        return try checked(token, path)
    }

    /// Characters; shorter ones can be guessed.
    static let shortestToken = 16

    private func checked(_ token: String, _ place: String) throws(SettingsError) -> String {
        guard token.count >= SettingsReader.shortestToken, token.allSatisfy({ $0.isASCII && !$0.isWhitespace }) else {
            throw SettingsError(
                place: place, detail: "a token has at least \(SettingsReader.shortestToken) ASCII characters, no spaces"
            )
        }
        return token
    }

    // MARK: Accounts

    /// The accounts with their keys looked up in the environment or their files each time they are needed.
    public func accounts(_ settings: Settings) -> [ProviderSettings] {
        let environment = environment
        let files = files
        return settings.providers.sorted { $0.key < $1.key }.map { name, entry in
            let variable = entry.apiKeyEnvironment.flatMap { environment[$0]?.isEmpty == false ? $0 : nil }
            var account = ProviderSettings(
                name: name, type: entry.type, baseURL: entry.baseURL,
                apiKey: { () throws(ProviderError) -> String? in
                    if let variable { return environment[variable] }
                    guard let path = entry.apiKeyFile else { return nil }
                    return try SettingsReader.key(in: path, of: name, files)
                },
                keySource: variable ?? entry.apiKeyFile ?? entry.apiKeyEnvironment,
                maxConcurrent: entry.maxConcurrent, rates: entry.rates, thinkingTokens: entry.thinkingTokens)
            account.startsInReasoning = entry.startsInReasoning
            account.options = entry.options
            account.models = entry.models
            return account
        }
    }

    /// Bytes of a key's file.
    private static let maximumKey = 16 << 10

    private static func key(in path: String, of name: String, _ files: any FileSystem) throws(ProviderError) -> String {
        let key: String
        do throws(FileError) {
            let bytes = try files.readSystemFile(path, maxBytes: maximumKey)
            key = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            throw ProviderError(
                code: .authentication,
                detail: "the key of provider \"\(name)\" cannot be read (\(error)) — correct providers.\(name)."
                    + "api_key_file, or let the service's user read the file",
                isRetryable: error.isPassing)
        }
        guard !key.isEmpty else {
            throw ProviderError(
                code: .authentication, detail: "the key file \(path) of provider \"\(name)\" is empty")
        }
        return key
    }
}
