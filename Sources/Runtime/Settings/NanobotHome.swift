// Where one installation keeps its things. Any thread; asks the file system only to resolve links in front of a home.

import DurableFiles

public struct NanobotHome: Sendable {
    /// Without a slash at its end.
    public let path: String
    public let spool: String

    /// - Parameters:
    ///   - path: the home folder; a leading "~/" is resolved against `HOME` by the caller.
    ///   - spool: a spool elsewhere; nil: inside the home.
    public init(path: String, spool: String? = nil) {
        self.path = NanobotHome.clean(path)
        self.spool = spool.map(NanobotHome.clean) ?? "\(self.path)/spool"
    }

    public var workspaces: String { "\(path)/workspaces" }
    public var configuration: String { "\(path)/config.json" }
    /// Tokens made here; that it exists means that callers need one.
    public var tokens: String { "\(path)/tokens" }
    /// What all users together have used, where the settings bound it.
    public var usage: String { "\(path)/usage" }
    /// What calls under way can use, where the settings bound it.
    public var openUsage: String { "\(usage)/open" }
    /// A file for each process that answers requests, as long as it lives: where it answers.
    public var serving: String { "\(path)/serving" }
    public var audit: String { "\(path)/audit" }
    public var adminTokenFile: String { "\(path)/admin-token" }

    /// The home by environment: `NANOBOT_HOME`, else `~/.nanobot`; the spool by `NANOBOT_SPOOL`.
    public static func standard(
        home: String?, spool: String?, environment: [String: String]
    ) -> NanobotHome {
        let userHome = environment["HOME"] ?? "."
        let chosen = home ?? environment["NANOBOT_HOME"] ?? "\(userHome)/.nanobot"
        let expanded = chosen.hasPrefix("~/") ? userHome + chosen.dropFirst() : chosen
        return NanobotHome(
            path: resolved(expanded), spool: (spool ?? environment["NANOBOT_SPOOL"]).map(resolved))
    }

    /// The operator may have put a link in front of a home; below it no link is followed.
    private static func resolved(_ path: String) -> String {
        var existing = clean(path)
        var rest: [String] = []
        while true {
            if let real = RealPath.of(existing) { return ([real] + rest).joined(separator: "/") }
            let (folder, name) = PathParts.split(existing)
            guard folder != existing else { return clean(path) }
            rest.insert(name, at: 0)
            existing = folder
        }
    }

    private static func clean(_ path: String) -> String {
        path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    }
}
