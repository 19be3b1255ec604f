// The words of a command line that name commands, looked at before anything is parsed: ArgumentParser answers "help nosuch" and
// "nosuch --help" with the help of what it did understand, and "submit chta --user a" with the option it did not. Pure; main thread.

import ArgumentParser
import TextFormats

enum CommandPath {
    /// Options of every command that take a value.
    private static let valued: Set<String> = ["--home", "--spool", "--server", "--token-file"]
    private static let flags: Set<String> = ["--json", "--verbose", "--help", "-h", "--version"]

    /// - Returns: nil where every word that must be a command is one. An option that is not of every command ends the look: what
    ///   follows may be its value.
    static func unknown(in arguments: [String]) -> CommandFailure? {
        var group: any ParsableCommand.Type = Nanobot.self
        var path = ["nanobot"]
        var isHelp = false
        var words = arguments[...]
        while let word = words.popFirst() {
            if valued.contains(word) {
                words = words.dropFirst()
                continue
            }
            if flags.contains(word) || valued.contains(where: { word.hasPrefix("\($0)=") }) { continue }
            let children = group.configuration.subcommands
            guard !word.hasPrefix("-"), !children.isEmpty else { return nil }
            if word == "help", path.count == 1 {
                guard !isHelp else { return nil }
                isHelp = true
                continue
            }
            guard let child = children.first(where: { names(of: $0).contains(word) }) else {
                return failure(word, children.flatMap { names(of: $0) } + (path.count == 1 ? ["help"] : []), path)
            }
            path.append(word)
            group = child
        }
        return nil
    }

    private static func failure(_ word: String, _ names: [String], _ path: [String]) -> CommandFailure {
        let command = path.joined(separator: " ")
        var hint = ""
        if let near = Spelling.nearest(to: word, in: names) {
            hint = "; did you mean \"\(near)\"?"
        } else if names.contains("show") {
            hint = "; did you mean \"show \(word)\"?"
        }
        return .usage("there is no command \"\(word)\"\(hint) (\(command) --help lists them)")
    }

    /// What it is called by.
    private static func names(of command: any ParsableCommand.Type) -> [String] {
        [command.configuration.commandName ?? ""] + command.configuration.aliases
    }
}
