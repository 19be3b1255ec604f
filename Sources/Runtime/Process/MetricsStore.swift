// A swift-metrics backend that keeps what was counted in memory and writes it in Prometheus text format 0.0.4
// (prometheus.io, "Exposition formats"). Any thread. Bounded: labels come from code, never from users.

import Foundation
import Metrics
import Synchronization

public final class MetricsStore: MetricsFactory, Sendable {
    /// Upper bounds of the buckets of durations, in seconds.
    static let buckets: [Double] = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800]
    /// Series that may exist; more are counted as one, so that a mistake cannot fill the memory.
    static let maximumSeries = 2_000

    struct Key: Hashable, Comparable {
        var name: String
        var labels: String

        static func < (left: Key, right: Key) -> Bool { (left.name, left.labels) < (right.name, right.labels) }
    }

    struct Histogram {
        var counts = Array(repeating: 0, count: MetricsStore.buckets.count)
        var count = 0
        var sum = 0.0
    }

    enum Value {
        case counter(Double)
        case gauge(Double)
        case histogram(Histogram)
    }

    private let values = Mutex<[Key: Value]>([:])
    private let families: [String: MetricFamily]

    public convenience init() { self.init(families: MetricFamily.counted) }

    init(families: [MetricFamily]) {
        self.families = Dictionary(families.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        values.withLock { values in
            for family in families {
                for row in family.rows { values[key(family.name, row)] = Self.start(family.kind) }
            }
        }
    }

    private static func start(_ kind: MetricFamily.Kind) -> Value {
        switch kind {
        case .counter: .counter(0)
        case .gauge: .gauge(0)
        case .histogram: .histogram(Histogram())
        }
    }

    func update(_ key: Key, _ change: (inout Value) -> Void, start: Value) {
        values.withLock { values in
            guard values[key] != nil || values.count < MetricsStore.maximumSeries else {
                let overflow = Key(name: "nanobot_metrics_overflow_total", labels: "")
                if case .counter(let number) = values[overflow, default: .counter(0)] {
                    values[overflow] = .counter(number + 1)
                }
                return
            }
            change(&values[key, default: start])
        }
    }

    // MARK: MetricsFactory

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        StoredCounter(store: self, key: key(label, dimensions))
    }

    public func makeFloatingPointCounter(label: String, dimensions: [(String, String)])
        -> any FloatingPointCounterHandler
    {
        StoredCounter(store: self, key: key(label, dimensions))
    }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        StoredRecorder(store: self, key: key(label, dimensions), isGauge: !aggregate)
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        StoredMeter(store: self, key: key(label, dimensions))
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        StoredTimer(store: self, key: key(label, dimensions))
    }

    // Handlers hold nothing of their own, so there is nothing to give back.
    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyMeter(_ handler: any MeterHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}

    private func key(_ label: String, _ dimensions: [(String, String)]) -> Key {
        Key(name: MetricsText.name(label), labels: MetricsText.labels(dimensions))
    }

    // MARK: Text

    public func text() -> String {
        let rows = Dictionary(grouping: values.withLock { $0 }, by: \.key.name)
        var out = ""
        for name in Set(rows.keys).union(families.keys).sorted() {
            let rows = (rows[name] ?? []).sorted { $0.key < $1.key }
            out += head(name, rows.first?.value)
            for (key, value) in rows { out += MetricsText.lines(key, value) }
        }
        return out
    }

    /// A family that is in no list is a library's: its name must do for its help.
    private func head(_ name: String, _ value: Value?) -> String {
        if let family = families[name] { return family.head }
        let kind: MetricFamily.Kind =
            switch value {
            case .counter: .counter
            case .histogram: .histogram
            case .gauge, nil: .gauge
            }
        return MetricFamily(name: name, kind: kind, help: "Counted by a library.").head
    }
}

/// The text form of names, labels and values.
enum MetricsText {
    static func name(_ label: String) -> String {
        String(label.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") ? $0 : "_" })
    }

    static func labels(_ dimensions: [(String, String)]) -> String {
        dimensions.map { "\(name($0.0))=\"\(escaped($0.1))\"" }.joined(separator: ",")
    }

    private static func escaped(_ value: String) -> String {
        value.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
            .replacingOccurrences(of: "\n", with: "\\n")
    }

    static func sample(_ name: String, _ labels: String, _ value: Double) -> String {
        let number = value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
        return "\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(number)\n"
    }

    static func lines(_ key: MetricsStore.Key, _ value: MetricsStore.Value) -> String {
        switch value {
        case .counter(let number), .gauge(let number): return sample(key.name, key.labels, number)
        case .histogram(let histogram):
            let separator = key.labels.isEmpty ? "" : ","
            var total = 0
            var out = ""
            for (bound, count) in zip(MetricsStore.buckets, histogram.counts) {
                total += count
                out += sample("\(key.name)_bucket", "\(key.labels)\(separator)le=\"\(bound)\"", Double(total))
            }
            out += sample("\(key.name)_bucket", "\(key.labels)\(separator)le=\"+Inf\"", Double(histogram.count))
            out += sample("\(key.name)_sum", key.labels, histogram.sum)
            return out + sample("\(key.name)_count", key.labels, Double(histogram.count))
        }
    }
}

private final class StoredCounter: CounterHandler, FloatingPointCounterHandler {
    let store: MetricsStore
    let key: MetricsStore.Key

    init(store: MetricsStore, key: MetricsStore.Key) {
        self.store = store
        self.key = key
    }

    func increment(by amount: Int64) { increment(by: Double(amount)) }

    func increment(by amount: Double) {
        store.update(key, { if case .counter(let old) = $0 { $0 = .counter(old + amount) } }, start: .counter(0))
    }

    func reset() { store.update(key, { $0 = .counter(0) }, start: .counter(0)) }
}

private final class StoredMeter: MeterHandler {
    let store: MetricsStore
    let key: MetricsStore.Key

    init(store: MetricsStore, key: MetricsStore.Key) {
        self.store = store
        self.key = key
    }

    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { store.update(key, { $0 = .gauge(value) }, start: .gauge(0)) }
    func increment(by amount: Double) { add(amount) }
    func decrement(by amount: Double) { add(-amount) }

    private func add(_ amount: Double) {
        store.update(key, { if case .gauge(let old) = $0 { $0 = .gauge(old + amount) } }, start: .gauge(0))
    }
}

private final class StoredRecorder: RecorderHandler {
    let store: MetricsStore
    let key: MetricsStore.Key
    let isGauge: Bool

    init(store: MetricsStore, key: MetricsStore.Key, isGauge: Bool) {
        self.store = store
        self.key = key
        self.isGauge = isGauge
    }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        if isGauge { store.update(key, { $0 = .gauge(value) }, start: .gauge(0)) } else { store.observe(key, value) }
    }
}

private final class StoredTimer: TimerHandler {
    let store: MetricsStore
    let key: MetricsStore.Key

    init(store: MetricsStore, key: MetricsStore.Key) {
        self.store = store
        self.key = key
    }

    func recordNanoseconds(_ duration: Int64) { store.observe(key, Double(duration) / 1e9) }
}

extension MetricsStore {
    fileprivate func observe(_ key: Key, _ value: Double) {
        update(
            key,
            { stored in
                guard case .histogram(var histogram) = stored else { return }
                histogram.count += 1
                histogram.sum += value
                if let index = MetricsStore.buckets.firstIndex(where: { value <= $0 }) { histogram.counts[index] += 1 }
                stored = .histogram(histogram)
            }, start: .histogram(Histogram()))
    }
}
