// Marks of provider accounts on hold: how a process that met a rate limit tells the others, and itself after a restart.
// A mark is a hint, one file for each account: who misses it meets the rate limit too. Any thread, any process.

import DurableFiles
import Foundation
import TextFormats

extension JobSpool {
    /// Seconds: no hold is believed for longer from now on, whatever its mark says.
    public static let longestHold: TimeInterval = 3_600
    private static let holdPrefix = "hold-"

    /// Notes that jobs with this hold key are not to be started before `until`. A longer hold in force stays.
    public func hold(_ account: String, until: Date) throws(SpoolError) {
        guard JobFileName.isKey(account, JobFileName.maximumHoldKeyLength) else {
            throw SpoolError(.invalid, "\"\(account)\" is no hold key.")
        }
        let path = layout.path(.control, JobSpool.holdPrefix + account)
        if let standing = holdTime(path), standing >= until { return }
        try stored { () throws(FileError) in
            try folders.replace(path, Array((RFC3339.string(until) + "\n").utf8))
        }
    }

    /// The accounts on hold, and until when. Marks that are over are removed.
    public func holds() throws(SpoolError) -> [String: Date] {
        var holds: [String: Date] = [:]
        let time = now()
        for entry in try listIfThere(layout.path(.control)) where entry.name.hasPrefix(JobSpool.holdPrefix) {
            let account = String(entry.name.dropFirst(JobSpool.holdPrefix.count))
            let path = layout.path(.control, entry.name)
            guard JobFileName.isKey(account, JobFileName.maximumHoldKeyLength), let until = holdTime(path) else { continue }
            if until > time {
                holds[account] = min(until, time.addingTimeInterval(JobSpool.longestHold))
            } else {
                // Where it cannot be removed it means nothing any more.
                try? files.remove(path)
            }
        }
        return holds
    }

    /// - Returns: nil for a mark that is gone or cannot be understood: it holds nobody.
    private func holdTime(_ path: String) -> Date? {
        guard let bytes = try? files.readFile(path, maxBytes: 64) else { return nil }
        return RFC3339.date(String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
