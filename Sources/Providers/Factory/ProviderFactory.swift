// Picks who answers for a model's name. Made once at start from the configuration; any thread. Accounts, with their
// limits, breakers and connections, live as long as the factory. Unknown names and missing keys fail with an error that
// says what to set.
import Foundation
import HTTPTransport
import Logging

/// The configured accounts and the models they offer.
public final class ProviderFactory: Sendable {
    /// The name of the built-in account that needs no configuration.
    public static let offlineName = "offline"

    private let accounts: [String: any ChatProvider]
    private let settings: [String: ProviderSettings]
    private let defaultModel: String
    private let fallbackModels: [String]
    private let logger: Logger

    /// - Parameters:
    ///   - prices: by `provider/model`.
    ///   - defaultModel: `provider/model`, or "offline".
    ///   - fallbackModels: asked in order when the model itself cannot answer.
    ///   - offline: what "offline" stands for.
    ///   - observe: is told of each exchange with a provider, the offline one too, on the calling thread.
    public init(
        settings: [ProviderSettings], prices: [String: ModelPrice] = [:], defaultModel: String = "offline",
        fallbackModels: [String] = [], retries: RetryPolicy = RetryPolicy(),
        offline: any ChatProvider = OfflineProvider(), client: HTTPClient = HTTPClient(policy: .anywhere),
        observe: @escaping @Sendable (ProviderCall) -> Void = { _ in },
        logger: Logger, now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.defaultModel = defaultModel
        self.fallbackModels = fallbackModels
        self.logger = logger
        let offline = MeteredProvider(base: offline, prices: [:], observe: observe)
        var accounts: [String: any ChatProvider] = [Self.offlineName: offline]
        for one in settings {
            guard let base = Self.provider(one, client: client, now: now) else {
                accounts[one.name] = offline
                continue
            }
            accounts[one.name] = AccountProvider(
                base, maxConcurrent: one.maxConcurrent, rates: one.rates, prices: prices,
                answerTokens: one.answerTokens(of:), thinkingTokens: one.thinkingTokens, options: one.options(of:),
                retries: retries, observe: observe, logger: logger, now: now)
        }
        self.accounts = accounts
        self.settings = Dictionary(settings.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    }

    private static func provider(
        _ settings: ProviderSettings, client: HTTPClient, now: @escaping @Sendable () -> Date
    ) -> (any ChatProvider)? {
        switch settings.type {
        case .offline: nil
        case .openai:
            OpenAICompatibleProvider(
                name: settings.name, baseURL: settings.effectiveBaseURL, apiKey: settings.apiKey,
                keySource: settings.keySource, extraHeaders: settings.extraHeaders,
                startsInReasoning: { _ in settings.startsInReasoning }, client: client, now: now)
        case .anthropic:
            AnthropicProvider(
                name: settings.name, baseURL: settings.effectiveBaseURL, apiKey: settings.apiKey,
                keySource: settings.keySource, extraHeaders: settings.extraHeaders,
                thinkingTokens: settings.thinkingTokens, startsInReasoning: { _ in settings.startsInReasoning },
                client: client, now: now)
        }
    }

    /// The provider for a model's name, with the fallback models behind it.
    ///
    /// - Parameters:
    ///   - model: `provider/model`, "offline", or nil for the default.
    ///   - mayFallBack: whether a fallback model may answer; the chain holds no other.
    /// - Throws: `badRequest` for a name nothing answers to, `authentication` for an account without its key or with
    ///   a key file that cannot be read.
    public func resolve(
        _ model: String? = nil, mayFallBack: (String) -> Bool = { _ in true }
    ) throws(ProviderError) -> ResolvedModel {
        let first = try link(model ?? defaultModel)
        guard first.fullName != Self.offlineName, !fallbackModels.isEmpty else { return first }
        var links = [first]
        for name in fallbackModels where mayFallBack(name) {
            do throws(ProviderError) {
                let next = try link(name)
                if !links.contains(where: { $0.fullName == next.fullName }) { links.append(next) }
            } catch {
                logger.warning(
                    "a fallback model is left out", metadata: ["model": "\(name)", "error": "\(error)"])
            }
        }
        guard links.count > 1, let chain = FallbackProvider(links, logger: logger) else { return first }
        return ResolvedModel(
            provider: chain, model: first.model, fullName: first.fullName, terms: links.flatMap(\.terms), window: first.window)
    }

    /// The window of a model by its full name; nil for the default model. Does not fail: of a name that no account has, nothing
    /// is known, and the job fails with a clear error when it runs.
    public func window(of model: String?) -> ModelWindow {
        let (account, name) = Self.split(model ?? defaultModel)
        guard account != Self.offlineName, let settings = settings[account], let name else { return .unbounded }
        return settings.window(of: name)
    }

    /// The account whose limits a model's calls share, as the spool's file names want it: [a-z0-9_-]{1,16}. Different
    /// accounts have different keys; names that do not fit are shortened and told apart by a hash. Does not fail:
    /// a job for an unknown model is admitted and fails with a clear error when it runs.
    public func holdKey(for model: String? = nil) -> String {
        Self.holdKey(account: Self.split(model ?? defaultModel).account)
    }

    static func holdKey(account: String) -> String {
        func fits(_ byte: UInt8) -> Bool {
            (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x5f || byte == 0x2d
        }
        if (1...16).contains(account.utf8.count), account.utf8.allSatisfy(fits) { return account }
        // FNV-1a, 32 bits: equal in every process, which Swift's own hash is not.
        let hash = account.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let digits = String(hash, radix: 16)
        let start = account.lowercased().utf8.filter(fits).prefix(7)
        return String(decoding: start, as: UTF8.self) + "-" + String(repeating: "0", count: 8 - digits.count) + digits
    }

    /// The accounts, by name.
    public var configured: [ProviderSettings] { settings.values.sorted { $0.name < $1.name } }

    /// What is wrong with the accounts' keys where one is configured and cannot be had, for the log at start; calls say
    /// the same when they are made.
    public func keyProblems() -> [ProviderError] {
        settings.sorted { $0.key < $1.key }.compactMap { _, account in
            do throws(ProviderError) {
                _ = try account.apiKey()
                return nil
            } catch {
                return error
            }
        }
    }

    // MARK: -

    private static func split(_ name: String) -> (account: String, model: String?) {
        let parts = name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        return (parts[0], parts.count > 1 && !parts[1].isEmpty ? parts[1] : nil)
    }

    private func link(_ name: String) throws(ProviderError) -> ResolvedModel {
        let (account, model) = Self.split(name)
        if account == Self.offlineName || settings[account]?.type == .offline, let provider = accounts[account] {
            return ResolvedModel(
                provider: provider, model: model ?? account, fullName: model == nil ? account : name, terms: [])
        }
        guard let provider = accounts[account], let settings = settings[account] else {
            throw ProviderError(code: .badRequest, detail: unknown(name, account, hasModel: model != nil))
        }
        guard let model else {
            throw ProviderError(
                code: .badRequest,
                detail: "\"\(name)\" names a provider but no model — write \"\(account)/MODEL\"")
        }
        // Also where none is needed: a key that is configured and cannot be read is a mistake, not a wish for none.
        let key = try settings.apiKey() ?? ""
        guard !settings.needsKey || !key.isEmpty else {
            let remedy =
                settings.keySource.map { "set \($0), or providers.\(account).api_key_file in config.json," }
                ?? "set providers.\(account).api_key_env or api_key_file in config.json"
            throw ProviderError(
                code: .authentication, detail: "model \"\(name)\" needs an API key — \(remedy) and start again")
        }
        let terms = (provider as? AccountProvider)?.terms(model)
        return ResolvedModel(
            provider: provider, model: model, fullName: "\(account)/\(model)", terms: terms.map { [$0] },
            window: settings.window(of: model))
    }

    private func unknown(_ name: String, _ account: String, hasModel: Bool) -> String {
        let known = accounts.keys.sorted().joined(separator: ", ")
        if hasModel {
            return "model \"\(name)\": there is no provider \"\(account)\" (known: \(known)) — "
                + "add it to \"providers\" in config.json"
        }
        return "\"\(name)\" is no model name: write provider/model, such as \"openai/\(name)\", or \"offline\" "
            + "(known providers: \(known))"
    }
}
