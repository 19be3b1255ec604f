// Something `check` found. A value; any thread.

import Spool
import TextFormats

struct SpoolFinding: Sendable {
    enum Repair: Sendable, Equatable {
        /// A file in running/ that nobody holds.
        case recoverOrphans
        /// A file in queued/ whose job has ended.
        case moveEnded(JobFileName)
        /// Something that is no file of ours, in the place of one.
        case setAside
    }

    /// Stable, in snake case.
    var code: String
    /// Relative to the spool.
    var path: String
    /// What is wrong, and what to do.
    var detail: String
    /// False: worth knowing, but nothing is wrong.
    var isProblem: Bool
    var repair: Repair?

    var json: JSON {
        [
            "code": .string(code), "path": .string(path), "detail": .string(detail), "repairable": .bool(repair != nil),
        ]
    }
}
