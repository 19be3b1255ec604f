// `example`: the whole flow in a folder of its own, with real workers in this process, each step explained.
// Nothing of it touches the user's home; the folder is removed at the end unless --keep.

import ArgumentParser
import DurableFiles
import Foundation
import Jobs
import Runtime
import Spool
import Synchronization
import Tenants
import TextFormats

struct GuidedExample: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "example",
        abstract: "Show the whole flow, step by step, in a folder of its own.",
        discussion: """
            Creates a user with a watchlist and sample quotes, sends a chat message,
            orders a report, and shows the files it all consists of. Needs no network and
            no key unless NANOBOT_MODEL names a model.

            Examples:
              nanobot example
              nanobot example --keep          # leaves the folder to look around in
            """)

    @Flag(help: "Leave the folder in place.") var keep = false
    @Option(help: ArgumentHelp("Language of the report: en or zh.", valueName: "tag")) var language = "en"
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() async throws {
        let isOwnFolder = common.home == nil
        var own = common
        own.home = common.home ?? GuidedExample.temporaryFolder(common.environment)
        // A spool elsewhere, perhaps one in use, is no place for an example.
        own.spool = "\(own.location.path)/spool"
        let services = try own.openServer(format: .text, quietly: true) { $0.workers = GuidedExample.workers }
        do {
            try await work(services, own)
        } catch {
            if isOwnFolder, !keep { GuidedExample.remove(services.home.path) }
            throw error
        }
        if isOwnFolder, !keep {
            GuidedExample.remove(services.home.path)
        } else {
            try common.answer(.null, ["", "All of it is in \(services.home.path)."])
        }
    }

    private static let workers = 2

    private static func temporaryFolder(_ environment: [String: String]) -> String {
        let parent = environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        return "\(parent)/nanobot-example-\(UInt32.random(in: 0...UInt32.max))"
    }

    private static func remove(_ folder: String) {
        do throws(FileError) {
            try LinuxFileSystem().removeTree(folder)
        } catch {
            Terminal.errors.note("nanobot: \(folder) is left behind: \(error)")
        }
    }

    /// Workers run beside the guide; the guide's end ends them, and theirs, when they cannot start, ends the guide.
    private func work(_ services: NanobotServices, _ own: CommonOptions) async throws {
        let server = NanobotServer(services: services, parts: .workers, environment: [:])
        let isOver = EndFlag()
        let workers = Task {
            defer { isOver.set() }
            try await server.run()
        }
        let guide = ExampleGuide(services: services, common: own, language: language) { isOver.isSet }
        do {
            try await GuidedExample.onThread { try guide.run() }
        } catch {
            workers.cancel()
            // If the workers failed first, theirs is the reason.
            if case .failure(let cause) = await workers.result, !(cause is CancellationError) { throw cause }
            throw error
        }
        workers.cancel()
        // Cancelled on purpose: whatever it says about that is no news.
        _ = await workers.result
    }

    private static func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }
}

private final class EndFlag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}
