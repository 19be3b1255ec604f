// What a workspace stores beside the config: reports, usage, texts; and that nothing leads out of it.
import DurableFiles
import Foundation
import TextFormats
import Testing

@testable import Tenants

@Suite struct WorkspaceTests {
    let house: TenantHouse
    let workspace: Workspace

    init() throws {
        house = try TenantHouse()
        try house.manager().create(try user("alice"))
        workspace = try house.manager().open(try user("alice"))
    }

    @Test("a report comes back with its text, in every format", arguments: [
        (nil, ReportFormat.markdown, "reports/r1.md"), ("md", .markdown, "reports/r1.md"),
        ("html", .html, "reports/r1.html"), ("txt", .text, "reports/r1.txt"), ("json", .json, "reports/r1.report.json"),
    ] as [(String?, ReportFormat, String)])
    func reports(_ fileExtension: String?, _ format: ReportFormat, _ path: String) throws {
        try workspace.writeReport(
            id: "r1", text: "# 报告", fileExtension: fileExtension,
            sidecar: ["title": "T", "id": "forged", "created_at": "2026-11-24T09:00:00Z"])
        let (report, text) = try workspace.readReport("r1")
        #expect(text == "# 报告")
        #expect(report.id == "r1" && report.format == format && report.path == path)
        #expect(report.sidecar["title"] == "T" && report.sidecar["id"] == "r1")
        #expect(RFC3339.string(report.createdAt) == "2026-11-24T09:00:00.000Z")
        #expect(try house.text("alice/\(path)") == "# 报告")
        #expect(try JSON.parse(try house.text("alice/reports/r1.json"))["format"] == .string(format.rawValue))
        #expect(try workspace.listReports(limit: 10).map(\.id) == ["r1"])
    }

    @Test("reports are listed newest first, page by page; texts without a sidecar are not reports")
    func listing() throws {
        for number in [3, 1, 5, 2, 4] {
            try workspace.writeReport(id: "r\(number)", text: "", fileExtension: "json", sidecar: [:])
        }
        try workspace.writeText("reports/r9.md", "cut short by a crash")
        try workspace.writeText("reports/r0.json", "{spoilt by hand")
        #expect(try workspace.listReports(limit: 3).map(\.id) == ["r5", "r4", "r3"])
        #expect(try workspace.listReports(limit: 3, after: "r3").map(\.id) == ["r2", "r1", "r0"])
        #expect(try workspace.listReports(limit: 3, after: "r0").isEmpty)
        #expect { try self.workspace.readReport("r9") } throws: { ($0 as? TenantError)?.code == .reportNotFound }
    }

    @Test("a report id cannot be a path", arguments: ["", "../x", "a/b", ".x", "a.b", "-x", "a\0b", "é"])
    func reportIDs(_ id: String) {
        #expect { try self.workspace.writeReport(id: id, text: "", fileExtension: nil, sidecar: [:]) } throws: {
            ($0 as? TenantError)?.field == "report_id"
        }
        #expect(throws: TenantError.self) { try self.workspace.readReport(id) }
    }

    @Test("nothing in a workspace leads out of it")
    func sealed() throws {
        try house.manager().create(try user("bob"))
        try FileManager.default.createSymbolicLink(
            atPath: "\(workspace.path)/memory/out", withDestinationPath: "\(house.root)/bob")
        for path in ["../bob/USER.md", "/etc/passwd", "memory/../../bob/USER.md", "memory/out/USER.md"] {
            #expect(throws: TenantError.self) { try self.workspace.readText(path) }
            #expect(throws: TenantError.self) { try self.workspace.writeText(path, "x") }
        }
        #expect(try house.text("bob/USER.md") != "x")
        #expect(try house.manager().info(try user("alice")).files.allSatisfy { !$0.contains("out") })
    }

    @Test("a text that is not there is nil, one that is comes back")
    func texts() throws {
        #expect(try workspace.readText("notes/a.md") == nil)
        try workspace.writeText("notes/a.md", "hé")
        #expect(try workspace.readText("notes/a.md") == "hé")
    }

    @Test("usage comes back in order, page by page, without torn or foreign lines")
    func usage() throws {
        #expect(try workspace.usage().entries.isEmpty)
        for number in 1...3 { try workspace.appendUsage(["id": "j\(number)", "n": JSON(number)]) }
        try workspace.directory.append(Workspace.usage, Array("no json\n[1]\n{\"id\":\"torn\",\"n\"".utf8))
        #expect(try workspace.usage().entries.map { $0["n"]?.int } == [1, 2, 3])
        // The next line stands for itself, not glued to the torn one.
        try workspace.appendUsage(["id": "j4", "n": 4])
        let first = try workspace.usage(limit: 2)
        #expect(first.entries.map { $0["n"]?.int } == [1, 2])
        let second = try workspace.usage(from: try #require(first.next))
        #expect(second.entries.map { $0["n"]?.int } == [3, 4] && second.next == nil)
    }

    @Test("usage said twice by a resumed job counts once")
    func usageTwice() throws {
        for _ in 0..<2 { try workspace.appendUsage(["id": "job:1", "cost_usd": 0.5]) }
        for _ in 0..<2 { try workspace.appendUsage(["cost_usd": 0.25]) }
        #expect(try workspace.usage().entries.count == 3)
    }

    @Test("threads append usage without losing or mixing lines, beyond one chunk")
    func usageThreads() throws {
        let padding = String(repeating: "x", count: 5_000)
        try onThreads(4) { [workspace] index in
            for turn in 0..<20 { try workspace.appendUsage(["id": "\(index)-\(turn)", "padding": .string(padding)]) }
        }
        let entries = try workspace.usage().entries
        #expect(Set(entries.compactMap { $0["id"]?.string }).count == 80 && entries.count == 80)
    }

    @Test("disk usage counts the bytes of all files")
    func diskUsage() throws {
        let before = try workspace.diskUsage()
        try workspace.writeText("data/x/y.csv", String(repeating: "x", count: 1_000))
        let after = try workspace.diskUsage()
        #expect(after.bytes - before.bytes == 1_000 && after.files - before.files == 1 && after.isComplete)
    }
}
