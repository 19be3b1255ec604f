// The one shape of every error the HTTP API answers with (RFC 9457, application/problem+json), shared by server and
// client. A plain value: any thread may make, throw and read one.

import TextFormats

/// What went wrong with a request, for a program (`code`) and for a person (`detail`).
///
/// `code` is stable: it never changes its meaning once released, so clients may branch on it.
public struct ProblemDetails: Error, Sendable, Hashable, CustomStringConvertible {
    /// The media type of `json`.
    public static let mediaType = "application/problem+json"

    /// The HTTP status, 400…599.
    public var status: Int
    /// Stable, snake_case, such as "user_exists".
    public var code: String
    /// One sentence, with the remedy where there is one.
    public var detail: String
    /// The dotted path of the wrong value in the body, or the name of the wrong query parameter (422).
    public var field: String?
    /// The job the answer is about, where one was made.
    public var jobID: String?
    /// Seconds after which trying again can help (429, 503).
    public var retryAfter: Int?
    /// The methods a path knows (405).
    public var allow: [String]
    /// The challenge of a 401.
    public var challenge: String?

    public init(
        status: Int, code: String, detail: String, field: String? = nil, jobID: String? = nil,
        retryAfter: Int? = nil, allow: [String] = [], challenge: String? = nil
    ) {
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.jobID = jobID
        self.retryAfter = retryAfter
        self.allow = allow
        self.challenge = challenge
    }

    /// A URI that names the kind of problem: equal codes give equal types.
    public var type: String { "urn:nanobot:problem:\(code)" }

    private var translatedTitle: String?

    /// The code in words; the same for every occurrence, as RFC 9457 asks, but for its translation.
    public var title: String {
        get {
            if let translatedTitle { return translatedTitle }
            let words = code.split(separator: "_").joined(separator: " ")
            return words.prefix(1).uppercased() + words.dropFirst()
        }
        set { translatedTitle = newValue }
    }

    public var json: JSON {
        var members: JSONObject = [
            "type": .string(type), "title": .string(title), "status": JSON(status), "detail": .string(detail),
            "code": .string(code),
        ]
        if let field { members["field"] = .string(field) }
        if let jobID { members["job_id"] = .string(jobID) }
        return .object(members)
    }

    public var description: String { "\(status) \(code): \(detail)" }
}

extension ProblemDetails {
    /// What the cursor of a page names is not there any more, or never was.
    public static let lostCursor = ProblemDetails(
        status: 404, code: "cursor_not_found", detail: "after: what it names is not there; begin with the first page",
        field: "after")
}
