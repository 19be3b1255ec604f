// `export-user`: all that is kept of a user in one tar archive, as GET /users/{id}/export gives it. Main thread.

import ArgumentParser
import DurableFiles
import Foundation
import NanobotClient
import Runtime
import Tenants
import TextFormats

struct ExportUser: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export-user",
        abstract: "Write all that is kept of a user into a tar archive.",
        discussion: """
            manifest.json, the workspace, the jobs and the list of tokens (without the
            tokens). The file is its maker's alone (0600); a file of that name is never
            replaced.

            Examples:
              nanobot export-user alice                    # alice.tar
              nanobot export-user alice -o /backup/alice.tar
              nanobot export-user alice -o - | tar -tv
            """)

    @Argument(help: ArgumentHelp("The user.", valueName: "user-id")) var id: String
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Where to; - is standard output. (default: <user-id>.tar)", valueName: "file"), completion: .file())
    var output: String?
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    func run() throws {
        let user = try UserID(id)
        let path = output ?? "\(user).tar"
        guard path != "-" else {
            guard !Terminal.output.isInteractive else {
                throw CommandFailure.usage("an archive is not for a terminal; name a file with -o", field: "output")
            }
            return try write(user) { try Terminal.output.bytes($0) }
        }
        let files = LinuxFileSystem()
        if try common.service() == nil, (try? files.exists("\(common.location.workspaces)/\(user)")) == false {
            // Says that there is none, before a file is made.
            _ = try common.openExisting().workspaces.open(user)
        }
        // Before the home is opened: root becomes the owner of the home there, who may neither write to this folder nor remove from it.
        let file: Int32
        do throws(FileError) {
            file = try files.open(path, [.write, .create, .exclusive], mode: 0o600)
        } catch {
            guard error.code == .exists else { throw CommandFailure("output", "the archive cannot be made: \(error)", .usage) }
            throw CommandFailure("file_exists", "\(path) is there already; name another file with -o", .failed)
        }
        defer { files.closeQuietly(file) }
        var size = 0
        do {
            try write(user) { piece in
                try files.writeAll(file, piece, path: path)
                size += piece.count
            }
            try files.sync(file, path: path)
        } catch {
            // Half an archive must not pass for a whole one.
            do throws(FileError) { try files.remove(path) } catch { common.remark("\(path) is no whole archive; remove it") }
            throw error
        }
        try common.answer(
            ["user_id": .string(user.rawValue), "file": .string(path), "size_bytes": JSON(size)], ["\(path): \(size) bytes"])
    }

    private func write(_ user: UserID, _ take: ([UInt8]) throws -> Void) throws {
        if let service = try common.service() { return try service.export(user.rawValue, take) }
        try common.openExisting().export(user, take)
    }
}
