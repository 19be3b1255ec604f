// A report document in the form that was asked for. Made once, used from any thread; rendering is pure, linear in the text
// and bounded. It fails only where the caller says that it may: for a text beyond the bound, or when its reader has gone.
// `init` fails only if the page template of this build is broken, which a test rules out.
import Foundation
import MarketData
import Mustache
import Tenants
import TextFormats

public struct ReportRenderer: Sendable {
    /// Bytes of Markdown that are rendered; no report the service writes is longer (100,000 characters of four bytes).
    public static let maxBytes = 512 << 10

    private let page: MustacheTemplate

    public init() throws(ReportError) {
        do {
            page = try MustacheTemplate(string: ReportPage.template)
        } catch {
            throw ReportError(code: .template, detail: "the report page of this build is broken: \(error)")
        }
    }

    /// Never fails: a text beyond `maxBytes` is cut, with a note that it was. Markdown is handed back as it is.
    public func render(_ document: ReportDocument, as format: ReportFormat) -> String {
        var document = document
        if format != .markdown, document.markdown.utf8.count > Self.maxBytes {
            // A code point has up to four bytes.
            document.markdown = ReportText.truncated(
                document.markdown, to: Self.maxBytes / 4, language: document.language)
        }
        return text(document, format, StepCounter())
    }

    /// For a reader who waits. Markdown is handed back as it is, whatever its length.
    /// - Parameter shouldStop: asked every few thousand steps, on this thread, whether the reader has gone.
    /// - Throws: `.tooLarge`, `.stopped`
    public func render(
        _ document: ReportDocument, as format: ReportFormat, stoppingIf shouldStop: @escaping () -> Bool
    ) throws(ReportError) -> String {
        if format != .markdown { try Self.checkSize(document.markdown.utf8.count) }
        let steps = StepCounter(stoppingIf: shouldStop)
        let text = text(document, format, steps)
        guard !steps.isStopped else { throw ReportError(code: .stopped, detail: "the report's reader has gone") }
        return text
    }

    private func text(_ document: ReportDocument, _ format: ReportFormat, _ steps: StepCounter) -> String {
        switch format {
        case .markdown: document.markdown
        case .html: html(document, steps)
        case .json: json(document).text(pretty: true)
        case .text: PlainTextWriter.text(MarkdownParser.parse(document.markdown, steps), steps)
        }
    }

    /// - Throws: `.tooLarge`
    public static func checkSize(_ bytes: Int) throws(ReportError) {
        guard bytes > maxBytes else { return }
        throw ReportError(
            code: .tooLarge,
            detail: "the report's Markdown has \(bytes) bytes; at most \(maxBytes >> 10) KiB are rendered. Ask for it as "
                + "text/markdown, which gives the file as it is")
    }

    /// The ending of a file in that form, without a dot.
    public static func fileExtension(of format: ReportFormat) -> String {
        switch format {
        case .markdown: "md"
        case .html: "html"
        case .json: "json"
        case .text: "txt"
        }
    }

    /// The content type of that form.
    public static func mediaType(of format: ReportFormat) -> String {
        switch format {
        case .markdown: "text/markdown; charset=utf-8"
        case .html: "text/html; charset=utf-8"
        case .json: "application/json"
        case .text: "text/plain; charset=utf-8"
        }
    }

    /// Any Markdown text as safe HTML, without a page around it.
    public static func htmlFragment(markdown: String) -> String { HTMLWriter.html(MarkdownParser.parse(markdown)) }

    // MARK: - JSON

    /// `{title, language, generated_at, model, content, sources, quotes, history}`; `content` is Markdown.
    private func json(_ document: ReportDocument) -> JSON {
        var fields = JSONObject()
        fields["title"] = .string(document.title)
        fields["language"] = .string(document.language)
        fields["generated_at"] = .string(RFC3339.string(document.generatedAt))
        fields["model"] = .string(document.model)
        fields["content"] = .string(document.markdown)
        fields["sources"] = .array(document.sources.map(JSON.string))
        fields["quotes"] = .array(document.quotes.map(\.json))
        var history = JSONObject()
        for (symbol, points) in document.histories.sorted(by: { $0.key < $1.key }) {
            let list = points.suffix(ReportCharts.maxPoints).map { point -> JSON in
                ["time": .string(RFC3339.string(point.time)), "close": .double(point.close)]
            }
            history[symbol] = .array(list)
        }
        if !history.isEmpty { fields["history"] = .object(history) }
        return .object(fields)
    }

    // MARK: - HTML

    private func html(_ document: ReportDocument, _ steps: StepCounter) -> String {
        let isChinese = document.language.lowercased().hasPrefix("zh")
        let charts = self.charts(document, isChinese: isChinese)
        let (green, red) = ("#1a8f4c", "#d03b3b")
        let content = ReportPage(
            language: String(document.language.filter { $0.isASCII && ($0.isLetter || $0 == "-") }.prefix(35)),
            title: document.title, upColor: isChinese ? red : green, downColor: isChinese ? green : red,
            body: HTMLWriter.html(MarkdownParser.parse(document.markdown, steps), steps), charts: charts,
            hasCharts: !charts.isEmpty, chartsTitle: isChinese ? "图表" : "Charts",
            footer: footer(document, isChinese: isChinese))
        return page.render(content)
    }

    private func charts(_ document: ReportDocument, isChinese: Bool) -> String {
        var parts: [String] = []
        let title = isChinese ? "涨跌幅（%）" : "Change in percent"
        if let bars = ReportCharts.changes(document.quotes, title: title) {
            parts.append("<h3>\(HTMLWriter.escape(title))</h3>\n\(bars)")
        }
        let lines = document.histories.sorted { $0.key < $1.key }
            .compactMap { ReportCharts.history(symbol: $0.key, points: $0.value) }
            .prefix(ReportCharts.maxHistories)
        if !lines.isEmpty { parts.append("<h3>\(isChinese ? "价格走势" : "Price history")</h3>\n\(lines.joined())") }
        return parts.joined()
    }

    private func footer(_ document: ReportDocument, isChinese: Bool) -> [String] {
        let time = RFC3339.string(document.generatedAt)
        var lines = [isChinese ? "生成时间：\(time) · 模型：\(document.model)" : "Generated \(time) by \(document.model)"]
        if !document.sources.isEmpty {
            let list = document.sources.prefix(20).joined(separator: ", ")
            lines.append(isChinese ? "数据来源：\(list)" : "Data sources: \(list)")
        }
        return lines
    }
}
