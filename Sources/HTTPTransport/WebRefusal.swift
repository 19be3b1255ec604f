// Why an address is not read at all, decided before any connection. Plain value; any thread.

/// An address that is refused; nothing was sent.
public struct WebRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// It cannot be read, or readers would disagree about it.
        case badURL = "bad_url"
        case scheme
        /// A user name or password in front of the host.
        case credentials
        case port
        /// The host is not on the public internet, by its name or number.
        case privateAddress = "private_address"
        /// The operator's lists of hosts exclude it.
        case hostNotAllowed = "host_not_allowed"
        /// From https to http.
        case downgrade
        case tooManyRedirects = "too_many_redirects"
        /// To another origin, where the client must stay on one.
        case otherOrigin = "other_origin"
    }

    public var code: Code
    /// What is wrong, for the person or model that gave the address.
    public var detail: String

    public init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    public var description: String { "\(code.rawValue): \(detail)" }
}
