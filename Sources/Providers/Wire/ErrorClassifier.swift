// From a provider's refusal to a ProviderError: what it means for the next attempt. Pure.
//
// Status codes alone do not say it. A 429 is either "slow down", which passes, or "your money is used up", which does
// not; a 400 may mean that the conversation is too long, which compaction repairs. Vendors tell these apart by error
// code, type or only by their wording, so all three are looked at, the precise ones first.
import TextFormats

/// What a provider said about its refusal, whichever vendor's shape it came in.
struct ProviderComplaint: Sendable, Equatable {
    var message: String
    /// Error codes and types, lower case.
    var marks: [String]
    /// A status named in the body; gateways report errors inside a 200.
    var status: Int?
    /// Seconds, where the body names a waiting time (Google's RetryInfo).
    var retryDelay: Double?
    /// Whether it came as a JSON error, and not as a page of any proxy.
    var isStructured = false

    /// nil if `json` reports no error. Shapes: `{"error": {"message", "type", "code"}}`, `{"error": "…"}`,
    /// `{"message"}`, `{"detail"}`, and a list of one of these.
    init?(json: JSON) {
        let body = json[0] ?? json
        guard let object = body.object else { return nil }
        isStructured = true
        if let status = object["base_resp"]?["status_code"]?.int, status != 0, object["choices"]?.array?.isEmpty ?? true {
            // MiniMax reports its errors beside an empty answer.
            message = "\(object["base_resp"]?["status_msg"]?.string ?? "error") (\(status))"
            marks = []
            return
        }
        let inner = object["error"]
        if let inner, Self.isEmpty(inner) { return nil }
        let source = inner?.object ?? object
        if inner == nil, object["choices"] != nil { return nil }
        let text = inner?.string ?? source["message"]?.string ?? source["detail"]?.string ?? source["msg"]?.string
        guard inner != nil || text != nil else { return nil }
        message = text ?? inner?.text() ?? ""
        marks = ["code", "type", "status"].compactMap { source[$0]?.string?.lowercased() }
        status = Self.status(source["code"]) ?? Self.status(source["status"])
        retryDelay = (source["details"]?.array ?? []).lazy.compactMap { Self.seconds($0["retryDelay"]?.string) }.first
    }

    /// Whether an error says nothing: servers put an empty one beside every good answer.
    static func isEmpty(_ error: JSON) -> Bool {
        switch error {
        case .null, .bool(false): true
        case .string(let text): text.allSatisfy(\.isWhitespace)
        case .int(let number): number == 0
        case .array(let items): items.allSatisfy(isEmpty)
        case .object(let members): members.allSatisfy { isEmpty($0.1) }
        default: false
        }
    }

    /// "3.5s".
    private static func seconds(_ text: String?) -> Double? {
        guard let text, text.hasSuffix("s"), let seconds = Double(text.dropLast()), seconds.isFinite else { return nil }
        return min(max(seconds, 0), RetryAfter.longest)
    }

    /// Some gateways write the number as text.
    private static func status(_ json: JSON?) -> Int? {
        (json?.int ?? json?.string.flatMap { Int($0) }).flatMap { (400..<600).contains($0) ? $0 : nil }
    }

    init(message: String) {
        self.message = message
        marks = []
    }

    /// - Parameter body: what came with an error status; any bytes.
    init(body: [UInt8]) {
        // A body that is no JSON (a proxy's page) is shown as it is.
        if let json = try? JSON.parse(body), let complaint = ProviderComplaint(json: json) {
            self = complaint
        } else {
            self.init(message: String(decoding: body.prefix(2_000), as: UTF8.self))
        }
    }
}

/// Decides what a complaint means.
enum ErrorClassifier {
    /// - Parameters:
    ///   - status: nil for an error reported inside a stream.
    ///   - account: the provider's name in the configuration, for the remedy.
    ///   - keySource: where its key comes from, for the same.
    static func error(
        status: Int?, complaint: ProviderComplaint, retryAfter: Double?, account: String, keySource: String?,
        scrubber: SecretScrubber
    ) -> ProviderError {
        let code = code(http: status, complaint: complaint)
        let said = scrubber.scrub(complaint.message)
        let number = (status ?? complaint.status).map { " (\($0))" } ?? ""
        let detail =
            "\(account) \(words(code))\(number)\(said.isEmpty ? "" : ": \(said)")\(remedy(code, account, keySource))"
        return ProviderError(
            code: code, detail: detail, status: status ?? complaint.status,
            retryAfter: code.isUsuallyRetryable ? retryAfter ?? complaint.retryDelay : nil)
    }

    /// The error's kind in words of ours. What the server said may quote the request it was given, and must not reach
    /// another tenant.
    static func gist(_ error: ProviderError, account: String) -> String {
        // `connection` with a status: it was reached, and the answer broke off.
        if error.code == .connection, error.status != nil { return "\(account) broke off in the middle of an answer" }
        return "\(account) \(words(error.code))" + (error.status.map { " (\($0))" } ?? "")
    }

