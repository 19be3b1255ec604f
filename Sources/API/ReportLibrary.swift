// Where the API gets finished reports from. Implemented in Runtime over workspaces and renderers.

import DurableFiles
import Foundation
import Tenants
import TextFormats

/// A finished report's text in one format.
public struct ReportText: Sendable, Hashable {
    /// markdown, html, json or text.
    public var format: ReportFormat
    public var text: String

    public init(format: ReportFormat, text: String) {
        self.format = format
        self.text = text
    }
}

/// One row of a user's list of reports.
public struct ReportSummary: Sendable, Hashable {
    public var id: String
    /// daily, weekly, monthly, custom.
    public var type: String
    public var format: ReportFormat
    public var title: String?
    public var createdAt: Date
    /// Bytes.
    public var size: Int

    public init(id: String, type: String, format: ReportFormat, title: String?, createdAt: Date, size: Int) {
        self.id = id
        self.type = type
        self.format = format
        self.title = title
        self.createdAt = createdAt
        self.size = size
    }
}

/// What a report's files look like from outside: as long as it is the same, so is what they hold.
public struct ReportStamp: Sendable, Hashable {
    var text: FileStatus
    var sidecar: FileStatus

    public init(text: FileStatus, sidecar: FileStatus) {
        self.text = text
        self.sidecar = sidecar
    }
}

/// Called on BlockingBridge's threads, several at once; may block on files. `stamp` is asked on event loops too.
public protocol ReportLibrary: Sendable {
    /// - Parameter format: nil: as it was asked for.
    /// - Returns: nil when the user has no such report (any more).
    /// - Throws: TenantError
    func text(of reportID: String, user: UserID, format: ReportFormat?) throws -> ReportText?
    /// The same for a reader who may leave meanwhile.
    /// - Parameter isGone: asked from time to time while a long text is rendered; the work ends when the reader has gone.
    /// - Throws: TenantError; ProblemDetails 413 `report_too_large` for a text that is longer than what is rendered, and 499
    ///   `client_gone`
    func text(
        of reportID: String, user: UserID, format: ReportFormat?, stoppingIf isGone: @escaping @Sendable () -> Bool
    ) throws -> ReportText?
    /// Bytes of its text, as it was asked for; nil as of `text`.
    /// - Throws: TenantError
    func size(of reportID: String, user: UserID) throws -> Int?
    /// Two stats; nil: nothing may be kept of it (a file is not there, or other hosts write to this file system).
    func stamp(of reportID: String, user: UserID, format: ReportFormat) -> ReportStamp?
    /// Removes the report's files, and what an earlier removal that was cut short has left of them.
    /// - Returns: false when there was no such report.
    /// - Throws: TenantError
    func remove(_ reportID: String, user: UserID) throws -> Bool
    /// Newest first.
    /// - Parameters:
    ///   - limit: 1…201
    ///   - after: the id of the last report of the page before; nil from the start.
    /// - Throws: TenantError
    func reports(of user: UserID, limit: Int, after: String?) throws -> [ReportSummary]
}

extension ReportLibrary {
    /// For libraries that render nothing.
    public func text(
        of reportID: String, user: UserID, format: ReportFormat?, stoppingIf isGone: @escaping @Sendable () -> Bool
    ) throws -> ReportText? {
        try text(of: reportID, user: user, format: format)
    }
}
