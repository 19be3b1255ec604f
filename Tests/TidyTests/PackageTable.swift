// The table of rooms in Package.swift, read as text: the same words a person reads.

import Foundation

enum PackageTable {
    static let openToAll: Set = [
        "Foundation", "FoundationEssentials", "Synchronization", "Dispatch",
    ]
    /// Rooms that speak to the kernel (docs/ARCHITECTURE.md).
    static let glibcUsers: Set = ["DurableFiles", "Subprocesses", "Workers", "HTTPTransport", "nanobot"]

    private static let productVariables = [
        "logging": "Logging", "metrics": "Metrics", "crypto": "Crypto", "cryptoExtras": "CryptoExtras", "yams": "Yams", "mustache": "Mustache",
        "hummingbird": "Hummingbird", "hummingbirdCore": "HummingbirdCore", "hummingbirdTLS": "HummingbirdTLS", "nioSSL": "NIOSSL",
        "nioHTTPTypes": "NIOHTTPTypes", "lifecycle": "ServiceLifecycle", "unixSignals": "UnixSignals", "arguments": "ArgumentParser",
        "nioCore": "NIOCore", "nioPosix": "NIOPosix", "nioHTTP1": "NIOHTTP1", "httpTypes": "HTTPTypes",
    ]

    /// What each room may import: own targets and package products.
    static func rooms() throws -> [String: Set<String>] {
        let text = try SourceTree.text("Package.swift")
        guard let start = text.range(of: "let rooms: [Room] = ["),
            let end = text.range(of: "\n]\n", range: start.upperBound..<text.endIndex)
        else { return [:] }
        var rooms: [String: Set<String>] = [:]
        for entry in String(text[start.upperBound..<end.lowerBound]).components(separatedBy: "Room(").dropFirst() {
            guard let name = entry.firstMatch(of: /name: "([A-Za-z]+)"/)?.1 else { continue }
            var allowed: Set<String> = []
            if let imports = entry.firstMatch(of: /imports: \[([^\]]*)\]/)?.1 {
                for match in imports.matches(of: /"([A-Za-z]+)"/) { allowed.insert(String(match.1)) }
            }
            if let products = entry.firstMatch(of: /products: \[([^\]]*)\]/)?.1 {
                for match in products.matches(of: /[A-Za-z][A-Za-z0-9]*/) {
                    allowed.insert(productVariables[String(match.0)] ?? String(match.0))
                }
            }
            rooms[String(name)] = allowed
        }
        return rooms
    }
}
