// What was typed: the process's arguments, from the kernel's own list. `CommandLine.arguments` finds that list by walking back from
// the environment, which a preloaded library that sets a variable has moved by then: a statically linked binary then sees no
// arguments at all, prints its help and ends with 0. Any thread.

import CLinux

enum LaunchArguments {
    /// Without the program's name.
    static let all: [String] = {
        var found: [String] = []
        var index = 1
        while let text = nb_argument(Int32(index)) {
            found.append(String(cString: text))
            index += 1
        }
        return found
    }()

    /// As the program was called; nil where the kernel was given nothing.
    static var program: String? { nb_argument(0).map { String(cString: $0) } }
}