    /// - Parameter http: nil for an error reported inside a stream.
    private static func code(http: Int?, complaint: ProviderComplaint) -> ProviderError.Code {
        let status = http ?? complaint.status
        let text = complaint.message.lowercased()
        // OpenAI calls it a rate limit; waiting does not make the request smaller.
        if status == 429 || status == nil, says(text, tooLargeWords) { return .contextLength }
        if status.map({ $0 < 500 }) ?? true, isFiltered(complaint.marks, text, status: status) { return .contentFilter }
        if let code = preciseCode(complaint.marks, status: status) { return code }
        // In mid-stream a vendor calls everything a server error, and gateways give any exception a 500: there the
        // words say more than mark and number. Of an HTTP answer only a JSON error that names the balance counts: all else may be
        // any proxy's page.
        if complaint.isStructured, status.map({ $0 >= 500 }) ?? false, says(text, balanceWords) { return .quota }
        if http == nil, status.map({ $0 >= 500 }) ?? true {
            if says(text, contextWords) { return .contextLength }
            if says(text, quotaWords) { return .quota }
        }
        switch status {
        case 401?: return .authentication
        case 402?: return .quota
        case 403?: return says(text, quotaWords) ? .quota : .authentication
        case 408?: return .timeout
        case 409?, 425?: return .unavailable
        case 413?: return .contextLength
        // Google speaks of the quota of a minute, and says when the next one begins.
        case 429?: return says(text, quotaWords) && complaint.retryDelay == nil ? .quota : .rateLimited
        case 503?, 529?: return .overloaded
        case let status? where status >= 500: return .unavailable
        case 400?, 422?:
            if says(text, contextWords) { return .contextLength }
            return says(text, quotaWords) ? .quota : .badRequest
        case _?: return .badRequest
        // Without any mark: the server broke off.
        case nil: return vagueCode(complaint.marks) ?? .unavailable
        }
    }

    /// Codes and types that leave no doubt, whatever the message says. A rate limit's message may well speak of billing
    /// ("add a payment method to raise the limit").
    private static func preciseCode(_ marks: [String], status: Int?) -> ProviderError.Code? {
        for mark in marks {
            switch mark {
            case "insufficient_quota", "billing_error", "billing_not_active", "billing_hard_limit_reached",
                "insufficient_balance", "insufficient_balance_error", "insufficient_credits", "payment_required", "arrearage",
                "quota_exceeded", "budget_exceeded", "account_deactivated":
                return .quota
            case "context_length_exceeded", "request_too_large", "exceed_context_size_error", "string_above_max_length":
                return .contextLength
            case "invalid_api_key", "authentication_error", "permission_error", "permission_denied":
                return .authentication
            // LiteLLM without a database: it knows its master key only and takes any other for one it should look up.
            // The same mark with 503 is a database that is down.
            case "no_db_connection" where status == 400: return .authentication
            case "overloaded_error", "overloaded", "engine_overloaded", "engine_overloaded_error": return .overloaded
            default: break
            }
        }
        // AWS ("ThrottlingException"), LiteLLM ("throttling_error") and Alibaba ("Throttling.AllocationQuota"), with
        // whatever status.
        for mark in marks where mark.contains("throttl") { return .rateLimited }
        guard status == nil || status == 429 else { return nil }
        for mark in marks where mark.contains("rate_limit") || mark == "too_many_requests" { return .rateLimited }
        return nil
    }

    /// A filter in front of the model: Azure and OpenAI by code, OpenRouter's moderation by its words.
    private static func isFiltered(_ marks: [String], _ text: String, status: Int?) -> Bool {
        marks.contains { ["content_filter", "content_policy_violation", "responsibleaipolicyviolation"].contains($0) }
            || status == 403 && says(text, ["requires moderation", "input was flagged"])
    }

    private static let tooLargeWords = ["request too large", "tokens must be reduced"]

    /// What a mark says where there is neither a status nor a telling word.
    private static func vagueCode(_ marks: [String]) -> ProviderError.Code? {
        for mark in marks {
            switch mark {
            case "invalid_request_error", "not_found_error": return .badRequest
            case "timeout_error": return .timeout
            default: break
            }
        }
        return nil
    }

    /// Words that can mean nothing else.
    private static let balanceWords = [
        "insufficient balance", "insufficient_balance", "insufficient account balance", "insufficient credit",
        "insufficient fund", "credit balance is too low", "余额不足", "欠费",
    ]

    private static let quotaWords = balanceWords + [
        "insufficient_quota", "exceeded your current quota", "not enough credit", "balance is not enough", "out of credit",
        "billing", "arrear", "payment required", "spending limit", "quota exceeded", "budget has been exceeded", "余额已用",
    ]

    private static let contextWords = [
        "maximum context length", "context length", "context window", "context size", "context_length",
        "prompt is too long", "input is too long", "too many tokens", "reduce the length", "input length and",
    ]

    private static func says(_ text: String, _ words: [String]) -> Bool {
        words.contains { text.contains($0) }
    }

    private static func words(_ code: ProviderError.Code) -> String {
        switch code {
        case .rateLimited: "limits the rate of requests"
        case .overloaded: "is overloaded"
        case .quota: "refuses: the account has no balance, credit or quota left"
        case .authentication: "does not accept the API key"
        case .badRequest: "does not accept the request"
        case .contextLength: "refuses: the conversation is too long for the model"
        case .contentFilter: "refuses: its content filter objects to the conversation"
        case .timeout: "did not answer in time"
        case .connection: "cannot be reached"
        case .cancelled: "was cancelled"
        case .badResponse: "answered with something that is no chat completion"
        case .unavailable: "has an error of its own"
        case .providerPaused, .modelPaused: "is left alone for a while"
        case .requestsUsedUp: "was asked as often as one answer may cost"
        }
    }

    private static func remedy(_ code: ProviderError.Code, _ account: String, _ keySource: String?) -> String {
        switch code {
        case .quota: " — add credit to the account or raise its limit"
        case .authentication:
            " — check the key of provider \"\(account)\""
                + (keySource.map { ", which comes from \($0)" } ?? ": set its api_key_env or api_key_file")
        case .badRequest: " — check the model's name and base_url of provider \"\(account)\""
        default: ""
        }
    }
}
