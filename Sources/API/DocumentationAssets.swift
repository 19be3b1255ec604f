// The files Swagger UI and ReDoc need, read once and kept: about 3 MB in memory, only when somebody opens a page.
// Any thread; reading blocks, so the route goes through BlockingBridge.

import Synchronization
import Tenants

/// Serves a closed list of files; nothing else below the assets folder can be asked for.
final class DocumentationAssets: Sendable {
    struct Asset: Sendable {
        var bytes: [UInt8]
        var mediaType: String
        /// With its quotes.
        var tag: String
    }

    /// Name in the URL to path below drf-spectacular-sidecar's static folder, and media type.
    private static let files: [String: (path: String, mediaType: String)] = [
        "swagger-ui.css": ("swagger-ui-dist/swagger-ui.css", "text/css; charset=utf-8"),
        "swagger-ui-bundle.js": ("swagger-ui-dist/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        "redoc.standalone.js": ("redoc/bundles/redoc.standalone.js", "text/javascript; charset=utf-8"),
    ]

    /// Starts Swagger UI; a file of its own so that the page's policy need not allow inline scripts.
    private static let starter = """
        window.addEventListener("load", function () {
          window.ui = SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true,
            presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout", validatorUrl: null });
        });
        """

    private let read: (@Sendable (String) -> [UInt8]?)?
    private let kept = Mutex<[String: Asset]>([:])

    /// - Parameter read: see `APIOptions.documentationAsset`.
    init(read: (@Sendable (String) -> [UInt8]?)?) { self.read = read }

    /// nil for a name that is not on the list or a file that is not there. Blocks on the first call for a name.
    func asset(_ name: String) -> Asset? {
        if let asset = kept.withLock({ $0[name] }) { return asset }
        guard let asset = load(name) else { return nil }
        kept.withLock { $0[name] = asset }
        return asset
    }

    private func load(_ name: String) -> Asset? {
        if name == "start.js" { return Self.make(Array(Self.starter.utf8), "text/javascript; charset=utf-8") }
        guard let file = Self.files[name], let bytes = read?(file.path) else { return nil }
        return Self.make(bytes, file.mediaType)
    }

    private static func make(_ bytes: [UInt8], _ mediaType: String) -> Asset {
        Asset(bytes: bytes, mediaType: mediaType, tag: "\"\(Fingerprint.sha256Hex(bytes).prefix(32))\"")
    }
}
