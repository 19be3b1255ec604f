import DurableFiles
import Foundation
import Testing

@testable import Jobs

struct DropCandidatesTests {
    /// What the drop box hears and sees of one file; times in seconds.
    enum Step {
        case close, write, lost
        /// The closed file held no job.
        case doubt(size: Int, at: TimeInterval)
        /// A look at the file, and whether it must count as whole.
        case look(size: Int, changed: TimeInterval = 0, at: TimeInterval, isWhole: Bool)
    }

    static let stories: [(name: String, steps: [Step])] = [
        ("closed", [.close, .look(size: 1, at: 0, isWhole: true)]),
        (
            "no event: 2 s without a change",
            [
                .look(size: 1, at: 0, isWhole: false), .look(size: 1, at: 1.9, isWhole: false),
                .look(size: 2, at: 2, isWhole: false), .look(size: 2, changed: 1, at: 3, isWhole: false),
                .look(size: 2, changed: 1, at: 4.9, isWhole: false), .look(size: 2, changed: 1, at: 5, isWhole: true),
            ]
        ),
        (
            "written slowly: waits for the close",
            [
                .write, .look(size: 1, at: 0, isWhole: false), .look(size: 1, at: 20, isWhole: false), .close,
                .look(size: 1, at: 20, isWhole: true), .write, .look(size: 2, at: 21, isWhole: false),
                .look(size: 2, at: 50, isWhole: false), .look(size: 2, at: 51, isWhole: true),
            ]
        ),
        (
            "events lost while it was written",
            [.write, .look(size: 1, at: 0, isWhole: false), .lost, .look(size: 1, at: 2, isWhole: true)]
        ),
        (
            "closed without a job: 2 s without a change, or the next close",
            [
                .close, .look(size: 1, at: 0, isWhole: true), .doubt(size: 1, at: 0), .look(size: 1, at: 1.9, isWhole: false),
                .look(size: 1, at: 2, isWhole: true), .doubt(size: 1, at: 2), .look(size: 2, at: 2, isWhole: false),
                .close, .look(size: 2, at: 2.1, isWhole: true),
            ]
        ),
        (
            "empty: waits for content even when closed; a clock set back only delays",
            [
                .close, .look(size: 0, at: 0, isWhole: false), .look(size: 0, at: -100, isWhole: false),
                .look(size: 0, at: -98, isWhole: true),
            ]
        ),
    ]

    @Test("a file is whole when", arguments: stories.indices)
    func story(index: Int) {
        let start = Date(timeIntervalSince1970: 1_764_000_000)
        let name = FileName("a.json")
        var candidates = DropCandidates()
        func status(_ size: Int, _ changed: TimeInterval = 0) -> FileStatus {
            FileStatus(
                kind: .regular, size: size, modified: start + changed, inode: 1, device: 1, links: 1, owner: 0,
                mode: 0o600)
        }
        for step in Self.stories[index].steps {
            switch step {
            case .close: candidates.sawClose(name)
            case .write: candidates.sawWriting(name)
            case .lost: candidates.lostEvents()
            case .doubt(let size, let time): candidates.doubt(name, status(size), now: start + time)
            case .look(let size, let changed, let time, let isWhole):
                let answer = candidates.isWhole(name, status(size, changed), now: start + time)
                #expect(answer == isWhole, "\(Self.stories[index].name) at \(time)")
            }
        }
    }
}
