// Why a call of the client came to nothing. A plain value; any thread.

import HTTPTransport
import TextFormats

/// What the service answered, or why it could not be asked.
public struct ClientFailure: Error, Sendable, CustomStringConvertible {
    /// Stable, snake_case: the service's code, such as "user_not_found", or one of ours: "unreachable",
    /// "invalid_answer", "invalid_request", "cancelled".
    public var code: String
    public var detail: String
    /// The dotted path of the wrong value in what was sent.
    public var field: String?
    /// The HTTP status; nil when there was no answer.
    public var status: Int?
    /// The job the answer is about.
    public var jobID: String?
    /// Seconds after which the same call can succeed, where the service says so.
    public var retryAfter: Double?
    /// Whether the same call may succeed later.
    public var isPassing: Bool
    /// Of a submission: sent again with this key it is the same job, whatever became of it.
    public var idempotencyKey: String?

    public var description: String { "\(code): \(detail)" }

    init(_ code: String, _ detail: String, status: Int? = nil, isPassing: Bool = false) {
        self.code = code
        self.detail = detail
        self.status = status
        self.isPassing = isPassing
    }

    /// An answer of 400 or above: RFC 9457, or whatever a proxy in front of the service says.
    init(_ response: HTTPResponse) {
        let body = try? JSON.parse(response.body)  // a proxy's page is none
        let words = String(decoding: response.body.prefix(200), as: UTF8.self)
        self.init(problem: body ?? .null, status: response.status, otherwise: "the answer was \(response.status) \(words)")
        retryAfter = response.header("Retry-After").flatMap { Double($0) }
    }

    /// A problem of RFC 9457.
    init(problem: JSON, status: Int, otherwise detail: String = "") {
        self.init(
            problem["code"]?.string ?? "http_\(status)", problem["detail"]?.string ?? detail, status: status,
            isPassing: status == 429 || status >= 500)
        field = problem["field"]?.string
        jobID = problem["job_id"]?.string
    }

    init(_ error: TransportError, url: String) {
        switch error.code {
        case .cancelled: self.init("cancelled", error.detail)
        case .invalidURL, .invalidRequest: self.init("invalid_request", error.detail)
        case .tooLarge: self.init("invalid_answer", error.detail)
        default: self.init("unreachable", "\(url) cannot be asked: \(error.detail)", isPassing: error.isRetryable)
        }
    }
}
