// Where a path leads when all links in it are followed: for the folders an operator names, never for what is in them.
// Any thread.

import Glibc

public enum RealPath {
    /// - Returns: nil when nothing is there, or it cannot be asked about.
    public static func of(_ path: String) -> String? {
        guard !path.utf8.contains(0), let buffer = realpath(path, nil) else { return nil }
        defer { free(buffer) }
        return String(validatingCString: buffer)
    }
}
