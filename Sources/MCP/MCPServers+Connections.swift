// The connections to servers: made when they are needed, kept for one user or for all, closed when they have rested. Any thread;
// making and closing one blocks.
import Foundation
import HTTPTransport
import Synchronization
import TextFormats

extension MCPServers {
    func connect(
        _ server: MCPServerSettings, cancellation: CancellationToken? = nil
    ) throws(MCPError) -> MCPSession {
        let channel: any MCPChannel
        switch server.place {
        case .command(let command): channel = try StdioChannel(server: server.name, command: command)
        case .address(let address): channel = HTTPChannel(server: server.name, address: address, client: client)
        }
        return try MCPSession(
            server: server.name, channel: channel, seconds: startSeconds, cancellation: cancellation
        ) { [weak self] in self?.noteChange(server) }
    }

    /// What becomes of the session on which a server's list was read.
    func settle(_ session: MCPSession, _ server: MCPServerSettings) {
        if server.isShared {
            keep(session, of: server, user: Self.everybody)
        } else if Self.isWatch(session, server) {
            let isKnown = state.withLock { state in
                if state.watchers[server.name] === session { return true }
                guard !ending.isCancelled else { return false }
                state.watchers[server.name] = session
                return true
            }
            guard isKnown else { return session.close() }
            listen(session, server)
        } else {
            session.close()
        }
    }

    /// A stream is worth the news of other tools; a child that runs for nobody is not.
    private static func isWatch(_ session: MCPSession, _ server: MCPServerSettings) -> Bool {
        if case .address = server.place { return session.announcesChanges }
        return false
    }

    /// The server is heard between calls, too. Where it has gone, its list may be another when it is back.
    private func listen(_ session: MCPSession, _ server: MCPServerSettings) {
        session.startListening { [weak self, weak session] end in
            guard let self, let session else { return }
            let isWatcher = self.dropWatcher(session, server)
            self.state.withLock { state in
                for (owner, connection) in state.connections[server.name] ?? [:] where connection.session === session {
                    state.connections[server.name]?[owner]?.isWatching = false
                }
                let isOver = end == .gone && state.tools[server.name] != nil
                if isOver, isWatcher { state.stale.insert(server.name) }
            }
            if isWatcher { session.close() }
        }
    }

    /// A session that is open already and on which the server's list can be read.
    func openSession(_ server: MCPServerSettings) -> MCPSession? {
        let known = state.withLock { state in
            server.isShared
                ? state.connections[server.name]?[Self.everybody]?.session : state.watchers[server.name]
        }
        return known?.isBroken == false ? known : nil
    }

    /// - Returns: whether the session was the server's watcher.
    @discardableResult
    func dropWatcher(_ session: MCPSession, _ server: MCPServerSettings) -> Bool {
        state.withLock { state in
            guard state.watchers[server.name] === session else { return false }
            state.watchers[server.name] = nil
            return true
        }
    }

    func take(
        _ server: MCPServerSettings, _ owner: String, _ cancellation: CancellationToken?
    ) throws(MCPError) -> MCPSession {
        var idle: [MCPSession] = []
        let known = try state.withLock { state throws(MCPError) -> MCPSession? in
            idle = Self.removeIdle(server, &state)
            if var connection = state.connections[server.name]?[owner] {
                connection.uses += 1
                state.connections[server.name]?[owner] = connection
                return connection.session
            }
            guard state.connections[server.name, default: [:]].count >= server.maxConnections else { return nil }
            // Room is made by whoever has rested longest.
            let resting = state.connections[server.name]?.filter { $0.value.uses == 0 }
            guard let oldest = resting?.min(by: { $0.value.lastUse < $1.value.lastUse })?.key else {
                throw MCPError(
                    .busy, "all \(server.maxConnections) connections to \(server.name) are in use; try again later")
            }
            if let connection = state.connections[server.name]?.removeValue(forKey: oldest) {
                idle.append(connection.session)
            }
            return nil
        }
        for session in idle { session.close() }
        if let known { return known }
        let session = try connect(server, cancellation: cancellation)
        return keep(session, of: server, user: owner, uses: 1)
    }

    /// - Returns: the session to use: another thread may have made one for the same user meanwhile.
    @discardableResult
    func keep(
        _ session: MCPSession, of server: MCPServerSettings, user: String, uses: Int = 0
    ) -> MCPSession {
        let isWatching = server.isShared && Self.isWatch(session, server)
        let kept = state.withLock { state -> MCPSession in
            // Nobody would close it.
            guard !ending.isCancelled else { return session }
            if var connection = state.connections[server.name]?[user], !connection.session.isBroken {
                connection.uses += uses
                state.connections[server.name]?[user] = connection
                return connection.session
            }
            state.connections[server.name, default: [:]][user] = Connection(
                session: session, uses: uses, lastUse: Self.now, isWatching: isWatching)
            return session
        }
        if kept !== session { session.close() }
        listen(kept, server)
        closeLater(server)
        return kept
    }

    func giveBack(_ server: MCPServerSettings, _ owner: String, _ session: MCPSession) {
        let isBroken = session.isBroken
        state.withLock { state in
            guard var connection = state.connections[server.name]?[owner], connection.session === session else {
                return
            }
            connection.uses -= 1
            connection.lastUse = Self.now
            state.connections[server.name]?[owner] = isBroken ? nil : connection
        }
        closeLater(server)
    }

    /// One look after the time a connection may rest: nothing is done while there are none.
    private func closeLater(_ server: MCPServerSettings) {
        DispatchQueue.global().asyncAfter(deadline: .now() + server.idleSeconds + 1) { [weak self] in
            guard let self else { return }
            let idle = self.state.withLock { Self.removeIdle(server, &$0) }
            for session in idle { session.close() }
        }
    }

    private static func removeIdle(_ server: MCPServerSettings, _ state: inout State) -> [MCPSession] {
        let old = (state.connections[server.name] ?? [:]).filter {
            $0.value.uses == 0 && !$0.value.isWatching && now - $0.value.lastUse >= server.idleSeconds
        }
        for key in old.keys { state.connections[server.name]?[key] = nil }
        return old.values.map(\.session)
    }
}
