// A listener on every address of this machine that counts who connects, and answers each with one fixed page.
import Foundation
import Glibc
import Synchronization

final class CountingListener: Sendable {
    let port: Int
    private let listener: Int32
    private let count = Mutex(0)

    /// Listens on [::] for IPv4 too, or on 0.0.0.0 where the machine has no IPv6.
    init() throws {
        var descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var off: Int32 = 0
        setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off, socklen_t(MemoryLayout<Int32>.size))
        var six = sockaddr_in6()
        six.sin6_family = sa_family_t(AF_INET6)
        var bound = Self.bind(descriptor, &six)
        if descriptor < 0 || bound != 0 {
            if descriptor >= 0 { close(descriptor) }
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var four = sockaddr_in()
            four.sin_family = sa_family_t(AF_INET)
            bound = Self.bind(descriptor, &four)
        }
        guard descriptor >= 0, bound == 0, listen(descriptor, 128) == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        listener = descriptor
        var place = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        withUnsafeMutablePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &size) }
        }
        // The port stands at the same place in both kinds of address.
        port = Int(UInt16(bigEndian: place.sin6_port))
        Thread.detachNewThread { [self] in serve() }
    }

    /// Closing alone would leave the thread in accept.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    var accepted: Int { count.withLock { $0 } }

    private func serve() {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nINNER"
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else {
                if errno == EINTR { continue }
                close(listener)
                return
            }
            count.withLock { $0 += 1 }
            var request = [UInt8](repeating: 0, count: 4_096)
            _ = recv(client, &request, request.count, 0)
            _ = answer.withCString { send(client, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
            close(client)
        }
    }

    private static func bind<Address>(_ descriptor: Int32, _ address: inout Address) -> Int32 {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }
}
