// An operator's shell is often root's, and the service runs as a user of its own. What a command of root's made in the
// home would belong to root, and the service could not use it: a folder of today's records made that way stops it.
// So root becomes the owner of the home before it touches anything there. Before any thread is made.

import DurableFiles
import Foundation
import Glibc
import Runtime

enum ServiceUser {
    /// Does nothing unless root runs the command on a home, or a spool, of somebody else.
    static func become(ownerOf location: NanobotHome) throws {
        guard geteuid() == 0 else { return }
        let files = LinuxFileSystem()
        // What is not there yet has no owner.
        guard let owner = [location.spool, location.path].compactMap({ try? files.status($0).owner }).first, owner != 0
        else { return }
        let entry = getpwuid(uid_t(owner))
        var groups = [entry?.pointee.pw_gid ?? gid_t(owner)]
        guard setgroups(1, &groups) == 0, setgid(groups[0]) == 0, setuid(uid_t(owner)) == 0 else {
            throw CommandFailure(
                "wrong_user",
                "\(location.path) belongs to \(HomeOwner.name(of: Int(owner))): run as \(HomeOwner.name(of: Int(owner)))",
                .unavailable)
        }
    }
}
