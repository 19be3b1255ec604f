// Lengths of time as ISO 8601 writes them: "PT15M", "P1DT12H", "P2W". Pure, any thread.
// Days and weeks are 24 hours and seven times 24 hours of elapsed time; months and years have no fixed length
// and are refused, as are fractions.

enum ISODuration {
    /// - Returns: seconds, or nil when `text` is no such duration.
    static func seconds(_ text: some StringProtocol) -> Int? {
        var units: [(letter: UInt8, seconds: Int)] = [(87, 604_800), (68, 86_400)]
        var isInTime = false
        var bytes = Array(text.utf8)[...]
        guard bytes.popFirst() == 80, bytes.count <= 32 else { return nil }
        var total = 0
        var parts = 0
        while let first = bytes.first {
            if first == 84, !isInTime, bytes.count > 1 {
                isInTime = true
                units = [(72, 3_600), (77, 60), (83, 1)]
                bytes.removeFirst()
            }
            let digits = bytes.prefix { (48...57).contains($0) }
            // Seven digits keep every product far from overflow.
            guard (1...7).contains(digits.count), digits.count < bytes.count else { return nil }
            let value = digits.reduce(0) { $0 * 10 + Int($1 - 48) }
            let letter = bytes[digits.endIndex]
            // Each unit once, largest first.
            guard let index = units.firstIndex(where: { $0.letter == letter }) else { return nil }
            total += value * units[index].seconds
            units.removeFirst(index + 1)
            parts += 1
            bytes = bytes[(digits.endIndex + 1)...]
        }
        return parts > 0 ? total : nil
    }
}
