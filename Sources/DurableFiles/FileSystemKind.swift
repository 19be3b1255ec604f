// Which file system a path is on, as far as that decides how things are made durable. Any thread.

import CLinux

public enum FileSystemKind: Sendable {
    /// syncfs writes all that was changed and reports what failed: local file systems of the Linux kernel.
    case local(String)
    /// Anything else: FUSE, network and cluster file systems, overlays. There syncfs may return before the other side
    /// has stored anything.
    case other

    /// Magic numbers of statfs(2), from linux/magic.h and the file systems' own headers.
    private static let known: [Int: String] = [
        0xEF53: "ext4", 0x5846_5342: "xfs", 0x9123_683E: "btrfs", 0xF2F5_2010: "f2fs", 0x2FC1_2FC1: "zfs",
        0x0102_1994: "tmpfs",
    ]

    /// - Returns: `.other` also when the path cannot be asked about.
    public static func of(_ path: String) -> FileSystemKind {
        known[Int(nb_file_system_magic(path))].map { .local($0) } ?? .other
    }
}
