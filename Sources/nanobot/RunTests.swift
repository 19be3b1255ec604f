// `test`: the tests are no part of the program; this finds the checkout and hands over to its script.

import ArgumentParser
import DurableFiles
import Foundation

struct RunTests: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Run the tests, when called in (or built in) a checkout of the sources.",
        discussion: """
            The same as deploy/test.sh in the checkout: it installs what is missing and
            runs all tests. Arguments are handed on, after -- if they begin with a dash.
            """)

    @Argument(help: "Arguments of deploy/test.sh.") var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var common: CommonOptions

    private static let script = "deploy/test.sh"

    func run() throws {
        let executable = Bundle.main.executablePath ?? LaunchArguments.program ?? "nanobot"
        let here = URL(fileURLWithPath: ".").standardizedFileURL.path
        guard let checkout = try RunTests.checkout(above: here) ?? RunTests.checkout(above: executable) else {
            throw CommandFailure(
                "no_checkout",
                "the tests are in the sources, and this is no checkout of them; in one, run \(RunTests.script)",
                .unavailable)
        }
        let script = "\(checkout)/\(RunTests.script)"
        common.remark("running \(script)")
        // The script's programs expect pipes to end them as usual.
        signal(SIGPIPE, SIG_DFL)
        // Freed by execv, which replaces this program; if it fails the process ends.
        var words: [UnsafeMutablePointer<CChar>?] = (["/bin/sh", script] + arguments).map { text in strdup(text) }
        words.append(nil)
        execv("/bin/sh", &words)
        throw CommandFailure("failed", "\(script) cannot be run: \(String(cString: strerror(errno)))")
    }

    /// The folder at or above `path` that has the sources and the script.
    private static func checkout(above path: String) throws -> String? {
        let files = LinuxFileSystem()
        var folder = path
        while folder.count > 1 {
            // A folder we may not look into is none of ours.
            let isOurs = ["Package.swift", "Sources/nanobot", script].allSatisfy {
                (try? files.exists("\(folder)/\($0)")) ?? false
            }
            if isOurs { return folder }
            folder = PathParts.split(folder).folder
        }
        return nil
    }
}
