// JSON, event streams and searches that were written to be expensive: steps are counted, so no clock is asked.
import TestSupport
import Testing

@testable import TextFormats

@Suite("Hostile formats")
struct HostileFormatTests {
    @Test("No text costs more than 64 steps a byte as JSON, strict or lenient")
    func json() {
        let faults = HostileTextCheck.faults("JSON") { text, steps in
            // Most of them are no JSON: what counts is how long it takes to see that.
            for limits in [JSON.Limits(), .lenient] {
                _ = try? JSON.parse(Array(text.utf8), limits: limits, steps: steps)
                let string = JSON.string(text).text()
                _ = try? JSON.parse(Array("[\(string)]".utf8), limits: limits, steps: steps)
            }
        }
        #expect(faults == [])
    }

    @Test("Members that come twice cost what others cost, and the last one counts")
    func repeatedMembers() throws {
        let names = (0..<4_000).map { "\"m\($0)\":0," }.joined()
        let text = "{\(names)" + String(repeating: "\"m3999\":1,", count: 20_000) + "\"m3999\":2}"
        let steps = StepCounter()
        let json = try JSON.parse(Array(text.utf8), limits: .lenient, steps: steps)
        #expect(json["m3999"] == 2 && json.object?.count == 4_000)
        #expect(steps.steps <= 4 * text.utf8.count)
    }

    @Test("Large objects are built, merged, compared and sorted by their names, each name once")
    func largeObjects() {
        let members = (0..<3_000).map { ("m\($0)", JSON($0)) }
        var object = JSONObject(members + [("m5", JSON(-5))])
        #expect(object.count == 3_000 && object["m5"] == -5)
        object.merge(JSONObject([("m6", JSON(-6)), ("new", JSON(1))]))
        #expect(object.count == 3_001 && object["m6"] == -6 && object.keys.last == "new")
        let turned = JSONObject(object.reversed().map { ($0.key, $0.value) })
        #expect(turned == object && turned.keys != object.keys)
        var other = turned
        other["m7"] = 0
        #expect(other != object)
        #expect(JSON.object(object).sorted.object?.keys == object.keys.sorted())
    }

    @Test("An event stream gives every byte out once")
    func events() throws {
        for hostile in HostileText.all {
            let text = hostile.text(size: 16_384)
            var parser = EventStreamParser()
            var bytes = 0
            var events = 0
            for event in try parser.feed(text.utf8) + [parser.finish()].compactMap({ $0 }) {
                bytes += event.data.utf8.count
                events += 1
            }
            // A byte that is no UTF-8 in a piece becomes three.
            #expect(bytes <= 3 * text.utf8.count && events <= text.utf8.count, "\(hostile)")
        }
    }

    @Test(
        "A pattern is found where it is, in at most two steps a byte and some for its end",
        arguments: [
            ("a", "b"), ("aaaaaaab", "a"), ("abababac", "ab"), ("aab", "aaab"), ("ab", "ab"), ("aa", "a"), ("b", "a"),
            ("abcabcabd", "abcabcabcabd"), ("aaaa", "aaa "),
        ])
    func patterns(pattern: String, piece: String) {
        let text = Array(String(repeating: piece, count: 4_000).utf8)
        let steps = StepCounter()
        let found = BytePattern(pattern).ranges(in: text, steps)
        #expect(steps.steps <= 2 * text.count + 2)
        var expected: [Int] = []
        var place = 0
        let wanted = Array(pattern.utf8)
        while place + wanted.count <= text.count {
            if text[place..<place + wanted.count].elementsEqual(wanted) {
                expected.append(place)
                place += wanted.count
            } else {
                place += 1
            }
        }
        #expect(found.map(\.lowerBound) == expected)
        let replaced = BytePattern(pattern).replacing(in: text, with: Array("xyz".utf8))
        #expect(replaced.count == text.count + expected.count * (3 - wanted.count))
    }

    @Test("A counter asks whether to stop once in many steps, and not again after a yes")
    func counter() {
        var questions = 0
        let steps = StepCounter {
            questions += 1
            return questions == 2
        }
        for _ in 0..<10 * StepCounter.stepsBetweenLooks { steps.add() }
        #expect(questions == 2 && steps.isStopped && steps.steps == 10 * StepCounter.stepsBetweenLooks)
    }
}
