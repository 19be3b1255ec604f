// A user's reports: the text in reports/<id>.<extension>, what is known about it in reports/<id>.json. Any thread.
// Commit point: the sidecar's rename. A text without a sidecar is a report cut short, and no list shows it.
import DurableFiles
import Foundation
import TextFormats

/// One finished report, as its sidecar tells.
public struct ReportFile: Sendable, Hashable {
    public var id: String
    public var format: ReportFormat
    public var createdAt: Date
    /// The text's path in the workspace, "reports/<id>.md".
    public var path: String
    /// Everything in the sidecar, with what the writer put there (title, type, model, sources …).
    public var sidecar: JSONObject
}

extension ReportFormat {
    /// What follows "<id>." in the name of the text. A JSON report leaves "<id>.json" to the sidecar.
    public var fileExtension: String {
        switch self {
        case .markdown: "md"
        case .html: "html"
        case .json: "report.json"
        case .text: "txt"
        }
    }

    /// The format of a text with that extension; "json" is taken for what it means.
    public init?(fileExtension: String) {
        let name = fileExtension == "json" ? ReportFormat.json.fileExtension : fileExtension
        guard let format = Self.allCases.first(where: { $0.fileExtension == name }) else { return nil }
        self = format
    }
}

extension Workspace {
    /// Longest report id, in characters.
    public static let maximumReportIDLength = 128
    private static let maximumSidecarBytes = 1 << 20

    /// Stores a report: the text and the sidecar, each atomic, both durable when this returns. The text gets its name first.
    /// The same id again replaces it.
    ///
    /// - Parameters:
    ///   - id: letters, digits, "-" and "_"; ids made later must sort after earlier ones, as UUIDv7 do.
    ///   - fileExtension: "md" (nil too), "html", "txt" or "json".
    ///   - sidecar: an object; `id`, `format`, `path` and, unless given, `created_at` are set here.
    @discardableResult
    public func writeReport(
        id: String, text: String, fileExtension: String?, sidecar: JSON
    ) throws(TenantError) -> ReportFile {
        try Self.checkReportID(id)
        guard let format = ReportFormat(fileExtension: fileExtension ?? ReportFormat.markdown.fileExtension) else {
            throw TenantError(
                .invalidField, "A report's file extension is one of md, html, txt, json.", field: "file_extension")
        }
        let path = Self.reportPath(id, format.fileExtension)
        var members: JSONObject = ["id": .string(id), "format": .string(format.rawValue), "path": .string(path)]
        for (key, value) in sidecar.object ?? [:] where members[key] == nil { members[key] = value }
        let created = members["created_at"]?.string.flatMap(RFC3339.date)
        let report = ReportFile(id: id, format: format, createdAt: created ?? now(), path: path, sidecar: members)
        members["created_at"] = .string(RFC3339.string(report.createdAt))
        let sidecarBytes = JSON.object(members).bytes(pretty: true) + [UInt8(ascii: "\n")]
        guard sidecarBytes.count <= Self.maximumSidecarBytes else {
            throw TenantError(
                .invalidField, "A report's sidecar has at most \(Self.maximumSidecarBytes >> 20) MiB.",
                field: "sidecar")
        }
        let contents = [
            (name: "\(id).\(format.fileExtension)", bytes: try textBytes(text, for: path)),
            (name: "\(id).json", bytes: sidecarBytes),
        ]
        do {
            try directory.write(contents, in: Self.reports)
        } catch {
            throw TenantError(error, doing: "store the report \(id) of \"\(user)\"")
        }
        return report
    }

    /// What is known about a report. - Throws: `.reportNotFound` when it does not exist or was cut short.
    public func report(_ id: String) throws(TenantError) -> ReportFile {
        try Self.checkReportID(id)
        let path = Self.reportPath(id, "json")
        do {
            return sidecar(try directory.read(path, maxBytes: Self.maximumSidecarBytes), id: id)
        } catch {
            if error.code == .notFound { throw Self.noReport(id) }
            throw TenantError(error, doing: "read \(path) of \"\(user)\"")
        }
    }

