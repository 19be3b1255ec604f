// The service's own TLS: certificate and key from files, read again when they change, so that a renewed certificate takes no
// restart. Connections that are open keep what they began with. Any thread; the files are read at most once in ten seconds,
// during a handshake: small local files.
import Foundation
import NIOCore
import NIOSSL
import Synchronization

/// PEM files: the chain, the server's certificate first, and its key.
public struct CertificateFiles: Sendable, Hashable {
    public var certificate: String
    public var key: String

    public init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }
}

final class ServerCertificate: Sendable {
    private struct Loaded {
        var chain: [NIOSSLCertificate]
        var key: NIOSSLPrivateKey
        var readAt: ContinuousClock.Instant
    }

    private let files: CertificateFiles
    private let loaded: Mutex<Loaded>
    private static let lookEvery: Duration = .seconds(10)

    /// - Throws: when a file cannot be read or is no PEM.
    init(_ files: CertificateFiles) throws {
        self.files = files
        loaded = Mutex(try Self.read(files))
    }

    private static func read(_ files: CertificateFiles) throws -> Loaded {
        let chain = try NIOSSLCertificate.fromPEMFile(files.certificate)
        guard !chain.isEmpty else { throw NIOSSLError.failedToLoadCertificate }
        return Loaded(chain: chain, key: try NIOSSLPrivateKey(file: files.key, format: .pem), readAt: .now)
    }

    /// TLS 1.2 and later.
    func configuration() -> TLSConfiguration {
        let now = loaded.withLock { $0 }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: now.chain.map { .certificate($0) }, privateKey: .privateKey(now.key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        configuration.sslContextCallback = { [self] _, promise in promise.succeed(current()) }
        return configuration
    }

    /// While one of two files has been renewed and the other not, or a file cannot be read, the old pair goes on.
    private func current() -> NIOSSLContextConfigurationOverride {
        let pair = loaded.withLock { loaded -> Loaded in
            guard ContinuousClock.now - loaded.readAt > Self.lookEvery else { return loaded }
            loaded.readAt = .now
            if let new = try? Self.read(files), Self.fits(new) { loaded = new }
            return loaded
        }
        var answer = NIOSSLContextConfigurationOverride()
        answer.certificateChain = pair.chain.map { .certificate($0) }
        answer.privateKey = .privateKey(pair.key)
        return answer
    }

    /// Whether the key is the certificate's.
    private static func fits(_ pair: Loaded) -> Bool {
        let configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: pair.chain.map { .certificate($0) }, privateKey: .privateKey(pair.key))
        return (try? NIOSSLContext(configuration: configuration)) != nil
    }
}
