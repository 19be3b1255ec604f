// Whether a tool's JSON Schema can be sent to models. One schema that a model's interface does not take makes the interface
// refuse every request, so such a tool is left out; what can be mended without a guess is mended. Pure; any thread.
// Source: JSON Schema 2020-12; the rules of OpenAI's and Anthropic's interfaces for a function's parameters.
import TextFormats

enum MCPToolSchema {
    /// Bytes: a schema is sent with every request.
    static let maxBytes = 32 << 10
    /// Schemas inside schemas.
    static let maxDepth = 32
    private static let types: Set<String> = ["object", "array", "string", "number", "integer", "boolean", "null"]
    /// Interfaces refuse these beside `type` at the top.
    private static let alternatives = ["anyOf", "oneOf", "allOf"]
    private static let notAtTop = alternatives + ["not", "enum", "const", "if", "then", "else"]
    private static let schemaMaps = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"]
    private static let schemas = ["items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"]
    private static let schemaLists = ["anyOf", "oneOf", "allOf", "prefixItems"]

    /// Why a schema cannot be used.
    struct Fault: Error, Sendable, Hashable {
        var detail: String
    }

    /// - Parameter json: `inputSchema` as the server gave it; nil or null: the tool takes nothing.
    /// - Returns: a schema of an object with properties.
    static func checked(_ json: JSON?) throws(Fault) -> JSON {
        guard let json, !json.isNull else { return ["type": "object", "properties": [:]] }
        guard var members = json.object else { throw Fault(detail: "its schema is \(json.kindName), not an object") }
        let named = members["type"]?.array?.compactMap(\.string) ?? [members["type"]?.string ?? "object"]
        guard named.contains("object") else {
            throw Fault(detail: "its schema is for \(named.joined(separator: ", ").prefix(100)), not for an object")
        }
        members["type"] = "object"
        if let properties = members["properties"], !properties.isNull, properties.object == nil {
            throw Fault(detail: "its properties are \(properties.kindName), not an object")
        }
        members["properties"] = .object(properties(of: members))
        for name in notAtTop { members[name] = nil }
        let schema = try mended(.object(members), at: "schema", depth: 0, root: .object(members))
        guard schema.bytes().count <= maxBytes else {
            throw Fault(detail: "its schema has more than \(maxBytes) bytes")
        }
        return schema
    }

    /// Those of the alternatives too, which the server itself tells apart when it is called.
    private static func properties(of members: JSONObject) -> JSONObject {
        var found = members["properties"]?.object ?? [:]
        for name in alternatives {
            for alternative in members[name]?.array ?? [] {
                for (key, value) in alternative["properties"]?.object ?? [:] where found[key] == nil { found[key] = value }
            }
        }
        return found
    }

    // MARK: - Inside

    private static func mended(_ json: JSON, at place: String, depth: Int, root: JSON) throws(Fault) -> JSON {
        guard depth <= maxDepth else { throw Fault(detail: "its schema nests deeper than \(maxDepth)") }
        // "true" is the schema of anything, "false" that of nothing.
        if json.bool != nil { return json }
        guard var members = json.object else {
            throw Fault(detail: "\(place.prefix(100)) is \(json.kindName), not a schema")
        }
        try checkWords(&members, place)
        if let reference = members["$ref"] { try check(reference, place, root) }
        for name in schemaMaps {
            guard let inner = members[name], !inner.isNull else {
                members[name] = nil
                continue
            }
            guard var map = inner.object else { throw Fault(detail: "\(name) of \(place.prefix(100)) is \(inner.kindName)") }
            for (key, value) in map { map[key] = try mended(value, at: "\(place).\(key)", depth: depth + 1, root: root) }
            members[name] = .object(map)
        }
        for name in schemas + schemaLists {
            guard let inner = members[name], !inner.isNull else {
                members[name] = nil
                continue
            }
            if let list = inner.array, schemaLists.contains(name) || name == "items" {
                var found: [JSON] = []
                for value in list { found.append(try mended(value, at: "\(place).\(name)", depth: depth + 1, root: root)) }
                members[name] = .array(found)
            } else if schemaLists.contains(name) {
                throw Fault(detail: "\(name) of \(place.prefix(100)) is \(inner.kindName), not a list")
            } else {
                members[name] = try mended(inner, at: "\(place).\(name)", depth: depth + 1, root: root)
            }
        }
        // OpenAI's interface refuses a list without a word about its elements.
        if members["type"] == "array", members["items"] == nil, members["prefixItems"] == nil { members["items"] = [:] }
        return .object(members)
    }

    private static func checkWords(_ members: inout JSONObject, _ place: String) throws(Fault) {
        if let type = members["type"] {
            let names = type.string.map { [$0] } ?? type.array?.compactMap(\.string) ?? []
            guard !names.isEmpty, names.count == type.array?.count ?? 1, types.isSuperset(of: names) else {
                throw Fault(detail: "the type of \(place.prefix(100)) is none of JSON Schema: \(type.text().prefix(60))")
            }
        }
        if let required = members["required"] {
            if required.isNull || required.bool != nil {
                // Of an older draft, where a property said of itself that it is required.
                members["required"] = nil
            } else if required.array?.allSatisfy({ $0.string != nil }) != true {
                throw Fault(detail: "required of \(place.prefix(100)) is no list of names")
            }
        }
        if let values = members["enum"] {
            guard let list = values.array else { throw Fault(detail: "enum of \(place.prefix(100)) is no list") }
            if list.isEmpty { members["enum"] = nil }
        }
    }

    /// - Throws: for a reference to what the schema does not hold: no interface fetches it.
    private static func check(_ reference: JSON, _ place: String, _ root: JSON) throws(Fault) {
        var found: JSON? = root
        guard let text = reference.string, text == "#" || text.hasPrefix("#/") else {
            throw Fault(detail: "\(place.prefix(100)) refers to \(reference.text().prefix(60)), which is not in the schema")
        }
        for part in text.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) where text != "#" {
            let key = part.replacing("~1", with: "/").replacing("~0", with: "~")
            found = found?[String(key)] ?? Int(key).flatMap { found?[$0] }
        }
        guard found != nil else {
            throw Fault(detail: "\(place.prefix(100)) refers to \(text.prefix(60)), which is not in the schema")
        }
    }
}
