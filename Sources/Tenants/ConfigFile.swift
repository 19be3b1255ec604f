// config.json of one workspace: read, checked, written whole. Any thread, any process: a read-modify-write happens
// under the lock on `.config.lock`, a plain read needs none since writes replace the file atomically.
// What cannot be read as JSON is set aside beside itself and reported; nothing here ever makes a config anew.
import DurableFiles
import Foundation
import TextFormats

struct ConfigFile: Sendable {
    static let name = "config.json"
    static let lockName = Workspace.Lock.config.rawValue
    static let quarantinePrefix = "config.json.corrupt-"
    /// Largest config.json, in bytes: all lists full of four-byte characters, custom_data full, as pretty JSON.
    static let maximumBytes = 4 << 20

    let user: UserID
    let directory: SealedDirectory
    let defaultTimeZone: String
    let now: @Sendable () -> Date

    // MARK: - Reading

    /// The config as it stands. An unreadable file is set aside first (the only thing a read may change).
    func read() throws(TenantError) -> UserConfig {
        switch try load() {
        case .config(let config): return config
        // Somebody may be replacing it: only what is unreadable under the lock is set aside.
        case .unreadable: return try locked { () throws(TenantError) in try readLocked() }
        }
    }

    /// Why the config cannot be used; nil: it can. Changes nothing, other than `read`.
    func problem() -> TenantError? {
        do throws(TenantError) {
            guard case .unreadable(let reason) = try load() else { return nil }
            return TenantError(
                .configCorrupt,
                "config.json of \"\(user)\" is unreadable (\(reason)). Repair the file, or delete the user.")
        } catch {
            return error
        }
    }

    /// As `read`, for a caller that holds the lock.
    func readLocked() throws(TenantError) -> UserConfig {
        switch try load() {
        case .config(let config): return config
        case .unreadable(let reason): throw setAside(reason)
        }
    }

    private enum Loaded {
        case config(UserConfig)
        /// The bytes are no JSON object: nothing of them can be used.
        case unreadable(String)
    }

    private func load() throws(TenantError) -> Loaded {
        let bytes: [UInt8]
        do {
            bytes = try directory.read(Self.name, maxBytes: Self.maximumBytes)
        } catch {
            switch error.code {
            case .tooLarge: return .unreadable("it has more than \(Self.maximumBytes >> 20) MiB")
            case .notFound: throw absent()
            case .symlink, .isDirectory, .invalid:
                throw TenantError(
                    .configCorrupt,
                    "config.json of \"\(user)\" is not a plain file. Put the file itself in its place.", file: error)
            case .permission:
                throw TenantError(
                    .configCorrupt,
                    "The service may not read config.json of \"\(user)\". Give it back to the service's account.",
                    file: error)
            default: throw TenantError(error, doing: "read the config of \"\(user)\"")
            }
        }
        let json: JSON
        do {
            json = try JSON.parse(bytes)
        } catch {
            return .unreadable(error.description)
        }
        guard json.object != nil else { return .unreadable("it is \(json.kindName), not an object") }
        return .config(try config(json))
    }

    private func config(_ json: JSON) throws(TenantError) -> UserConfig {
        do {
            return try UserConfig(stored: json, user: user, defaultTimeZone: defaultTimeZone)
        } catch {
            // Readable, with a value that makes no sense: left in place, where whoever wrote it can mend it.
            throw TenantError(
                .configCorrupt,
                "config.json of \"\(user)\" cannot be used: \(error.description). Correct it in the file.",
                field: error.field)
        }
    }

    /// Why there is no config.json. The folder's own absence is told apart by the caller.
    private func absent() -> TenantError {
        let entries: [SealedEntry]
        do {
            entries = try directory.list("")
        } catch {
            return TenantError(error, doing: "look for the config of \"\(user)\"")
        }
        // Deleted while it was open: nothing is left, or only what the deletion has not reached yet.
        guard !entries.isEmpty else { return .notFound(user) }
        guard let last = entries.last(where: { $0.name.hasPrefix(Self.quarantinePrefix) }) else {
            return TenantError(
                .configCorrupt, "The workspace of \"\(user)\" has no config.json. Restore it, or delete the user.")
        }
        return TenantError(
            .configCorrupt,
            "config.json of \"\(user)\" was unreadable and is kept as \(last.name). "
                + "Repair that file and rename it back, or delete the user.",
            quarantinePath: "\(directory.path)/\(last.name)")
    }

    /// Renames the unreadable file, so that the next look finds no half-truth, and says what happened.
    private func setAside(_ reason: String) -> TenantError {
        let stamp = RFC3339.string(now()).filter { $0 != "-" && $0 != ":" }
        var name = Self.quarantinePrefix + stamp
        if directory.exists(name) { name += "-" + String(UInt32.random(in: .min ... .max), radix: 16) }
        do {
            try directory.rename(Self.name, name, replace: false)
        } catch {
            return TenantError(
                .configCorrupt, "config.json of \"\(user)\" is unreadable (\(reason)) and could not be set aside.",
                file: error)
        }
        return TenantError(
            .configCorrupt,
            "config.json of \"\(user)\" was unreadable (\(reason)) and is now \(name). "
                + "Repair that file and rename it back, or delete the user.",
            quarantinePath: "\(directory.path)/\(name)")
    }

    // MARK: - Writing

    /// Durable when it returns; readers see the old or the new config. The caller holds the lock.
    func write(_ config: UserConfig) throws(TenantError) {
        directory.sweepTemporaries(of: Self.name)
        do {
            try directory.write(Self.name, Self.bytes(config))
        } catch {
            throw TenantError(error, doing: "write the config of \"\(user)\"")
        }
    }

    /// Pretty, since people read and mend it.
    static func bytes(_ config: UserConfig) -> [UInt8] {
        config.json.bytes(pretty: true) + [UInt8(ascii: "\n")]
    }

    /// Runs `body` while no other thread or process changes this config or deletes this user.
    func locked<Value>(_ body: () throws(TenantError) -> Value) throws(TenantError) -> Value {
        do {
            return try directory.withLock(Self.lockName) { try body() }
        } catch let error as TenantError {
            throw error
        } catch let error as FileError {
            // No file can be made in a folder that was removed.
            if error.code == .notFound { throw .notFound(user) }
            throw TenantError(error, doing: "lock the config of \"\(user)\"")
        } catch {
            throw TenantError(.storage, "Could not lock the config of \"\(user)\": \(error)")
        }
    }
}
