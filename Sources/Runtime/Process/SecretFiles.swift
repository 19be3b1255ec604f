// Files that hold secrets, and what their rights let other users of the machine do with them. Looks only; blocking; any thread.

import API
import DurableFiles
import Foundation
import TextFormats

/// A file or folder that others may read or change and should not.
public struct ExposedFile: Sendable, Hashable {
    public var path: String
    /// What is in it.
    public var content: String
    /// The lowest twelve bits.
    public var mode: UInt32
    /// What its owner should give it.
    public var remedy: String

    public var words: String {
        "\(path) (\(content)) has mode \(String(format: "%04o", mode)): other users of this machine can "
            + (mode & 0o004 == 0 ? "change" : "read") + " it; run: \(remedy)"
    }
}

struct SecretFiles {
    /// Others must not read; neither they nor the group may write. A group may read: that is how a key is given to a service.
    private static let fileBits: UInt32 = 0o026
    private static let folderBits: UInt32 = 0o027

    let files: any FileSystem
    private(set) var exposed: [ExposedFile] = []

    init(files: any FileSystem = LinuxFileSystem()) { self.files = files }

    /// A file that is not there is no matter here, and one that cannot be opened tells no more.
    mutating func look(_ path: String?, _ content: String) {
        guard let path, let mode = mode(path, [.read, .nonBlocking]), mode & Self.fileBits != 0 else { return }
        exposed.append(ExposedFile(path: path, content: content, mode: mode, remedy: "chmod 0600 \(path)"))
    }

    mutating func look(folder path: String, _ content: String) {
        guard let mode = mode(path, [.read, .directory]), mode & Self.folderBits != 0 else { return }
        exposed.append(ExposedFile(path: path, content: content, mode: mode, remedy: "chmod -R go= \(path)"))
    }

    /// A link's own rights say nothing: those of the file count.
    private func mode(_ path: String, _ flags: OpenFlags) -> UInt32? {
        try? files.withFile(path, flags.union(.followLinks), mode: 0) { (descriptor) throws(FileError) in
            try files.status(of: descriptor, path: path).mode
        }
    }

    /// Whether the settings file holds a credential itself: a header or variable named like one.
    func holdsKeys(_ path: String) -> Bool {
        // Settings that cannot be read have been reported by now.
        guard let bytes = try? files.readSystemFile(path, maxBytes: 16 << 20), let json = try? JSON.parse(bytes) else {
            return false
        }
        return Self.holdsKeys(json, isGiven: false)
    }

    /// - Parameter isGiven: the members are headers or variables.
    private static func holdsKeys(_ json: JSON, isGiven: Bool) -> Bool {
        if let list = json.array { return list.contains { holdsKeys($0, isGiven: false) } }
        return json.object?.contains { name, value in
            if isGiven, SecretScrubber.isCredential(name: name), value.string?.isEmpty == false { return true }
            return holdsKeys(value, isGiven: name == "headers" || name == "env")
        } ?? false
    }
}

extension NanobotServices {
    /// Files with secrets that other users of this machine may read or change.
    func exposedFiles() -> [ExposedFile] {
        var secrets = SecretFiles()
        let inHome = { (path: String) in path.hasPrefix("/") ? path : "\(self.home.path)/\(path)" }
        let named = environment["NANOBOT_ADMIN_TOKEN_FILE"].flatMap { $0.isEmpty ? nil : $0 }
        secrets.look(named ?? home.adminTokenFile, "the admin token")
        for (name, entry) in settings.providers.sorted(by: { $0.key < $1.key }) {
            secrets.look(entry.apiKeyFile, "the key of provider \(name)")
        }
        secrets.look(settings.web.search?.apiKeyFile.map(inHome), "the key of the search service")
        secrets.look(settings.server.tls?.key, "the private key of TLS")
        if case .secret(_, let file)? = settings.jwt?.source { secrets.look(file.map(inHome), "the secret of server.jwt") }
        secrets.look(folder: home.tokens, "the tokens")
        if secrets.holdsKeys(home.configuration) { secrets.look(home.configuration, "settings with keys in them") }
        return secrets.exposed
    }
}
