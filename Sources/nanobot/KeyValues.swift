// What `preferences set` and `persona set` take: key=value, each key once. Pure; any thread. Failure: CommandFailure `usage`.

import Foundation
import TextFormats

enum KeyValues {
    /// - Parameters:
    ///   - example: a pair to show to whoever typed something else.
    ///   - json: the member of a key and the text behind its "=".
    static func members(
        _ values: [String], example: String, json: (String, String) -> JSON
    ) throws(CommandFailure) -> JSONObject {
        var members: JSONObject = [:]
        for value in values {
            guard let separator = value.firstIndex(of: "="), separator > value.startIndex else {
                throw CommandFailure.usage("\"\(value)\" is not of the form key=value, such as \(example)")
            }
            let key = value[..<separator].replacingOccurrences(of: "-", with: "_")
            guard members[key] == nil else { throw CommandFailure.usage("\(key) is given twice") }
            members[key] = json(key, String(value[value.index(after: separator)...]))
        }
        return members
    }

    /// The entries of "a, b"; none of "".
    static func list(_ text: String) -> JSON {
        JSON(text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) })
    }
}
