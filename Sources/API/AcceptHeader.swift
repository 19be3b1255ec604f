// What kinds of answer a client takes (RFC 9110, 12.5.1). Pure.

import Foundation

struct AcceptHeader {
    private struct Range {
        var type: String
        var subtype: String
        var quality: Double

        /// How exactly the range names the type; nil when it does not fit.
        func fit(_ mediaType: String) -> Int? {
            let parts = mediaType.split(separator: "/").map(String.init)
            if type == "*" { return 0 }
            guard type == parts.first else { return nil }
            if subtype == "*" { return 1 }
            return subtype == parts.last ? 2 : nil
        }
    }

    private let ranges: [Range]

    /// - Parameter values: of all Accept headers; none means anything.
    init(_ values: [String]) {
        ranges = values.flatMap { $0.split(separator: ",") }.compactMap { entry -> Range? in
            let parts = entry.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
            guard let names = parts.first?.split(separator: "/"), names.count == 2 else { return nil }
            let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
            return Range(type: String(names[0]), subtype: String(names[1]), quality: min(max(quality, 0), 1))
        }
    }

    /// - Parameter offers: the media types there are, the server's favourite first.
    /// - Returns: the one the client likes best; among equals the one it names most exactly, then the favourite; the
    ///   favourite also when it likes none, for a readable answer helps more than 406.
    func best(of offers: [String]) -> String {
        guard !ranges.isEmpty else { return offers[0] }
        var best = (offer: offers[0], quality: 0.0, exactness: -1)
        for offer in offers {
            let fits = ranges.compactMap { range in range.fit(offer).map { (exactness: $0, quality: range.quality) } }
            guard let fit = fits.max(by: { $0.exactness < $1.exactness }), fit.quality > 0 else { continue }
            if (fit.quality, fit.exactness) > (best.quality, best.exactness) {
                best = (offer, fit.quality, fit.exactness)
            }
        }
        return best.offer
    }
}