    /// A report with its text. - Throws: `.reportNotFound` when it does not exist, was cut short or lost its text.
    public func readReport(_ id: String) throws(TenantError) -> (report: ReportFile, text: String) {
        let report = try report(id)
        guard let text = try readText(report.path) else { throw Self.noReport(id) }
        return (report, text)
    }

    /// Removes a report; one that is not there is no error. Commit point: the sidecar goes first.
    public func removeReport(_ id: String) throws(TenantError) {
        try Self.checkReportID(id)
        for fileExtension in ["json"] + ReportFormat.allCases.map(\.fileExtension) {
            do {
                try directory.remove(Self.reportPath(id, fileExtension))
            } catch {
                if error.code == .notFound { continue }
                throw TenantError(error, doing: "remove the report \(id) of \"\(user)\"")
            }
        }
    }

    /// The ids of all reports, newest first: one listing, nothing is read.
    public func reportIDs() throws(TenantError) -> [String] {
        do {
            return try directory.list(Self.reports).lazy.filter { $0.kind == .regular }
                .compactMap { Self.reportID(ofSidecar: $0.name) }.sorted(by: >)
        } catch {
            if error.code == .notFound { return [] }
            throw TenantError(error, doing: "list the reports of \"\(user)\"")
        }
    }

    /// Reports newest first. - Parameters: `limit` at least 1; `after` the last id of the page before.
    public func listReports(limit: Int, after: String? = nil) throws(TenantError) -> [ReportFile] {
        try listReports(limit: limit, after: after) { $0 }
    }

    /// - Parameter row: what is kept of each: sidecars may be large.
    public func listReports<Row>(
        limit: Int, after: String?, _ row: (ReportFile) -> Row
    ) throws(TenantError) -> [Row] {
        var page: [Row] = []
        for id in try reportIDs() where after.map({ id < $0 }) ?? true {
            guard page.count < limit else { break }
            do {
                page.append(row(try report(id)))
            } catch {
                // Removed since it was listed.
                if error.code == .reportNotFound { continue }
                throw error
            }
        }
        return page
    }

    // MARK: - Names and sidecars

    private static func reportPath(_ id: String, _ fileExtension: String) -> String {
        "\(reports)/\(id).\(fileExtension)"
    }

    private static func reportID(ofSidecar name: String) -> String? {
        guard name.hasSuffix(".json") else { return nil }
        let id = String(name.dropLast(".json".count))
        return isReportID(id) ? id : nil
    }

    private static func isReportID(_ id: String) -> Bool {
        guard let first = id.utf8.first, first != UInt8(ascii: "-"), id.utf8.count <= maximumReportIDLength else {
            return false
        }
        return id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }

    private static func checkReportID(_ id: String) throws(TenantError) {
        guard isReportID(id) else {
            throw TenantError(
                .invalidField, "A report id has 1 to \(maximumReportIDLength) letters, digits, \"-\" and \"_\".",
                field: "report_id")
        }
    }

    private static func noReport(_ id: String) -> TenantError {
        TenantError(.reportNotFound, "There is no report \"\(id)\".")
    }

    /// A sidecar spoilt by hand costs what it said, not the report: format and time are taken from the files then.
    private func sidecar(_ bytes: [UInt8], id: String) -> ReportFile {
        let members = (try? JSON.parse(bytes))?.object ?? [:]  // unreadable: see above
        let said = members["format"]?.string.flatMap(ReportFormat.init(rawValue:))
        let format = said ?? ReportFormat.allCases.first {
            directory.exists(Self.reportPath(id, $0.fileExtension))
        } ?? .markdown
        let created = members["created_at"]?.string.flatMap(RFC3339.date)
        let modified = try? directory.status(Self.reportPath(id, "json")).modified  // gone: any time will do
        return ReportFile(
            id: id, format: format, createdAt: created ?? modified ?? now(),
            path: Self.reportPath(id, format.fileExtension), sidecar: members)
    }
}
