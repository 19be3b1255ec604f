// A JSON value as data. Parsing is in JSONParser.swift, writing in JSONWriter.swift.
// Values are plain and immutable: any thread may use them.

/// One JSON value (RFC 8259).
///
/// Whole numbers that fit 64 bits are `int`, all others `double`. Objects keep the order of their members.
public enum JSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([JSON])
    case object(JSONObject)
}

extension JSON {
    public var isNull: Bool { self == .null }

    public var bool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    public var int: Int? {
        switch self {
        case .int(let value): return Int(value)
        case .double(let value): return Int(exactly: value)
        default: return nil
        }
    }

    /// The number as a double; whole numbers count too.
    public var double: Double? {
        switch self {
        case .int(let value): return Double(value)
        case .double(let value): return value
        default: return nil
        }
    }

    public var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    public var array: [JSON]? {
        if case .array(let value) = self { return value }
        return nil
    }

    public var object: JSONObject? {
        if case .object(let value) = self { return value }
        return nil
    }

    /// The member of that name; nil when this is no object or has none.
    public subscript(key: String) -> JSON? { object?[key] }

    /// The element at that place; nil when this is no array or is shorter.
    public subscript(index: Int) -> JSON? {
        guard case .array(let values) = self, values.indices.contains(index) else { return nil }
        return values[index]
    }

    /// The same value with every object's members in ascending order of their names: equal content gives equal bytes.
    public var sorted: JSON {
        switch self {
        case .array(let values): return .array(values.map(\.sorted))
        case .object(let members):
            return .object(members.sorted)
        default: return self
        }
    }

    /// What kind of value this is, in the words of an error message.
    public var kindName: String {
        switch self {
        case .null: return "null"
        case .bool: return "a boolean"
        case .int, .double: return "a number"
        case .string: return "a string"
        case .array: return "an array"
        case .object: return "an object"
        }
    }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
    ExpressibleByStringInterpolation
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) { self = .object(JSONObject(elements)) }

    public init(_ value: Int) { self = .int(Int64(value)) }
    public init(_ value: String) { self = .string(value) }
    public init(_ value: String?) { self = value.map { .string($0) } ?? .null }
    public init(_ values: [String]) { self = .array(values.map { .string($0) }) }
    public init(_ values: [String: String]) {
        self = .object(JSONObject(values.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }
}

/// The members of a JSON object, in order; a name occurs once.
///
/// Look-up is linear: objects here have tens of members, not thousands (the parser bounds them).
public struct JSONObject: Sendable, Hashable, Sequence, ExpressibleByDictionaryLiteral {
    public typealias Element = (key: String, value: JSON)

    private var names: [String] = []
    private var values: [JSON] = []

    public init() {}

    /// Later members win over earlier ones of the same name.
    public init(_ members: [(String, JSON)]) {
        names.reserveCapacity(members.count)
        values.reserveCapacity(members.count)
        add(members)
    }

    /// Many members get a table of names meanwhile, or each would look through all those before it.
    private mutating func add(_ members: some Collection<(String, JSON)>) {
        guard names.count + members.count > Self.fewNames else {
            for (key, value) in members { self[key] = value }
            return
        }
        var places = self.places
        for (key, value) in members {
            if let place = places[key] {
                values[place] = value
            } else {
                places[key] = names.count
                names.append(key)
                values.append(value)
            }
        }
    }

    private static let fewNames = 16

    private var places: [String: Int] { Dictionary(uniqueKeysWithValues: names.enumerated().map { ($0.element, $0.offset) }) }

    /// In ascending order of the names, all values sorted too.
    fileprivate var sorted: JSONObject {
        let order = names.indices.sorted { names[$0] < names[$1] }
        return JSONObject(uniqueNames: order.map { names[$0] }, values: order.map { values[$0].sorted })
    }

    /// For the parser, which has already refused a name that occurs twice.
    init(uniqueNames: [String], values: [JSON]) {
        self.names = uniqueNames
        self.values = values
    }

    public init(dictionaryLiteral elements: (String, JSON)...) { self.init(elements) }

    public var keys: [String] { names }
    public var count: Int { names.count }
    public var isEmpty: Bool { names.isEmpty }

    public subscript(key: String) -> JSON? {
        get { names.firstIndex(of: key).map { values[$0] } }
        set {
            switch (names.firstIndex(of: key), newValue) {
            case (let index?, let value?): values[index] = value
            case (let index?, nil):
                names.remove(at: index)
                values.remove(at: index)
            case (nil, let value?):
                names.append(key)
                values.append(value)
            case (nil, nil): break
            }
        }
    }

    /// Takes every member of `other`, replacing those of the same name.
    public mutating func merge(_ other: JSONObject) {
        add(other.map { ($0.key, $0.value) })
    }

    public struct Iterator: IteratorProtocol {
        fileprivate let names: [String]
        fileprivate let values: [JSON]
        private var index = 0

        fileprivate init(names: [String], values: [JSON]) {
            self.names = names
            self.values = values
        }

        public mutating func next() -> Element? {
            guard index < names.count else { return nil }
            defer { index += 1 }
            return (names[index], values[index])
        }
    }

    public func makeIterator() -> Iterator { Iterator(names: names, values: values) }

    /// Two objects with the same members are equal, whatever the order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        guard left.count == right.count else { return false }
        if left.names == right.names { return left.values == right.values }
        guard left.count > fewNames else { return left.allSatisfy { right[$0.key] == $0.value } }
        let places = right.places
        return left.allSatisfy { member in places[member.key].map { right.values[$0] == member.value } ?? false }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(names.count)
        var combined = 0
        for (key, value) in self {
            var member = Hasher()
            member.combine(key)
            member.combine(value)
            combined ^= member.finalize()
        }
        hasher.combine(combined)
    }
}
