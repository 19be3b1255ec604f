// The tools of a server, read from the pages of its list. One tool that cannot be used costs the others nothing: it is left out
// with the reason. Pure; any thread.
import TextFormats

/// A tool as its server describes it.
public struct MCPToolInfo: Sendable, Hashable {
    public var name: String
    public var description: String
    /// JSON Schema.
    public var inputSchema: JSON
    /// It changes nothing, says the server.
    public var isReadOnly: Bool
    public var isIdempotent: Bool
}

/// A tool that a server has and that cannot be offered.
public struct MCPMissingTool: Sendable, Hashable {
    /// As the server calls it; empty where it has no name.
    public var name: String
    /// May hold the server's own words, so it is for the operator.
    public var reason: String
}

struct MCPToolList: Sendable, Hashable {
    static let maxTools = 200
    /// Characters of a name.
    static let maxName = 128
    /// Tools left out that are remembered one by one.
    static let maxMissing = 50

    var tools: [MCPToolInfo] = []
    var missing: [MCPMissingTool] = []

    mutating func add(_ json: JSON) {
        let given = json["name"]?.string ?? ""
        let name = String(given.prefix(Self.maxName))
        guard json.object != nil else { return leaveOut("", "an entry of the list is \(json.kindName), not an object") }
        guard !given.isEmpty else { return leaveOut("", "a tool has no name") }
        guard given.count <= Self.maxName else {
            return leaveOut(name, "its name has more than \(Self.maxName) characters")
        }
        guard !tools.contains(where: { $0.name == name }) else { return leaveOut(name, "another tool has the same name") }
        guard tools.count < Self.maxTools else { return leaveOut(name, "only \(Self.maxTools) tools of a server are read") }
        // Revision 2025-11-25: such a tool is called as a task, which this client does not do.
        guard json["execution"]?["taskSupport"] != "required" else {
            return leaveOut(name, "it can only be called as a task")
        }
        do throws(MCPToolSchema.Fault) {
            let schema = try MCPToolSchema.checked(json["inputSchema"])
            let hints = json["annotations"]
            let isReadOnly = hints?["readOnlyHint"]?.bool ?? false
            tools.append(
                MCPToolInfo(
                    name: name, description: json["description"]?.string ?? json["title"]?.string ?? "",
                    inputSchema: schema, isReadOnly: isReadOnly,
                    isIdempotent: isReadOnly || hints?["idempotentHint"]?.bool ?? false))
        } catch {
            leaveOut(name, error.detail)
        }
    }

    /// Only those that the operator named, each of which should be there.
    mutating func keep(only names: Set<String>) {
        tools.removeAll { !names.contains($0.name) }
        missing.removeAll { !names.contains($0.name) }
        let known = Set(tools.map(\.name) + missing.map(\.name))
        for name in names.subtracting(known).sorted() { leaveOut(name, "enabled_tools names it, and the server has no such tool") }
    }

    private mutating func leaveOut(_ name: String, _ reason: String) {
        if missing.count < Self.maxMissing { missing.append(MCPMissingTool(name: name, reason: reason)) }
    }

    /// Without the keys the server was given.
    func hidden(by secrets: SecretScrubber) -> MCPToolList {
        var list = self
        for place in list.tools.indices {
            list.tools[place].description = secrets.hide(list.tools[place].description)
            list.tools[place].inputSchema = secrets.hide(list.tools[place].inputSchema)
        }
        list.missing = missing.map { MCPMissingTool(name: secrets.hide($0.name), reason: secrets.hide($0.reason)) }
        return list
    }

    /// One sentence about those left out; nil where there are none.
    var problem: String? {
        guard !missing.isEmpty else { return nil }
        let words = missing.prefix(5).map { $0.name.isEmpty ? $0.reason : "\($0.name): \($0.reason)" }
        let more = missing.count > words.count ? "; and \(missing.count - words.count) more" : ""
        return "some of its tools are left out: " + words.joined(separator: "; ") + more
    }
}
