// The API's description as one plain HTML page, for a machine without the viewers' files. Pure; any thread.

import TextFormats

/// Renders an OpenAPI document: every call with its parameters, body and answers. No scripts, nothing loaded.
struct DocumentationPage {
    private let document: JSON

    init(_ document: JSON) { self.document = document }

    var html: String {
        let info = document["info"]
        let title = Self.escaped(info?["title"]?.string ?? "API")
        let calls = operations()
        let index = calls.map { "<li><a href=\"#\($0.anchor)\"><code>\($0.title)</code></a> \($0.summary)</li>" }
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><title>\(title)</title>
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <style>\(Self.style)</style></head><body>
            <h1>\(title) <small>\(Self.escaped(info?["version"]?.string ?? ""))</small></h1>
            <p class="text">\(Self.escaped(info?["description"]?.string ?? ""))</p>
            <p>For programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
            <ul>\(index.joined(separator: "\n"))</ul>
            \(calls.map(\.html).joined(separator: "\n"))
            </body></html>
            """
    }

    private struct Operation {
        var anchor: String
        var title: String
        var summary: String
        var html: String
    }

    private func operations() -> [Operation] {
        var found: [Operation] = []
        for (path, item) in document["paths"]?.object ?? [:] {
            for method in ["get", "post", "put", "patch", "delete"] {
                guard let operation = item[method] else { continue }
                found.append(render(operation, path: path, method: method, shared: item["parameters"]))
            }
        }
        return found
    }

    private func render(_ operation: JSON, path: String, method: String, shared: JSON?) -> Operation {
        let title = Self.escaped("\(method.uppercased()) \(path)")
        let anchor = Self.escaped(operation["operationId"]?.string ?? "\(method)-\(path)")
        let summary = Self.escaped(operation["summary"]?.string ?? "")
        let parameters = (shared?.array ?? []) + (operation["parameters"]?.array ?? [])
        var html = "<section id=\"\(anchor)\"><h2><code>\(title)</code></h2><p>\(summary)</p>"
        if let text = operation["description"]?.string { html += "<p class=\"text\">\(Self.escaped(text))</p>" }
        html += table("Parameters", parameters.map(resolved).map(parameterRow))
        html += body(operation["requestBody"].map(resolved))
        let answers = operation["responses"]?.object.map { Array($0) } ?? []
        html += table("Answers", answers.map { answerRow($0.key, resolved($0.value)) })
        return Operation(anchor: anchor, title: title, summary: summary, html: html + "</section>")
    }

    private func parameterRow(_ parameter: JSON) -> [String] {
        let place = parameter["in"]?.string ?? ""
        let need = parameter["required"]?.bool == true ? "\(place), required" : place
        return [parameter["name"]?.string ?? "", need, parameter["description"]?.string ?? ""]
    }

    private func answerRow(_ status: String, _ answer: JSON) -> [String] {
        let types = answer["content"]?.object?.keys.joined(separator: ", ") ?? ""
        return [status, types, answer["description"]?.string ?? ""]
    }

    private func body(_ body: JSON?) -> String {
        guard let content = body?["content"]?["application/json"] else { return "" }
        let named = content["examples"]?.object?.first { _ in true }?.value["value"]
        guard let example = content["example"] ?? named else { return "" }
        return "<h3>Body</h3><pre>\(Self.escaped(example.text(pretty: true)))</pre>"
    }

    private func table(_ title: String, _ rows: [[String]]) -> String {
        guard !rows.isEmpty else { return "" }
        let lines = rows.map { row in "<tr>" + row.map { "<td>\(Self.escaped($0))</td>" }.joined() + "</tr>" }
        return "<h3>\(title)</h3><table>\(lines.joined(separator: "\n"))</table>"
    }

    /// Follows one `$ref` within the document.
    private func resolved(_ value: JSON) -> JSON {
        guard let reference = value["$ref"]?.string, reference.hasPrefix("#/") else { return value }
        var target: JSON? = document
        for part in reference.dropFirst(2).split(separator: "/") { target = target?[String(part)] }
        return target ?? value
    }

    static func escaped(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.append(character)
            }
        }
        return result
    }

    private static let style = """
        body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
        h2{margin-top:2.5rem;border-top:1px solid #ccc;padding-top:1rem}code,pre{font-family:ui-monospace,monospace}
        pre{background:#f4f4f4;padding:.8rem;overflow:auto}table{border-collapse:collapse;width:100%}
        td{border:1px solid #ddd;padding:.3rem .6rem;vertical-align:top}.text{white-space:pre-line}
        """
}
