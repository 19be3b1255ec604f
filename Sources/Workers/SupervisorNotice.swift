// Tells systemd how the process is doing (sd_notify(3): a datagram to $NOTIFY_SOCKET). Any thread.
// Without a supervisor, or when it does not listen, nothing happens.

import Glibc

public enum SupervisorNotice {
    public static let ready = "READY=1"
    public static let stopping = "STOPPING=1"

    /// - Parameters:
    ///   - message: one or more "NAME=value" lines.
    ///   - socketPath: the value of NOTIFY_SOCKET; a leading "@" means the abstract namespace.
    /// - Returns: whether it was sent.
    @discardableResult
    public static func send(_ message: String, to socketPath: String?) -> Bool {
        guard let socketPath, !socketPath.isEmpty else { return false }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(socketPath.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let text = Array(message.utf8)
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, text, text.count, 0, $0, length)
            }
        }
        return sent == text.count
    }
}
