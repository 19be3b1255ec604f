// The path rules of the file tools: those of `WorkspaceFiles`, in words for the model. Pure.
import Foundation
import Tenants
import TextFormats

enum WorkspacePath {
    /// Characters of a path argument.
    static let maxLength = WorkspaceFiles.maximumPath

    /// The path without redundant parts; "" is the root. `..` and absolute paths are left for the kernel to refuse, but
    /// are refused here too, so that the model reads what is wrong with them.
    static func normal(_ path: String) throws(ToolFailure) -> String {
        do throws(WorkspaceFileError) {
            return try WorkspaceFiles.normal(path)
        } catch {
            throw ToolFailure(code: error.code.rawValue, detail: error.detail)
        }
    }

    /// - Throws: unless the file tools may write there.
    static func writable(_ path: String) throws(ToolFailure) -> String {
        do throws(WorkspaceFileError) {
            return try WorkspaceFiles.writable(path)
        } catch {
            switch error.code {
            case .notAFile: throw ToolFailure(code: "invalid_arguments", detail: "path: must name a file")
            case .protected:
                throw ToolFailure(
                    code: error.code.rawValue,
                    detail: error.detail + "; use the tools watchlist, preferences, schedule and memory for what they keep, "
                        + "and another path for notes")
            default: throw ToolFailure(code: error.code.rawValue, detail: error.detail)
            }
        }
    }
}
