// What to say where the kernel refuses a command the files of a home: the home is somebody else's ("run this as OWNER"), or
// something in it is, since a command was once run as another user. Asks the file system for owners only. Main thread.

import DurableFiles
import Foundation
import Glibc
import Runtime
import Synchronization

enum HomeOwner {
    /// The home of this process's command, once it is opened; nil before.
    private static let location = Mutex<NanobotHome?>(nil)

    static func remember(_ home: NanobotHome) { location.withLock { $0 = home } }

    /// The failure with what to do about a refused permission; as it is where no other owner is the cause.
    static func explained(_ failure: CommandFailure) -> CommandFailure {
        let refusals = [EACCES, EPERM].map { String(cString: strerror($0)) }
        guard let home = location.withLock({ $0 }), refusals.contains(where: failure.detail.contains),
            let advice = advice(home, failure.detail)
        else { return failure }
        var explained = failure
        explained.detail += "; \(advice)"
        return explained
    }

    private static func advice(_ home: NanobotHome, _ detail: String) -> String? {
        let me = Int(geteuid())
        for place in [home.spool, home.path] {
            guard let (seen, owner) = owner(near: place), owner != me else { continue }
            let name = name(of: owner)
            return "\(seen) belongs to \(name): run as \(name), for example `sudo -u \(name) nanobot …`"
        }
        // The home is one's own: something in it is not.
        guard let path = path(in: detail, below: [home.spool, home.path]), let (seen, owner) = owner(near: path), owner != me
        else { return nil }
        return "\(seen) belongs to \(name(of: owner)), not to \(name(of: me)) as the home does: "
            + "`sudo chown -R \(name(of: me)) \(home.path)` gives it back"
    }

    /// Of the path, or of the first folder above it that may be looked at; and which of them it is.
    private static func owner(near path: String) -> (path: String, owner: Int)? {
        var path = path
        while true {
            if let status = try? LinuxFileSystem().status(path) { return (path, Int(status.owner)) }
            let above = PathParts.split(path).folder
            guard above != path else { return nil }
            path = above
        }
    }

    /// The path that a message names.
    private static func path(in detail: String, below folders: [String]) -> String? {
        for folder in folders {
            guard let start = detail.range(of: folder + "/", options: .backwards)?.lowerBound else { continue }
            return String(detail[start...].prefix { !$0.isWhitespace && $0 != ":" && $0 != "\"" && $0 != ";" && $0 != ")" })
        }
        return nil
    }

    /// The user's name; "#1001" for one without.
    static func name(of user: Int) -> String {
        getpwuid(uid_t(user)).flatMap { $0.pointee.pw_name }.map { String(cString: $0) } ?? "#\(user)"
    }
}
