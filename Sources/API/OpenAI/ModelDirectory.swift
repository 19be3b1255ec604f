// Which models a request may name. Handed in by Runtime, who knows the configuration. A value; any thread.

import Foundation

public struct ModelDirectory: Sendable {
    /// `provider/model`, as far as the configuration names any; others of a configured provider may be asked for, too.
    public var names: [String]
    /// Why a name will not do; nil: it will. Does not block for long.
    public var refusal: @Sendable (String) -> String?
    public var since: Date

    public init(names: [String], since: Date, refusal: @escaping @Sendable (String) -> String?) {
        self.names = names
        self.since = since
        self.refusal = refusal
    }
}
