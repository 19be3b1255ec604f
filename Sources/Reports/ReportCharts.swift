// Inline SVG drawings of a report's quotes: change in percent as bars, price histories as lines. Pure, any thread.
// Numbers are drawn, never made up: what has no change or no history is not drawn. Everything written is a literal of
// this file, a number formatted here, or a text through `HTMLWriter.escape`. Colours come from the page's classes.
import Foundation
import MarketData
import TextFormats

enum ReportCharts {
    /// Bars drawn at most, the largest changes first; histories drawn at most, points per line.
    static let maxBars = 24
    static let maxHistories = 12
    static let maxPoints = 400

    private static let width = 640.0

    /// Horizontal bars around a zero line; nil when no quote has a change in percent.
    static func changes(_ quotes: [Quote], title: String) -> String? {
        let all = quotes.compactMap { quote in quote.changePercent.map { (quote.symbol, $0) } }
        let bars = all.sorted { (abs($0.1), $1.0) > (abs($1.1), $0.0) }.prefix(maxBars).sorted { $0.1 > $1.1 }
        guard let largest = bars.map({ abs($0.1) }).max() else { return nil }
        let (rowHeight, labelWidth, valueWidth) = (24.0, 120.0, 76.0)
        let half = (width - labelWidth - 2 * valueWidth) / 2
        let zero = labelWidth + valueWidth + half
        let height = rowHeight * Double(bars.count) + 8
        var svg = open(height: height, title: title)
        for (row, bar) in bars.enumerated() {
            let top = 4 + rowHeight * Double(row)
            let length = largest > 0 ? abs(bar.1) / largest * half : 0
            let left = bar.1 < 0 ? zero - length : zero
            let kind = bar.1 < 0 ? "down" : bar.1 > 0 ? "up" : "flat"
            let middle = number(top + rowHeight / 2 + 4)
            let valueX = bar.1 < 0 ? left - 6 : left + length + 6
            let anchor = bar.1 < 0 ? "end" : "start"
            svg += "<text x=\"0\" y=\"\(middle)\">\(HTMLWriter.escape(shortened(bar.0)))</text>"
            svg += "<rect class=\"\(kind)\" x=\"\(number(left))\" y=\"\(number(top + 4))\" "
            svg += "width=\"\(number(max(length, 1)))\" height=\"\(number(rowHeight - 8))\" rx=\"2\"/>"
            svg += "<text class=\"value\" x=\"\(number(valueX))\" y=\"\(middle)\" text-anchor=\"\(anchor)\">"
            svg += "\(percent(bar.1))</text>\n"
        }
        svg += "<line class=\"axis\" x1=\"\(number(zero))\" y1=\"0\" x2=\"\(number(zero))\" y2=\"\(number(height))\"/>"
        return svg + "</svg>\n"
    }

    /// One line chart; nil with fewer than two points.
    static func history(symbol: String, points: [PricePoint]) -> String? {
        let drawn = Array(points.suffix(maxPoints))
        guard drawn.count >= 2, let first = drawn.first, let last = drawn.last,
            let low = drawn.map(\.close).min(), let high = drawn.map(\.close).max()
        else { return nil }
        let (top, bottom, right) = (28.0, 116.0, width - 90)
        let span = last.time.timeIntervalSince(first.time)
        let range = high > low ? high - low : 1
        let path = drawn.map { point -> String in
            let x = span > 0 ? point.time.timeIntervalSince(first.time) / span * right : 0
            let y = high > low ? bottom - (point.close - low) / range * (bottom - top) : (top + bottom) / 2
            return "\(number(x)),\(number(y))"
        }.joined(separator: " ")
        let days = "\(day(first.time)) – \(day(last.time))"
        let name = HTMLWriter.escape(shortened(symbol))
        var svg = open(height: 140, title: "\(symbol) \(days)")
        svg += "<text class=\"name\" x=\"0\" y=\"14\">\(name)</text>"
        svg += "<text class=\"value\" x=\"\(number(right))\" y=\"14\" text-anchor=\"end\">\(days)</text>"
        svg += "<polyline class=\"\(last.close < first.close ? "down" : "up")\" points=\"\(path)\"/>"
        let lastY = high > low ? bottom - (last.close - low) / range * (bottom - top) : (top + bottom) / 2
        svg += "<text class=\"value\" x=\"\(number(right + 8))\" y=\"\(number(lastY + 4))\">\(plain(last.close))</text>"
        svg += "<text class=\"value\" x=\"0\" y=\"134\">min \(plain(low)) · max \(plain(high))</text>"
        return svg + "</svg>\n"
    }

    private static func open(height: Double, title: String) -> String {
        "<svg viewBox=\"0 0 \(number(width)) \(number(height))\" "
            + "role=\"img\"><title>\(HTMLWriter.escape(title))</title>\n"
    }

    private static func shortened(_ text: String) -> String { text.count > 14 ? "\(text.prefix(13))…" : text }

    private static func day(_ date: Date) -> String { String(RFC3339.string(date).prefix(10)) }

    /// A coordinate: one decimal, always finite.
    private static func number(_ value: Double) -> String {
        guard value.isFinite else { return "0" }
        return plain((value * 10).rounded() / 10)
    }

    /// The number as it was given, without exponent where it is of usual size.
    static func plain(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }

    private static func percent(_ value: Double) -> String { "\(value > 0 ? "+" : "")\(plain(value))%" }
}
