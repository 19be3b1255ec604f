// The machine's time zones by IANA name, read once each and kept. Any thread; blocking on the first use of a zone
// (one small file). Fails with `.invalidTimeZone` for a name that does not exist, `.storage` when the disk says no.

import DurableFiles
import Foundation
import Synchronization
import Tenants

public final class ZoneCatalog: Sendable {
    /// tzdata has about 600 names; more than this many can't be distinct zones.
    private static let maxZones = 2_048

    private let folder: String
    private let files: any FileSystem
    private let loaded = Mutex<[String: ZoneRules]>([:])

    /// - Parameter folder: where TZif files are, by zone name.
    public init(folder: String = TimeZoneName.folder, files: any FileSystem = LinuxFileSystem()) {
        self.folder = folder
        self.files = files
    }

    /// Zone data that changes on disk is seen after a restart.
    public func rules(_ identifier: String) throws(ScheduleError) -> ZoneRules {
        if let known = loaded.withLock({ $0[identifier] }) { return known }
        let rules = try ZoneRules(identifier: identifier, folder: folder, files: files)
        loaded.withLock {
            if $0.count >= Self.maxZones { $0.removeAll() }
            $0[identifier] = rules
        }
        return rules
    }
}

extension ZoneRules {
    /// Reads `folder`/`identifier`. "UTC" needs no file, so a machine without tzdata works in UTC.
    public init(
        identifier: String, folder: String = TimeZoneName.folder, files: any FileSystem = LinuxFileSystem()
    ) throws(ScheduleError) {
        if identifier == "UTC" {
            self = .utc
            return
        }
        // A well-formed name has no dots, so it can't leave the folder.
        guard TimeZoneName.isWellFormed(identifier) else {
            throw ScheduleError(
                .invalidTimeZone, "\"\(identifier.prefix(64))\" is no IANA time zone name, such as Asia/Shanghai",
                field: "timezone")
        }
        let bytes: [UInt8]
        do {
            bytes = try files.readSystemFile("\(folder)/\(identifier)", maxBytes: TZifFile.maxBytes)
        } catch {
            switch error.code {
            case .notFound, .notDirectory, .isDirectory, .tooLarge, .invalid, .nameTooLong:
                throw ScheduleError(
                    .invalidTimeZone, "there is no time zone \(identifier) on this machine", field: "timezone")
            default:
                throw ScheduleError(.storage, "cannot read time zone \(identifier): \(error)")
            }
        }
        self = try TZifFile.rules(identifier: identifier, bytes: bytes)
    }
}
