// Calls of one step that run at the same time: each once, none begun after the turn is to stop, all begun ones waited for.
import Foundation
import Providers
import Synchronization
import Testing
import TextFormats

@testable import Agent

@Suite struct SideBySideTests {
    private static func calls(_ count: Int) -> [PlannedCall] {
        (0..<count).map {
            PlannedCall(step: 0, index: $0, call: ToolCall(id: "c\($0)", name: "look", arguments: "{}"), refusal: nil)
        }
    }

    @Test("Every call is made once, whatever their number", arguments: [1, 2, 3, 17, 200])
    func each(count: Int) {
        let made = Mutex<[String: Int]>([:])
        let results = SideBySide.run(Self.calls(count)) { call in
            made.withLock { $0[call.key, default: 0] += 1 }
            return "result of \(call.key)"
        }
        #expect(results.count == count)
        #expect(results.allSatisfy { $0.value == "result of \($0.key)" })
        #expect(made.withLock { $0 }.values.allSatisfy { $0 == 1 })
    }

    @Test("Once the turn is to stop no further call is begun, and those begun have their results")
    func stops() {
        let asked = Mutex(0)
        let made = Mutex(0)
        let results = SideBySide.run(
            Self.calls(50),
            while: {
                asked.withLock {
                    $0 += 1
                    return $0 <= 7
                }
            }
        ) { _ in
            made.withLock { $0 += 1 }
            return "done"
        }
        #expect(results.count == 7 && made.withLock { $0 } == 7)
    }
}
