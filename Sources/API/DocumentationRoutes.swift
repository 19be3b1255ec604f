// /docs, /redoc, /openapi.json: the API's description for people and programs, without internet.
// Handlers run on the request's task; files are read through BlockingBridge.

import HTTPTypes
import Hummingbird
import TextFormats
import WireTypes

struct DocumentationRoutes: RouteGroup {
    private let assets: DocumentationAssets
    private let bridge: BlockingBridge
    private let plainPage: [UInt8]

    /// The one description of the API, made from docs/openapi.yaml by deploy/openapi-json.py.
    static var description: [UInt8] { PackageResources.openapi_json }

    init(assets: DocumentationAssets, bridge: BlockingBridge) {
        self.assets = assets
        self.bridge = bridge
        // The file is part of the build and a test parses it; were it broken, the page would say so and the API work.
        let document = (try? JSON.parse(Self.description)) ?? ["info": ["title": "openapi.json cannot be read"]]
        plainPage = Array(DocumentationPage(document).html.utf8)
    }

    var routes: [Route] {
        [
            Route(.get, "/openapi.json", for: .everyone) { request, _ in
                .tagged(Self.description, mediaType: "application/json", for: request)
            },
            Route(.get, "/docs", for: .everyone) { request, _ in
                await page(needing: ["swagger-ui.css", "swagger-ui-bundle.js"], html: Self.swaggerPage, for: request)
            },
            Route(.get, "/redoc", for: .everyone) { request, _ in
                await page(needing: ["redoc.standalone.js"], html: Self.redocPage, for: request)
            },
            Route(.get, "/docs/assets/{name}", for: .everyone) { request, context in try await asset(request, context) },
        ]
    }

    /// The page with the viewer when its files are there, else the plain one.
    private func page(needing names: [String], html: String, for request: Request) async -> Response {
        // A busy pool is no reason to show nothing: the plain page needs no file.
        let isComplete = (try? await bridge.run(for: .probes) { [assets] in names.allSatisfy { assets.asset($0) != nil } }) ?? false
        return isComplete
            ? Self.htmlReply(Array(html.utf8), policy: Self.viewerPolicy, for: request)
            : Self.htmlReply(plainPage, policy: HTMLPolicy.still, for: request)
    }

    private func asset(_ request: Request, _ context: APIContext) async throws -> Response {
        let name = try context.pathValue("name")
        guard let asset = try await bridge.run(for: .probes, { [assets] in assets.asset(name) }) else {
            throw ProblemDetails(status: 404, code: "not_found", detail: "no such documentation asset")
        }
        return .tagged(asset.bytes, mediaType: asset.mediaType, tag: asset.tag, for: request)
    }

    static func htmlReply(_ bytes: [UInt8], policy: String, for request: Request) -> Response {
        .tagged(bytes, mediaType: "text/html; charset=utf-8", for: request, headers: HTMLPolicy.headers(policy))
    }

    /// The viewers style their elements from scripts and ReDoc searches in a worker made from a blob.
    private static let viewerPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        + "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'"

    private static let swaggerPage = """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><title>nanobot API</title>
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <link rel="stylesheet" href="/docs/assets/swagger-ui.css"></head>
        <body><div id="swagger-ui"></div>
        <script src="/docs/assets/swagger-ui-bundle.js"></script>
        <script src="/docs/assets/start.js"></script></body></html>
        """

    private static let redocPage = """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><title>nanobot API</title>
        <meta name="viewport" content="width=device-width, initial-scale=1"></head>
        <body style="margin:0"><redoc spec-url="/openapi.json"></redoc>
        <script src="/docs/assets/redoc.standalone.js"></script></body></html>
        """
}

/// Headers of every HTML answer.
enum HTMLPolicy {
    /// A page that only shows: no scripts, nothing loaded from anywhere.
    static let still =
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'"

    static func headers(_ policy: String) -> HTTPFields {
        [.contentSecurityPolicy: policy, .frameOptions: "DENY", .referrerPolicy: "no-referrer"]
    }
}
