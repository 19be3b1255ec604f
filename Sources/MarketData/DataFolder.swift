// Finds and reads the data files of one kind in a workspace's `data/`. The only place of this room that touches files,
// by way of SealedDirectory, so nothing outside the workspace can be read. Any thread; blocking.
import DurableFiles
import Foundation

struct DataFolder: Sendable {
    static let name = "data"
    private static let endings = [".csv", ".tsv", ".json"]

    let directory: SealedDirectory
    /// What a file's name must begin with, in lower case.
    let beginnings: [String]

    func forEachFile(_ body: (_ name: String, _ path: String, Result<[UInt8], MarketDataError>) -> Void) {
        let names: [String]
        do {
            names = try directory.list(Self.name).filter { $0.kind == .regular && accepts($0.name) }.map(\.name)
        } catch {
            // No folder is no data, which the answer says anyway; anything else is worth telling.
            if error.code != .notFound { body(Self.name, Self.name, .failure(unreadable(Self.name, error))) }
            return
        }
        for (index, name) in names.enumerated() {
            let path = "\(Self.name)/\(name)"
            guard index < DataLimits.files else {
                let detail = "not read: more than \(DataLimits.files) files of this kind"
                body(name, path, .failure(MarketDataError(code: .tooLarge, file: path, detail: detail)))
                return
            }
            do {
                body(name, path, .success(try directory.read(path, maxBytes: DataLimits.fileBytes)))
            } catch {
                body(name, path, .failure(unreadable(path, error)))
            }
        }
    }

    private func accepts(_ name: String) -> Bool {
        let lower = name.lowercased()
        return Self.endings.contains { lower.hasSuffix($0) } && beginnings.contains { lower.hasPrefix($0) }
    }

    private func unreadable(_ path: String, _ error: FileError) -> MarketDataError {
        guard error.code == .tooLarge else {
            return MarketDataError(code: .unreadable, file: path, detail: "cannot be read: \(error)")
        }
        let detail = "not read: larger than \(DataLimits.fileBytes >> 20) MiB; split it or keep only recent rows"
        return MarketDataError(code: .tooLarge, file: path, detail: detail)
    }
}
