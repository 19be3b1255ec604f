// Comparing secrets in a time that tells nothing about them. Pure; any thread.
import Tenants

public enum SecretComparison {
    /// Both sides are hashed first, so that lengths do not show either; then every byte is compared, each time.
    public static func isEqual(_ left: String, _ right: String) -> Bool {
        let left = Fingerprint.sha256(Array(left.utf8))
        let right = Fingerprint.sha256(Array(right.utf8))
        var difference: UInt8 = left.count == right.count ? 0 : 1
        for (one, other) in zip(left, right) { difference |= one ^ other }
        return difference == 0
    }
}
