// swift-tools-version: 6.1
// The least a Hummingbird server can do: what the service's polls are measured against. A package of its own, so that the
// queue's benchmarks build without the web stack.
import PackageDescription

let package = Package(
    name: "bare-hello",
    platforms: [.macOS(.v15)],
    dependencies: [.package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1")],
    targets: [
        .executableTarget(
            name: "bare-hello", dependencies: [.product(name: "Hummingbird", package: "hummingbird")],
            swiftSettings: [.swiftLanguageMode(.v6)])
    ])
