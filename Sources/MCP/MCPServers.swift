// All configured servers: which tools they have, and connections to them. A connection belongs to one user, unless the
// server is shared: what a server keeps of a conversation must not reach another tenant. Connections are made when they are
// needed and closed when nobody has used them for a while; nothing happens in between. Any thread; calls block.
import Foundation
import HTTPTransport
import Synchronization
import TextFormats

public final class MCPServers: Sendable {
    /// A tool and whose it is.
    public struct Offer: Sendable, Hashable {
        public var server: String
        public var tool: MCPToolInfo
    }

    /// Tools that are configured and not offered.
    public struct Absence: Sendable, Hashable {
        public enum Reason: Sendable, Hashable {
            /// The server has not said yet which tools it has.
            case starting
            /// It has never answered, and the last try failed.
            case unusable
            /// It is there, and this tool cannot be offered.
            case leftOut
        }

        public var server: String
        public var reason: Reason
        /// As the server calls them. Empty: all it has, of which nothing is known.
        public var tools: [String]
        /// May hold the server's own words, so it is for the operator.
        public var detail: String

        public init(server: String, reason: Reason, tools: [String], detail: String) {
            self.server = server
            self.reason = reason
            self.tools = tools
            self.detail = detail
        }
    }

    struct Connection {
        var session: MCPSession
        var uses = 0
        var lastUse: TimeInterval
        /// It stays, however long it rests: the server says on it when its tools change.
        var isWatching = false
    }

    struct State {
        /// nil: never answered so far.
        var tools: [String: [MCPToolInfo]] = [:]
        var missing: [String: [MCPMissingTool]] = [:]
        /// Servers whose list is to be read again; until that is done the old one holds.
        var stale: Set<String> = []
        var problems: [String: String] = [:]
        var nextLook: [String: TimeInterval] = [:]
        var failures: [String: Int] = [:]
        var isLooking: Set<String> = []
        var lastLook: [String: TimeInterval] = [:]
        /// Servers whose changed list is read in a moment.
        var isPutOff: Set<String> = []
        /// By server and user.
        var connections: [String: [String: Connection]] = [:]
        /// Sessions on which servers over HTTP say that their tools have changed; they serve no user.
        var watchers: [String: MCPSession] = [:]
    }

    public static let startSeconds = MCPSession.handshakeSeconds
    /// Seconds until a server that failed is asked again, doubled each time.
    private static let firstWait = 10.0
    private static let longestWait = 600.0
    /// Seconds between two readings of a list that changes again and again.
    private static let changePause = 1.0
    /// Seconds that ending all connections may take.
    private static let closingSeconds = 5.0
    /// Everybody, at a server that is shared.
    static let everybody = ""

    private let settings: [MCPServerSettings]
    let startSeconds: Double
    let client: HTTPClient
    private let onProblem: @Sendable (String, String) -> Void
    let state = Mutex(State())
    private let looked = NSCondition()
    /// Ends what servers are asked when nobody wants their answer any more.
    let ending = CancellationToken()

    /// - Parameters:
    ///   - startSeconds: what a server may take to greet us.
    ///   - onProblem: a server or some of its tools cannot be used, or a call failed; called on any thread.
    public init(
        _ settings: [MCPServerSettings], startSeconds: Double = MCPServers.startSeconds,
        client: HTTPClient = HTTPClient(policy: .anywhere),
        onProblem: @escaping @Sendable (_ server: String, _ problem: String) -> Void = { _, _ in }
    ) {
        self.settings = settings
        self.startSeconds = startSeconds
        self.client = client
        self.onProblem = onProblem
    }

    static var now: TimeInterval { ProcessInfo.processInfo.systemUptime }

    // MARK: - What there is

    /// Begins to ask those that have not said yet what they have, each on a thread of its own.
    public func look() {
        for server in settings {
            let isDue = state.withLock { state -> Bool in
                guard state.tools[server.name] == nil || state.stale.contains(server.name),
                    !state.isLooking.contains(server.name),
                    Self.now >= state.nextLook[server.name] ?? 0
                else { return false }
                state.isLooking.insert(server.name)
                state.lastLook[server.name] = Self.now
                // What is said to have changed from now on is asked for once more.
                state.stale.remove(server.name)
                return true
            }
            if isDue { Thread.detachNewThread { self.ask(server) } }
        }
    }

    /// The tools of all servers that have answered. Servers that never answered so far are waited for.
    /// - Parameters:
    ///   - seconds: the longest wait.
    ///   - cancellation: ends the wait.
    public func offers(waiting seconds: Double, cancellation: CancellationToken? = nil) -> [Offer] {
        guard !settings.isEmpty else { return [] }
        look()
        let end = Date(timeIntervalSinceNow: seconds)
        let handler = cancellation?.onCancel { [looked] in looked.withLock { looked.broadcast() } }
        defer { if let handler { cancellation?.removeHandler(handler) } }
        looked.withLock {
            while cancellation?.isCancelled != true, state.withLock({ state in
                settings.contains {
                    state.isLooking.contains($0.name) && state.failures[$0.name] == nil && state.tools[$0.name] == nil
                }
            }) {
                guard looked.wait(until: end) else { break }
            }
        }
        return state.withLock { state in
            settings.flatMap { server in (state.tools[server.name] ?? []).map { Offer(server: server.name, tool: $0) } }
        }
    }

    /// What is configured and not offered at the moment.
    public func absences() -> [Absence] {
        state.withLock { state in
            settings.flatMap { server -> [Absence] in
                let named = (server.enabledTools ?? []).sorted()
                guard state.tools[server.name] != nil else {
                    let problem = state.problems[server.name]
                    return [
                        Absence(
                            server: server.name, reason: problem == nil ? .starting : .unusable, tools: named,
                            detail: problem ?? "it has not answered yet")
                    ]
                }
                return (state.missing[server.name] ?? []).map {
                    Absence(server: server.name, reason: .leftOut, tools: $0.name.isEmpty ? [] : [$0.name], detail: $0.reason)
                }
            }
        }
    }

