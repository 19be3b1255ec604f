// swift-tools-version: 6.1
// The list of names in `rooms` is the map of the house; docs/ARCHITECTURE.md explains it.
// NANOBOT_ONLY=Spool,Jobs in the environment leaves out every target those do not need
// (packages too): a quick build of one part, and the way sanitizers run without the web stack.
import PackageDescription

struct Room {
    var name: String
    var imports: [String] = []
    var products: [Target.Dependency] = []
    var isC = false
    var hasTests = true
    var resources: [Resource] = []
}

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let rooms: [Room] = [
    Room(name: "CCurl", products: ["libcurl"], isC: true, hasTests: false),
    Room(name: "CLinux", isC: true, hasTests: false),
    Room(name: "TextFormats"),
    Room(name: "WebText", imports: ["TextFormats"]),
    Room(name: "DurableFiles", imports: ["CLinux"]),
    Room(name: "HTTPTransport", imports: ["CCurl"]),
    Room(name: "Subprocesses", imports: ["CLinux"]),
    Room(name: "Spool", imports: ["TextFormats", "DurableFiles"]),
    Room(name: "Workers", imports: ["TextFormats", "DurableFiles", "Spool"], products: [logging, metrics]),
    Room(name: "Tenants", imports: ["TextFormats", "DurableFiles"], products: [crypto]),
    Room(name: "Identity", imports: ["TextFormats", "DurableFiles", "Tenants"], products: [crypto, cryptoExtras]),
    Room(
        name: "Providers", imports: ["TextFormats", "HTTPTransport"], products: [logging],
        resources: [.embedInCode("Assets/model-windows.json")]),
    Room(name: "MCP", imports: ["TextFormats", "HTTPTransport", "Subprocesses"]),
    Room(name: "MarketData", imports: ["TextFormats", "WebText", "HTTPTransport", "DurableFiles"]),
    Room(
        name: "Agent",
        imports: [
            "TextFormats", "WebText", "Providers", "HTTPTransport", "Subprocesses", "MCP", "MarketData", "Tenants",
            "DurableFiles",
        ],
        products: [logging, yams],
        resources: [
            .embedInCode("Assets/report-writing.md"), .embedInCode("Assets/watchlist-research.md"),
            .embedInCode("Assets/reminders.md"),
        ]),
    Room(name: "Reports", imports: ["TextFormats", "MarketData", "Tenants"], products: [mustache]),
    Room(name: "Jobs", imports: ["TextFormats", "DurableFiles", "Spool", "Tenants"]),
    Room(name: "Scheduler", imports: ["TextFormats", "Spool", "Jobs", "Tenants", "DurableFiles"], products: [logging]),
    Room(name: "Accounts", imports: ["TextFormats", "Tenants", "Identity", "Scheduler", "Jobs"]),
    Room(name: "WireTypes", imports: ["TextFormats"], hasTests: false),
    Room(name: "NanobotClient", imports: ["TextFormats", "HTTPTransport"]),
    Room(
        name: "API",
        imports: [
            "TextFormats", "DurableFiles", "Spool", "Accounts", "Identity", "Jobs", "Scheduler", "Tenants", "WireTypes",
        ],
        products: [
            hummingbird, hummingbirdCore, hummingbirdTLS, nioCore, nioPosix, nioHTTP1, nioHTTPTypes, nioSSL, httpTypes, lifecycle,
            logging,
        ],
        resources: [.embedInCode("Assets/openapi.json")]),
    Room(
        name: "Runtime",
        imports: [
            "TextFormats", "WireTypes", "API", "Accounts", "Scheduler", "Jobs", "Reports", "Agent", "MarketData",
            "Providers", "Identity", "Tenants", "Workers", "Spool", "HTTPTransport", "Subprocesses", "MCP", "DurableFiles",
        ],
        products: [lifecycle, unixSignals, logging, metrics]),
    Room(
        name: "nanobot",
        imports: [
            "TextFormats", "Runtime", "NanobotClient", "Accounts", "Identity", "Scheduler", "Jobs", "Tenants", "Spool",
            "DurableFiles", "CLinux",
        ],
        products: [arguments, logging], hasTests: false),
]

/// What the tests of every room may use besides the room itself.
let testSupport = Room(name: "TestSupport", imports: ["TextFormats", "DurableFiles"], hasTests: false)
/// Scripted models and model servers, for the tests of rooms that talk to one.
let modelTestSupport = Room(
    name: "ModelTestSupport", imports: ["TextFormats", "HTTPTransport", "Providers"], hasTests: false)

