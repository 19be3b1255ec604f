// Strict reading of a JSON object whose members are known beforehand: every wrong type, value out of range and unknown
// name becomes an error that names the field. Pure; any thread.

import Foundation

/// A member of an object is not what it must be.
public struct FieldError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The dotted path of the member, such as "preferences.report_time"; empty for the whole value.
    public var field: String
    /// One sentence for the person who wrote the value.
    public var detail: String

    public init(field: String, detail: String) {
        self.field = field
        self.detail = detail
    }

    public var description: String { field.isEmpty ? detail : "\(field): \(detail)" }
}

/// Reads members by name; a member that is absent or null reads as nil. `finish()` refuses names nobody asked for.
public struct ObjectReader {
    public let members: JSONObject
    public let path: String
    private var known: Set<String> = []

    /// - Parameter path: the dotted path of this object, for error messages; empty at the top.
    public init(_ json: JSON, path: String = "") throws(FieldError) {
        guard case .object(let members) = json else {
            throw FieldError(field: path, detail: "must be an object, not \(json.kindName)")
        }
        self.members = members
        self.path = path
    }

    public func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    public func error(_ key: String, _ detail: String) -> FieldError { FieldError(field: name(key), detail: detail) }

    /// The raw member; nil when absent or null.
    public mutating func json(_ key: String) -> JSON? {
        known.insert(key)
        guard let value = members[key], !value.isNull else { return nil }
        return value
    }

    /// True when the member is written at all, even as null.
    public func has(_ key: String) -> Bool { members[key] != nil }

    /// - Parameters: `min` and `max` in characters.
    public mutating func string(_ key: String, min: Int = 0, max: Int = .max) throws(FieldError) -> String? {
        guard let value = json(key) else { return nil }
        guard let text = value.string else { throw error(key, "must be a string, not \(value.kindName)") }
        // Characters cost a pass over the text: skip it where the byte count already proves the bounds.
        if text.utf8.count > max || min > 0 {
            let count = text.count
            guard count >= min else {
                throw error(key, count == 0 ? "must not be empty" : "must have at least \(min) characters")
            }
            guard count <= max else { throw error(key, "must have at most \(max) characters, has \(count)") }
        }
        return text
    }

    public mutating func int(_ key: String, in range: ClosedRange<Int>? = nil) throws(FieldError) -> Int? {
        guard let value = json(key) else { return nil }
        guard let number = value.int else { throw error(key, "must be a whole number, not \(value.kindName)") }
        if let range, !range.contains(number) {
            throw error(key, "must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    public mutating func double(_ key: String, in range: ClosedRange<Double>? = nil) throws(FieldError) -> Double? {
        guard let value = json(key) else { return nil }
        guard let number = value.double else { throw error(key, "must be a number, not \(value.kindName)") }
        if let range, !range.contains(number) {
            throw error(key, "must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    public mutating func bool(_ key: String) throws(FieldError) -> Bool? {
        guard let value = json(key) else { return nil }
        guard let bool = value.bool else { throw error(key, "must be true or false, not \(value.kindName)") }
        return bool
    }

    public mutating func strings(
        _ key: String, maxCount: Int = .max, maxLength: Int = .max
    ) throws(FieldError) -> [String]? {
        guard let value = json(key) else { return nil }
        guard let items = value.array else { throw error(key, "must be an array of strings, not \(value.kindName)") }
        guard items.count <= maxCount else { throw error(key, "must have at most \(maxCount) entries") }
        var texts: [String] = []
        for (index, item) in items.enumerated() {
            guard let text = item.string else {
                throw error("\(key)[\(index)]", "must be a string, not \(item.kindName)")
            }
            guard text.count <= maxLength else {
                throw error("\(key)[\(index)]", "must have at most \(maxLength) characters")
            }
            texts.append(text)
        }
        return texts
    }

    public mutating func stringMap(
        _ key: String, maxCount: Int = .max, maxLength: Int = .max
    ) throws(FieldError) -> [String: String]? {
        guard let value = json(key) else { return nil }
        guard let object = value.object else { throw error(key, "must be an object of strings, not \(value.kindName)") }
        guard object.count <= maxCount else { throw error(key, "must have at most \(maxCount) members") }
        var map: [String: String] = [:]
        for (name, item) in object {
            guard let text = item.string else {
                throw error("\(key).\(name)", "must be a string, not \(item.kindName)")
            }
            guard text.count <= maxLength, name.count <= maxLength else {
                throw error("\(key).\(name)", "must have at most \(maxLength) characters")
            }
            map[name] = text
        }
        return map
    }

    public mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, of type: Choice.Type
    ) throws(FieldError) -> Choice? where Choice.RawValue == String {
        guard let text = try string(key) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let all = Choice.allCases.map(\.rawValue)
            let hint = Spelling.nearest(to: text, in: all).map { "; did you mean \"\($0)\"?" } ?? ""
            throw error(key, "must be one of \(all.joined(separator: ", "))\(hint)")
        }
        return choice
    }

    /// An RFC 3339 time.
    public mutating func time(_ key: String) throws(FieldError) -> Date? {
        guard let text = try string(key) else { return nil }
        guard let date = RFC3339.date(text) else {
            throw error(key, "must be an RFC 3339 time such as 2026-11-24T09:00:00Z")
        }
        return date
    }

    public mutating func object(_ key: String) throws(FieldError) -> ObjectReader? {
        guard let value = json(key) else { return nil }
        return try ObjectReader(value, path: name(key))
    }

    public func require<Value>(_ value: Value?, _ key: String) throws(FieldError) -> Value {
        guard let value else { throw error(key, "is required") }
        return value
    }

    /// - Throws: for the first member no call has asked for, with the nearest known name.
    public func finish() throws(FieldError) {
        for key in members.keys where !known.contains(key) {
            let hint = Spelling.nearest(to: key, in: Array(known)).map { "; did you mean \"\($0)\"?" } ?? ""
            throw error(key, "is not a known key\(hint)")
        }
    }
}

/// Suggestions for misspelled names.
public enum Spelling {
    /// The closest of `names` when it is close enough to be meant: at most a third of its letters differ.
    public static func nearest(to text: String, in names: [String]) -> String? {
        guard text.count <= 64 else { return nil }
        let scored = names.map { (name: $0, distance: distance(Array(text.lowercased()), Array($0.lowercased()))) }
        guard let best = scored.min(by: { ($0.distance, $0.name) < ($1.distance, $1.name) }) else { return nil }
        return best.distance <= max(1, best.name.count / 3) ? best.name : nil
    }

    /// Edits that turn one into the other; two neighbours that changed places count as one (optimal string alignment).
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var before: [Int] = []
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var next = [i + 1]
            for (j, b) in right.enumerated() {
                var best = Swift.min(row[j] + (a == b ? 0 : 1), row[j + 1] + 1, next[j] + 1)
                if i > 0, j > 0, a == right[j - 1], left[i - 1] == b { best = Swift.min(best, before[j - 1] + 1) }
                next.append(best)
            }
            before = row
            row = next
        }
        return row[right.count]
    }
}
