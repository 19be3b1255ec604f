// What /metrics is made of: rows that are bounded and escaped, and a queue that is not counted at each scrape.

import Foundation
import Jobs
import Synchronization
import Testing

@testable import Runtime

@Suite struct MetricsCostTests {
    @Test("a counter is there at 0 before its first event, with its help")
    func zeroes() {
        let store = MetricsStore(families: [
            MetricFamily(name: "a_total", kind: .counter, help: "One \\ two\nthree.", rows: [[("lane", "x")]]),
            MetricFamily(name: "b_seconds", kind: .histogram, help: "Later."),
        ])
        let expected = """
            # HELP a_total One \\\\ two\\nthree.
            # TYPE a_total counter
            a_total{lane="x"} 0
            # HELP b_seconds Later.
            # TYPE b_seconds histogram

            """
        #expect(store.text() == expected)
    }

    @Test("label values are escaped")
    func escaped() {
        let store = MetricsStore(families: [])
        let labels = MetricsText.labels([("code", "x\"y\\z\n")])
        store.update(MetricsStore.Key(name: "a_total", labels: labels), { $0 = .counter(1) }, start: .counter(0))
        #expect(store.text().contains(#"a_total{code="x\"y\\z\n"} 1"#))
    }

    @Test("rows beyond the bound are counted together, whatever their kind")
    func overflow() {
        let store = MetricsStore()
        for number in 0...MetricsStore.maximumSeries {
            let key = MetricsStore.Key(name: "gauge", labels: MetricsText.labels([("n", "\(number)")]))
            store.update(key, { $0 = .gauge(1) }, start: .gauge(0))
        }
        let text = store.text()
        let lost = text.firstMatch(of: /nanobot_metrics_overflow_total (\d+)/).flatMap { Int($0.1) } ?? 0
        #expect(lost > 0)
        #expect(text.matches(of: /gauge\{n=/).count + lost == MetricsStore.maximumSeries + 1)
    }

    /// A clock that each look moves by what the look costs, and looks in the background that the test carries out.
    private final class Looks: Sendable {
        let now = Mutex(ContinuousClock.now)
        let count = Mutex(0)
        let waiting = Mutex<[@Sendable () -> Void]>([])

        func gauges(cost: Duration) -> QueueGauges {
            QueueGauges(
                read: { [self] in
                    count.withLock { $0 += 1 }
                    now.withLock { $0 += cost }
                    return nil
                }, clock: { [self] in now.withLock { $0 } },
                inBackground: { [self] body in waiting.withLock { $0.append(body) } })
        }
    }

    @Test("a queue that is counted quickly is counted at each scrape")
    func cheap() {
        let looks = Looks()
        let gauges = looks.gauges(cost: .milliseconds(5))
        for _ in 0..<3 { _ = gauges.current() }
        #expect(looks.count.withLock { $0 } == 3)
    }

    @Test("a long queue is counted in the background, by one thread, for one part in a hundred of the time")
    func long() {
        let looks = Looks()
        let gauges = looks.gauges(cost: .seconds(1))
        for _ in 0..<20 {
            _ = gauges.current()
            looks.now.withLock { $0 += .seconds(4.9) }
        }
        #expect(looks.count.withLock { $0 } == 1)
        looks.now.withLock { $0 += .seconds(5) }
        for _ in 0..<3 { _ = gauges.current() }
        #expect(looks.count.withLock { $0 } == 1)
        let bodies = looks.waiting.withLock { $0 }
        #expect(bodies.count == 1)
        for body in bodies { body() }
        #expect(looks.count.withLock { $0 } == 2)
    }
}
