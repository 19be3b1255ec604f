// The API's view of stored reports. Reads the user's workspace; renders another form when one is asked for.
// Called on blocking threads, several at once.

import API
import DurableFiles
import Foundation
import MarketData
import Reports
import Tenants
import TextFormats
import WireTypes

struct ReportShelf: ReportLibrary {
    let workspaces: WorkspaceManager
    let renderer: ReportRenderer

    func text(of reportID: String, user: UserID, format: ReportFormat?) throws -> API.ReportText? {
        try text(of: reportID, user: user, format: format, stoppingIf: { false })
    }

    func text(
        of reportID: String, user: UserID, format: ReportFormat?, stoppingIf isGone: @escaping @Sendable () -> Bool
    ) throws -> API.ReportText? {
        let workspace = try workspaces.open(user)
        let found: (report: ReportFile, text: String)
        do throws(TenantError) {
            found = try workspace.readReport(reportID)
        } catch {
            if error.code == .reportNotFound { return nil }
            throw error
        }
        guard let format, format != found.report.format else {
            return API.ReportText(format: found.report.format, text: found.text)
        }
        return API.ReportText(format: format, text: try rendered(document(found, workspace), as: format, isGone))
    }

    private func rendered(
        _ document: ReportDocument, as format: ReportFormat, _ isGone: @escaping @Sendable () -> Bool
    ) throws(ProblemDetails) -> String {
        do throws(ReportError) {
            return try renderer.render(document, as: format, stoppingIf: isGone)
        } catch {
            switch error.code {
            case .stopped: throw ProblemDetails.clientGone
            case .tooLarge: throw ProblemDetails(status: 413, code: error.code.rawValue, detail: error.detail)
            case .template: throw ProblemDetails(status: 500, code: "internal", detail: error.detail)
            }
        }
    }

    func size(of reportID: String, user: UserID) throws -> Int? {
        let workspace = try workspaces.open(user)
        do throws(TenantError) {
            // Gone meanwhile: there is nothing to measure.
            let report = try workspace.report(reportID)
            return try? workspace.directory.status(report.path).size
        } catch {
            if error.code == .reportNotFound { return nil }
            throw error
        }
    }

    func stamp(of reportID: String, user: UserID, format: ReportFormat) -> API.ReportStamp? {
        let base = "\(Workspace.reports)/\(reportID)"
        guard let text = workspaces.standing("\(base).\(format.fileExtension)", of: user),
            let sidecar = workspaces.standing("\(base).json", of: user)
        else { return nil }
        return API.ReportStamp(text: text, sidecar: sidecar)
    }

    func remove(_ reportID: String, user: UserID) throws -> Bool {
        let workspace = try workspaces.open(user)
        let isThere: Bool
        do throws(TenantError) {
            _ = try workspace.report(reportID)
            isThere = true
        } catch {
            guard error.code == .reportNotFound else { throw error }
            isThere = false
        }
        try workspace.removeReport(reportID)
        return isThere
    }

    private func document(_ found: (report: ReportFile, text: String), _ workspace: Workspace) -> ReportDocument {
        let sidecar = found.report.sidecar
        let markdown = found.report.format == .markdown ? found.text : sidecar["markdown"]?.string ?? found.text
        return ReportDocument(
            title: sidecar["title"]?.string ?? found.report.id, markdown: markdown,
            generatedAt: sidecar["generated_at"]?.string.flatMap(RFC3339.date) ?? found.report.createdAt,
            model: sidecar["model"]?.string ?? "", language: sidecar["language"]?.string ?? "en",
            sources: sidecar["sources"]?.array?.compactMap(\.string) ?? [])
    }

    func reports(of user: UserID, limit: Int, after: String?) throws -> [ReportSummary] {
        let workspace = try workspaces.open(user)
        return try workspace.listReports(limit: limit, after: after) { file in
            ReportSummary(
                id: file.id, type: file.sidecar["type"]?.string ?? "custom", format: file.format,
                title: file.sidecar["title"]?.string, createdAt: file.createdAt,
                size: (try? workspace.directory.status(file.path).size) ?? 0)  // removed meanwhile: nothing to measure
        }
    }
}
