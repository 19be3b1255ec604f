// Reads the tool calls that models and servers write not quite as the protocol says, where one reading only is possible.
// What has two readings stays as it is: the model is told that its arguments are no JSON object. Pure; any thread.
import TextFormats

enum ToolCallRepair {
    /// Texts inside texts that are opened: some models encode their arguments twice.
    private static let maxLayers = 3
    /// JSON values in a row that are looked at.
    private static let maxValues = 64

    /// The arguments as the JSON text of one object; the text itself where it has no single reading.
    ///
    /// Read are: an object inside a JSON string, a Markdown fence around it, a comma behind the last member, line breaks inside
    /// strings, an empty object in front (servers begin a stream with one), and the same object several times.
    /// - Parameter schema: of the tool; a text in place of a number or a truth value is read as one where the schema wants that.
    static func arguments(_ text: String, schema: JSON?) -> String {
        let strict = try? JSON.parse(text)  // A fault is what the rest of this function is for.
        if let strict, strict.object != nil {
            let typed = coerced(strict, schema)
            return typed == strict ? text : typed.text()
        }
        if text.allSatisfy(\.isWhitespace) { return text }
        guard let object = object(in: text, layers: maxLayers) else { return text }
        return coerced(object, schema).text()
    }

    private static func object(in text: String, layers: Int) -> JSON? {
        guard layers > 0 else { return nil }
        let bytes = Array(unfenced(text).trimmed().utf8)
        guard !bytes.isEmpty, let values = JSON.sequence(bytes, limits: .lenient, maxValues: maxValues) else { return nil }
        var objects: [JSON] = []
        for value in values {
            if value.object != nil {
                objects.append(value)
            } else if let inner = value.string, let object = object(in: inner, layers: layers - 1) {
                objects.append(object)
            } else {
                return nil
            }
        }
        let full = objects.filter { $0.object?.isEmpty == false }
        guard let first = full.first else { return objects.first }
        return full.allSatisfy { $0 == first } ? .some(first) : .none
    }

    /// The inside of a Markdown code fence; the text itself where there is none.
    private static func unfenced(_ text: String) -> String {
        let trimmed = text.trimmed()
        guard trimmed.hasPrefix("```"), trimmed.hasSuffix("```"), trimmed.utf8.count >= 7 else { return text }
        let inside = trimmed.dropFirst(3).dropLast(3)
        // The first line is the name of the language, unless the object begins there.
        guard let end = inside.firstIndex(where: { $0 == "\n" || $0 == "{" || $0 == "\"" }) else { return String(inside) }
        return String(inside[end...])
    }

    // MARK: - Types

    /// `"5"` for 5 and `"true"` for true, where the schema of the member wants a number or a truth value and no text.
    private static func coerced(_ arguments: JSON, _ schema: JSON?) -> JSON {
        guard var object = arguments.object, let members = schema?["properties"]?.object else { return arguments }
        for (name, value) in object {
            guard let text = value.string, let wanted = types(members[name]), !wanted.contains("string") else { continue }
            if let typed = Self.value(of: text, in: wanted) { object[name] = typed }
        }
        return .object(object)
    }

    private static func types(_ schema: JSON?) -> Set<String>? {
        if let one = schema?["type"]?.string { return [one] }
        return schema?["type"]?.array.map { Set($0.compactMap(\.string)) }
    }

    private static func value(of text: String, in wanted: Set<String>) -> JSON? {
        let value = try? JSON.parse(text)  // A text that is no JSON value stays a text.
        switch value {
        case .int?: return wanted.contains("integer") || wanted.contains("number") ? value : nil
        case .double?: return wanted.contains("number") ? value : nil
        case .bool?: return wanted.contains("boolean") ? value : nil
        case .array?: return wanted.contains("array") ? value : nil
        case .object?: return wanted.contains("object") ? value : nil
        default: return nil
        }
    }

    // MARK: - Names

    /// Words that chat templates and models put around the name of a tool.
    private static let templateWords: Set<String> = [
        "function", "functions", "tool", "tools", "default", "api", "assistant", "commentary", "analysis", "final", "json",
        "channel", "constrain", "message", "start", "end", "call", "calls", "to", "im", "sep", "invoke", "name",
    ]
    private static let longestName = 256

    /// The offered tool that `name` means: itself, or the only one whose name stands in it among nothing but words and marks of a
    /// chat template, such as `list_dir<|channel|>commentary` or `functions.list_dir:0`.
    static func name(_ name: String, offered: [String]) -> String {
        guard !offered.contains(name), name.utf8.count <= longestName else { return name }
        let words = words(name)
        let named = words.filter { offered.contains($0) }
        let isTemplate = words.allSatisfy { word in
            offered.contains(word) || word.allSatisfy(\.isNumber) || isTemplateWord(word)
        }
        guard isTemplate, let tool = named.first, named.allSatisfy({ $0 == tool }) else { return name }
        return tool
    }

    private static func isTemplateWord(_ word: String) -> Bool {
        word.split { $0 == "_" || $0 == "-" }.allSatisfy { templateWords.contains($0.lowercased()) || $0.allSatisfy(\.isNumber) }
    }

    private static func words(_ text: String) -> [String] {
        text.split { character in
            !(character.isASCII && (character.isLetter || character.isNumber) || character == "_" || character == "-")
        }.map(String.init)
    }
}
