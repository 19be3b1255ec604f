// swift-tools-version: 6.1
// Benchmarks of the queue itself. A package of its own, so that nobody who builds nanobot builds it.
// NANOBOT_ONLY=Workers in the environment keeps the web stack out of the build; Benchmarks/run.sh sets it.
import PackageDescription

let package = Package(
    name: "nanobot-benchmarks",
    dependencies: [
        .package(name: "nanobot", path: ".."),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .executableTarget(
            name: "spool-bench",
            dependencies: [
                .product(name: "Spool", package: "nanobot"), .product(name: "Workers", package: "nanobot"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)])
    ])