/// Test targets that belong to no single room.
let houseTests: [(name: String, needs: [String])] = [
    ("TidyTests", []),
    ("SystemTests", ["nanobot", "NanobotClient", "HTTPTransport", "DurableFiles", "TextFormats"]),
]

let packages: [String: Package.Dependency] = [
    "swift-log": .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    "swift-metrics": .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    "swift-crypto": .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    "Yams": .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    "swift-mustache": .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    "hummingbird": .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    "swift-nio": .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    "swift-nio-ssl": .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    "swift-nio-extras": .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    "swift-http-types": .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    "swift-service-lifecycle": .package(
        url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    "swift-argument-parser": .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
]

// MARK: - From the table to the package

let allRooms = rooms + [testSupport, modelTestSupport]
let byName = Dictionary(uniqueKeysWithValues: allRooms.map { ($0.name, $0) })
let only = (Context.environment["NANOBOT_ONLY"] ?? "").split(separator: ",").map(String.init)

func closure(_ names: [String]) -> Set<String> {
    var seen: Set<String> = []
    var open = names
    while let name = open.popLast() {
        guard seen.insert(name).inserted else { continue }
        open += byName[name]?.imports ?? []
    }
    return seen
}

let needed = closure(only + ["TestSupport"])
let kept =
    only.isEmpty
    ? Set(allRooms.map(\.name)) : needed.union(needed.contains("HTTPTransport") ? closure(["ModelTestSupport"]) : [])
let tested = only.isEmpty ? kept : Set(only)

let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func target(_ room: Room) -> Target {
    let dependencies = room.imports.map { Target.Dependency.target(name: $0) } + room.products
    if room.isC { return .target(name: room.name, dependencies: dependencies) }
    if room.name == "nanobot" {
        return .executableTarget(name: room.name, dependencies: dependencies, swiftSettings: swiftSettings)
    }
    if room.name == "TestSupport" {
        return .target(
            name: room.name, dependencies: dependencies, path: "Tests/TestSupport",
            exclude: ["ScriptedProvider.swift", "LoopbackHTTPServer.swift"], swiftSettings: swiftSettings)
    }
    if room.name == "ModelTestSupport" {
        return .target(
            name: room.name, dependencies: dependencies, path: "Tests/TestSupport",
            sources: ["ScriptedProvider.swift", "LoopbackHTTPServer.swift"], swiftSettings: swiftSettings)
    }
    return .target(
        name: room.name, dependencies: dependencies, resources: room.resources, swiftSettings: swiftSettings)
}

var targets: [Target] = allRooms.filter { kept.contains($0.name) }.map(target)
for room in rooms where room.hasTests && tested.contains(room.name) {
    let supports = ["TestSupport", "ModelTestSupport"].filter { kept.contains($0) }
    let dependencies = [room.name] + supports + room.imports.filter { byName[$0]?.isC == false }
    targets.append(
        .testTarget(
            name: room.name + "Tests", dependencies: dependencies.map { .target(name: $0) } + room.products,
            swiftSettings: swiftSettings))
}
for house in houseTests where only.isEmpty || only.contains(house.name) {
    let needs = (["TestSupport", "ModelTestSupport"] + house.needs).filter { kept.contains($0) }
    targets.append(
        .testTarget(
            name: house.name, dependencies: needs.map { .target(name: $0) }, swiftSettings: swiftSettings))
}

let libcurl = Target.systemLibrary(
    name: "libcurl", path: "Sources/libcurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])])
if kept.contains("CCurl") { targets.append(libcurl) }

let usedPackages = Set(
    allRooms.filter { kept.contains($0.name) }.flatMap(\.products).compactMap { product -> String? in
        if case .productItem(_, let package, _, _) = product { return package }
        return nil
    })

let package = Package(
    name: "nanobot",
    // The libraries are for Benchmarks/, which is a package of its own.
    products: (kept.contains("nanobot") ? [.executable(name: "nanobot", targets: ["nanobot"])] : [])
        + ["Spool", "Workers", "NanobotClient"].filter { kept.contains($0) }.map { .library(name: $0, targets: [$0]) },
    dependencies: packages.filter { usedPackages.contains($0.key) }.sorted { $0.key < $1.key }.map(\.value),
    targets: targets)
