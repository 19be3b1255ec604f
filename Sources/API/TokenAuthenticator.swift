// Decides from `Authorization` whether a caller is the admin. Pure but for the hash it keeps; any thread.

import Tenants
import WireTypes

/// Compares bearer tokens in constant time: hashes of equal length are compared, every byte each time, so neither the
/// token's length nor its first wrong byte shows in the time the answer takes.
struct TokenAuthenticator: Sendable {
    private static let realm = "Bearer realm=\"nanobot\""

    private let expected: [UInt8]

    /// - Parameter token: not empty.
    init(token: String) { expected = Fingerprint.sha256(Array(token.utf8)) }

    /// - Parameter authorization: the header's value, nil when there is none.
    func check(_ authorization: String?) throws(ProblemDetails) {
        guard let authorization else {
            throw ProblemDetails(
                status: 401, code: "unauthorized", detail: "this service needs a token: Authorization: Bearer <token>",
                challenge: Self.realm)
        }
        let parts = authorization.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer", matches(String(parts[1])) else {
            throw ProblemDetails(
                status: 401, code: "invalid_token", detail: "the token is not valid",
                challenge: "\(Self.realm), error=\"invalid_token\"")
        }
    }

    private func matches(_ token: String) -> Bool {
        let given = Fingerprint.sha256(Array(token.utf8))
        var difference: UInt8 = given.count == expected.count ? 0 : 1
        for (left, right) in zip(given, expected) { difference |= left ^ right }
        return difference == 0
    }
}
