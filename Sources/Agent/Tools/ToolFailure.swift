// A tool's failure as the model reads it: {"error": {"code", "detail"}}. Not an error of the turn: the turn goes on and
// the model decides what to do about it.
import DurableFiles
import TextFormats

public struct ToolFailure: Error, Sendable, Hashable {
    /// Stable snake_case.
    public var code: String
    /// What is wrong and what to do instead, for the model.
    public var detail: String

    public init(code: String, detail: String) {
        self.code = code
        self.detail = detail
    }

    var text: String { JSON.object(["error": ["code": .string(code), "detail": .string(detail)]]).text() }
}

extension ToolFailure {
    init(_ error: FieldError) {
        self.init(code: "invalid_arguments", detail: error.description)
    }

    /// - Parameter path: as the model wrote it; the real place of the workspace is nobody's business.
    init(_ error: FileError, path: String) {
        let shown = path.prefix(200)
        switch error.code {
        case .notFound:
            self.init(code: "not_found", detail: "there is no \"\(shown)\"; list_dir or find_files shows what there is")
        case .escapes, .symlink, .invalid, .permission, .crossDevice:
            self.init(
                code: "path_not_allowed",
                detail: "\"\(shown)\" is not inside the workspace; use a relative path without \"..\", links or files "
                    + "with several names")
        case .isDirectory:
            self.init(code: "is_folder", detail: "\"\(shown)\" is a folder; use list_dir")
        case .notDirectory:
            self.init(code: "not_a_folder", detail: "a part of \"\(shown)\" is a file, not a folder")
        case .tooLarge:
            self.init(code: "too_large", detail: "\"\(shown)\" is too large for this tool")
        case .nameTooLong:
            self.init(code: "invalid_arguments", detail: "the path is too long")
        case .noSpace:
            self.init(code: "no_space", detail: "the disk is full; nothing was changed. Tell the user")
        case .busy:
            self.init(code: "lock_timeout", detail: "\"\(shown)\" is being changed elsewhere; nothing was changed. Try again")
        default:
            self.init(
                code: "storage", detail: "\"\(shown)\" could not be used (\(error.code)); nothing more was changed")
        }
    }
}

extension ToolFailure {
    /// A report's turn asked for a change.
    static func readingOnly(_ action: String) -> ToolFailure {
        ToolFailure(code: "not_allowed", detail: "\(action) is not possible here: this turn may only read")
    }
}
