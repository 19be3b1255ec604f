// Where the processes of a home answer requests: each leaves a file in <home>/serving as long as it lives, so that `doctor` asks the
// service of its own home, whatever port a flag chose. Any thread; blocking. A home that takes no such file is no failure of the
// service: it is logged.

import DurableFiles
import Foundation
import Logging
import Synchronization
import Tenants
import TextFormats

/// What one process tells.
public struct ServiceAddress: Sendable, Hashable {
    /// As a program of the same machine reaches it, such as http://127.0.0.1:8000.
    public var url: String
    public var pid: Int
    /// The machine's name: a home may be shared.
    public var host: String

    var json: JSON { ["url": .string(url), "pid": JSON(pid), "host": .string(host)] }

    init(url: String, pid: Int, host: String) {
        self.url = url
        self.pid = pid
        self.host = host
    }

    /// nil for what is no such file.
    init?(_ bytes: [UInt8]) {
        guard let json = try? JSON.parse(bytes), let url = json["url"]?.string, let pid = json["pid"]?.int,
            let host = json["host"]?.string
        else { return nil }
        self.init(url: url, pid: pid, host: host)
    }

    /// Of this process. An address of all interfaces is reached by that of this machine.
    static func own(_ settings: Settings, port: Int) -> ServiceAddress {
        let bare = settings.host.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        let host = ["0.0.0.0", "::"].contains(bare) ? "127.0.0.1" : bare
        let scheme = settings.server.tls == nil ? "http" : "https"
        let info = ProcessInfo.processInfo
        return ServiceAddress(
            url: "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)", pid: Int(info.processIdentifier),
            host: info.hostName)
    }

    /// Those of the home's living processes.
    static func living(in home: NanobotHome, _ files: any FileSystem) throws(FileError) -> [ServiceAddress] {
        try ProcessPresence.living(in: home.serving, files).compactMap(ServiceAddress.init)
    }
}

/// This process's file.
final class ServiceAnnouncement: Sendable {
    private let home: NanobotHome
    private let files: any FileSystem
    private let logger: Logger
    private let presence = Mutex<ProcessPresence?>(nil)

    init(home: NanobotHome, files: any FileSystem, logger: Logger) {
        self.home = home
        self.files = files
        self.logger = logger
    }

    /// Called once requests are answered.
    func announce(_ address: ServiceAddress) {
        do throws(FileError) {
            let made = try ProcessPresence(
                folder: home.serving, id: "\(address.pid)-\(UUID().uuidString.lowercased()).json",
                content: address.json.bytes() + [0x0A], files: files)
            presence.withLock { $0 = made }
        } catch {
            logger.warning("doctor will not find this service's address", metadata: ["error": "\(error)"])
        }
    }

    func withdraw() { presence.withLock { $0 = nil } }
}
