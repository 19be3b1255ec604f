// How a command shows times to people: in the zone of the user they are about, else in this machine's, always with the zone's name.
// Programs read --json, which has RFC 3339 in UTC. One command, main thread. Never fails: a zone that cannot be read is UTC.

import Foundation
import Scheduler
import Tenants
import TextFormats

final class Clock {
    private let zones = ZoneCatalog()
    private let zoneOf: (UserID) -> String?
    private var known: [UserID: Zone] = [:]

    struct Zone {
        /// IANA.
        var name: String
        /// nil: UTC.
        var rules: ZoneRules?
    }

    /// - Parameter zoneOf: a user's time zone; nil where it cannot be told.
    init(zoneOf: @escaping (UserID) -> String? = { _ in nil }) { self.zoneOf = zoneOf }

    /// This machine's, by TZ or /etc/localtime.
    private(set) lazy var local = zone(TimeZone.current.identifier)

    func zone(_ name: String) -> Zone {
        // Other names of UTC; Foundation says GMT.
        let name = ["GMT", "Etc/UTC", "Etc/UCT", "UCT", "Zulu"].contains(name) ? "UTC" : name
        // Not installed, or no name of a zone: UTC is right for every moment.
        guard name != "UTC", let rules = try? zones.rules(name) else { return Zone(name: "UTC", rules: nil) }
        return Zone(name: name, rules: rules)
    }

    /// - Parameter user: nil: times of no user.
    func zone(of user: UserID?) -> Zone {
        guard let user else { return local }
        if let zone = known[user] { return zone }
        let zone = zoneOf(user).map(zone) ?? local
        known[user] = zone
        return zone
    }

    /// "2026-12-01 09:30:05 +01:00 Europe/Berlin"; on a terminal "3 min ago" as long as that says more. "-" for no time.
    func text(_ date: Date?, of user: UserID? = nil, on terminal: Terminal = .output, now: Date = Date()) -> String {
        guard let date else { return "-" }
        if terminal.isInteractive, let near = Moment.near(date, now: now) { return near }
        return absolute(date, of: user)
    }

    /// On a terminal both: how far away, and when.
    func full(_ date: Date?, of user: UserID? = nil, on terminal: Terminal = .output, now: Date = Date()) -> String {
        guard let date else { return "-" }
        let absolute = absolute(date, of: user)
        guard terminal.isInteractive, let near = Moment.near(date, now: now) else { return absolute }
        return "\(absolute) (\(near))"
    }

    private func absolute(_ date: Date, of user: UserID?) -> String {
        let zone = zone(of: user)
        let whole = Date(timeIntervalSince1970: date.timeIntervalSince1970.rounded(.down))
        guard let rules = zone.rules else { return "\(Moment.spaced(RFC3339.string(whole))) UTC" }
        return "\(Moment.spaced(Moment.local(whole, in: rules))) \(zone.name)"
    }
}
