// What an operator can set: config.json, then the environment over it, then flags. Pure values; any thread.
// Reading them is in SettingsReader.swift; docs/operations.md lists every key.

import Agent
import Foundation
import Providers
import Tenants
import TextFormats

public struct Settings: Sendable {
    public var model = "offline"
    public var fallbackModels: [String] = []
    /// IANA name, for users who set none.
    public var defaultTimezone = "UTC"
    /// Days finished jobs are kept.
    public var retentionDays = 30
    public var workers = 16
    public var host = "127.0.0.1"
    public var port = 8_000
    public var adminToken: String?
    /// `server` beyond host and port.
    public var server = ServerSettings()
    /// `server.jwt`; nil: no tokens of an identity provider are taken.
    public var jwt: JWTSettings?
    public var providers: [String: ProviderEntry] = ProviderEntry.builtIn
    /// By "provider/model", in USD per million tokens.
    public var prices: [String: ModelPrice] = [:]
    public var userLimits = UserLimits()
    /// Waiting jobs there may be in all; 0: no limit.
    public var waitingInAll = 1_000_000
    public var messageBounds = MessageBounds()
    /// What all users together may use: requests, tokens and cost; 0: no bound.
    public var serviceLimits = UsageLimits()
    /// By name; `nanobot set-plan` gives one to a user.
    public var plans: [String: UsageLimits] = [:]
    /// `tools.web_fetch` and `tools.web_search`.
    public var web = WebSettings()
    /// `tools.exec`; nil: off.
    public var exec: ExecOptions?
    /// `tools.mcp_wait_s`: seconds a turn waits for MCP servers that have not said yet which tools they have.
    var mcpWait = MCPToolbox.standardPatience
    /// `tools.mcp_servers`.
    public var mcpServers: [MCPEntry] = []
    /// `data_sources`.
    public var dataSources: [DataSourceEntry] = []
    /// Minutes between looks at the users' HEARTBEAT.md; 0: none.
    public var heartbeatMinutes = 30
    /// Whether older parts of conversations are brought into the history, and tokens MEMORY.md may have.
    public var memory = (isOn: true, maxTokens: MemoryDesk.defaultMaxTokens)
    public var logLevel = "info"
    /// Folder of Swagger UI and ReDoc (deploy/fetch-docs-assets.sh).
    public var documentationAssets: String?

    public init() {}

    /// One account at a model provider.
    public struct ProviderEntry: Sendable, Hashable {
        public var type: ProviderType
        public var baseURL: String?
        /// Name of the environment variable that holds the key.
        public var apiKeyEnvironment: String?
        /// File that holds the key; read if the variable is not set. Once read from config.json it is absolute, or
        /// relative like the home is.
        public var apiKeyFile: String?
        public var maxConcurrent: Int
        public var rates = AccountRates()
        /// For the type `anthropic`; 0: off.
        public var thinkingTokens = 0
        public var startsInReasoning = false
        /// For all models of the account, and for some by their names.
        public var options = ModelOptions()
        public var models: [String: ModelOptions] = [:]

        public init(
            type: ProviderType, baseURL: String? = nil, apiKeyEnvironment: String? = nil, apiKeyFile: String? = nil,
            maxConcurrent: Int = ProviderSettings.defaultMaxConcurrent
        ) {
            self.type = type
            self.baseURL = baseURL
            self.apiKeyEnvironment = apiKeyEnvironment
            self.apiKeyFile = apiKeyFile
            self.maxConcurrent = maxConcurrent
        }

        /// Accounts that need nothing but a key in the environment (or a server on this machine).
        static let builtIn: [String: ProviderEntry] = [
            "openai": ProviderEntry(
                type: .openai, baseURL: "https://api.openai.com/v1", apiKeyEnvironment: "OPENAI_API_KEY"),
            "anthropic": ProviderEntry(
                type: .anthropic, baseURL: "https://api.anthropic.com", apiKeyEnvironment: "ANTHROPIC_API_KEY"),
            "deepseek": ProviderEntry(
                type: .openai, baseURL: "https://api.deepseek.com/v1", apiKeyEnvironment: "DEEPSEEK_API_KEY"),
            "openrouter": ProviderEntry(
                type: .openai, baseURL: "https://openrouter.ai/api/v1", apiKeyEnvironment: "OPENROUTER_API_KEY"),
            "ollama": ProviderEntry(type: .openai, baseURL: "http://127.0.0.1:11434/v1"),
        ]
    }

    /// What one user may use; 0 means no limit.
    public struct UserLimits: Sendable, Hashable {
        /// Jobs of one user that run at once.
        public var running = 2
        /// Jobs of one user that wait.
        public var waiting = 100
        public var requestsPerMinute = 0
        public var tokensPerDay = 0
        /// USD.
        public var costPerMonth = 0.0
        /// MiB.
        public var diskMB = 100
    }
}

extension Settings.UserLimits {
    var usage: UsageLimits {
        UsageLimits(
            requestsPerMinute: requestsPerMinute, tokensPerDay: tokensPerDay, costPerMonth: costPerMonth,
            running: running, waiting: waiting, diskMB: diskMB)
    }
}

extension Settings {
    var budgetRules: BudgetDesk.Rules {
        var rules = BudgetDesk.Rules()
        rules.everybody = userLimits.usage
        rules.plans = plans
        rules.service = serviceLimits
        rules.priced = priced
        rules.fallbackModels = fallbackModels
        return rules
    }
}

/// The settings cannot be used.
public struct SettingsError: Error, Sendable, CustomStringConvertible {
    /// The file or variable.
    public var place: String
    /// What is wrong and what would be right.
    public var detail: String

    public init(place: String, detail: String) {
        self.place = place
        self.detail = detail
    }

    public var description: String { "\(place): \(detail)" }
}