    /// By server: how many tools it has, and why it or some of them cannot be used.
    public func report() -> [(server: String, tools: Int?, problem: String?)] {
        state.withLock { state in
            settings.map { ($0.name, state.tools[$0.name]?.count, state.problems[$0.name]) }
        }
    }

    private func ask(_ server: MCPServerSettings) {
        var found: MCPToolList?
        var problem: String?
        do throws(MCPError) {
            let session: MCPSession
            let isNew: Bool
            if let open = openSession(server) {
                (session, isNew) = (open, false)
            } else {
                (session, isNew) = (try connect(server, cancellation: ending), true)
            }
            var list = try tools(of: session, server, isNew: isNew)
            if let names = server.enabledTools { list.keep(only: names) }
            list = list.hidden(by: server.secrets())
            problem = list.problem
            found = list
            settle(session, server)
        } catch {
            problem = error.hidden(by: server.secrets()).description
        }
        let isNews = state.withLock { state in
            state.isLooking.remove(server.name)
            // Of a list that is read again the same is not said again.
            let isNews = found == nil || state.problems[server.name] != problem
            state.problems[server.name] = problem
            if let found {
                state.tools[server.name] = found.tools
                state.missing[server.name] = found.missing
                state.failures[server.name] = nil
            } else {
                // An old list is better than none, and is asked for again.
                if state.tools[server.name] != nil { state.stale.insert(server.name) }
                let failures = state.failures[server.name, default: 0]
                state.failures[server.name] = failures + 1
                let wait = min(Self.longestWait, Self.firstWait * pow(2, Double(min(failures, 10))))
                state.nextLook[server.name] = Self.now + wait
            }
            return isNews
        }
        if let problem, isNews, !ending.isCancelled { onProblem(server.name, problem) }
        looked.withLock { looked.broadcast() }
    }

    /// A watcher that cannot be used any more must not be in the way of the next try.
    private func tools(of session: MCPSession, _ server: MCPServerSettings, isNew: Bool) throws(MCPError) -> MCPToolList {
        do throws(MCPError) {
            return try session.tools(cancellation: ending)
        } catch {
            let isWatcher = session.isBroken && dropWatcher(session, server)
            if isNew || isWatcher { session.close() }
            throw error
        }
    }

    /// The server says that its tools are others now: on any thread, with no lock of a session to wait for.
    func noteChange(_ server: MCPServerSettings) {
        let isSoon = state.withLock { state -> Bool? in
            guard state.tools[server.name] != nil else { return nil }
            state.stale.insert(server.name)
            guard !state.isLooking.contains(server.name), Self.now - (state.lastLook[server.name] ?? 0) >= Self.changePause else {
                return state.isPutOff.insert(server.name).inserted ? false : nil
            }
            return true
        }
        guard let isSoon, !ending.isCancelled else { return }
        guard !isSoon else { return look() }
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.changePause) { [weak self] in
            self?.state.withLock { _ = $0.isPutOff.remove(server.name) }
            self?.look()
        }
    }

    // MARK: - Calls

    /// - Throws: `MCPError`. A connection that turns out to be gone before the call was sent is made anew, once.
    /// - Returns: what the server said, without the keys it was given.
    public func call(
        _ offer: Offer, _ arguments: JSON, user: String, cancellation: CancellationToken?
    ) throws(MCPError) -> MCPCallResult {
        guard let server = settings.first(where: { $0.name == offer.server }) else {
            throw MCPError(.unavailable, "there is no server \(offer.server)")
        }
        let secrets = server.secrets()
        do throws(MCPError) {
            var result = try exchange(server, offer, arguments, user: user, cancellation: cancellation)
            result.text = secrets.hide(result.text)
            return result
        } catch {
            throw error.hidden(by: secrets)
        }
    }

    private func exchange(
        _ server: MCPServerSettings, _ offer: Offer, _ arguments: JSON, user: String, cancellation: CancellationToken?
    ) throws(MCPError) -> MCPCallResult {
        let owner = server.isShared ? Self.everybody : user
        var isFirst = true
        while true {
            let session = try take(server, owner, cancellation)
            defer { giveBack(server, owner, session) }
            do throws(MCPError) {
                return try session.call(
                    offer.tool.name, arguments, seconds: server.timeout, cancellation: cancellation)
            } catch {
                let isWorthAnother = error.code == .unavailable && (!error.mayHaveRun || offer.tool.isIdempotent)
                guard isFirst, isWorthAnother else {
                    if ![.cancelled, .refused].contains(error.code) {
                        onProblem(server.name, error.hidden(by: server.secrets()).description)
                    }
                    throw error
                }
                isFirst = false
            }
        }
    }

    public func isIdempotent(_ offer: Offer) -> Bool {
        offer.tool.isIdempotent
            || settings.first { $0.name == offer.server }?.idempotentTools.contains(offer.tool.name) ?? false
    }

    /// Ends all connections, for good.
    public func close() {
        ending.cancel()
        let sessions = state.withLock { state in
            defer { (state.connections, state.watchers) = ([:], [:]) }
            return state.connections.values.flatMap { $0.values.map(\.session) } + state.watchers.values
        }
        // Side by side: servers over HTTP are told, and each may take its time.
        let left = DispatchGroup()
        for session in sessions {
            left.enter()
            Thread.detachNewThread {
                session.close()
                left.leave()
            }
        }
        _ = left.wait(timeout: .now() + Self.closingSeconds)
    }
}
