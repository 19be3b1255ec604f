// Where the viewers' files come from: the PyPI package drf-spectacular-sidecar, unpacked.

import DurableFiles

/// Finds the documentation assets below a folder.
public enum DocumentationFolder {
    /// Where the package keeps its files.
    private static let inPackage = "drf_spectacular_sidecar/static/drf_spectacular_sidecar"
    /// Largest file, in bytes; the largest of 2026.10 has 1.6 MB.
    private static let maxBytes = 16 << 20

    /// What to give as `APIOptions.documentationAsset`.
    ///
    /// - Parameter path: the folder the package was unpacked into, or the static folder itself.
    /// - Returns: nil when there are no such files: /docs and /redoc are plain pages then. The reader blocks.
    public static func reader(_ path: String) -> (@Sendable (String) -> [UInt8]?)? {
        for candidate in ["\(path)/\(inPackage)", path] {
            // A folder that is not there, or not to be read, is the same as none: documentation is no reason to fail.
            guard let folder = try? SealedDirectory(path: candidate), folder.exists("swagger-ui-dist") else { continue }
            return { name in try? folder.read(name, maxBytes: maxBytes) }
        }
        return nil
    }
}
