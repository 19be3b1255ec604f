// Where one installation keeps its things. Pure; any thread.

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
    public var adminTokenFile: String { "\(path)/admin-token" }

    /// The home by environment: `NANOBOT_HOME`, else `~/.nanobot`; the spool by `NANOBOT_SPOOL`.
    public static func standard(
        home: String?, spool: String?, environment: [String: String]
    ) -> NanobotHome {
        let userHome = environment["HOME"] ?? "."
        let chosen = home ?? environment["NANOBOT_HOME"] ?? "\(userHome)/.nanobot"
        let expanded = chosen.hasPrefix("~/") ? userHome + chosen.dropFirst() : chosen
        return NanobotHome(path: expanded, spool: spool ?? environment["NANOBOT_SPOOL"])
    }

    private static func clean(_ path: String) -> String {
        path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    }
}
