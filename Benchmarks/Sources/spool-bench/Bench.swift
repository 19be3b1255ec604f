// Figures of the spool and the worker pool without HTTP and without a model: what the queue itself costs.
//
//   spool-bench put --clients 8 --jobs 20000            durable submissions per second
//   spool-bench flow --clients 8 --jobs 20000           put + claim + finish, one thread per client does all three
//   spool-bench pool --clients 8 --workers 16 --jobs 20000   submitted by clients, run by a worker pool
//   spool-bench floor                                   put and flow as bare system calls: what the disk allows
//   spool-bench pickup --jobs 500                       submit → handler started on an idle pool, ms
//   spool-bench scale --waiting 1000000                 claim cost, memory and restart with that many waiting
//   spool-bench fair --waiting 100000                   a small user's wait beside one with that many jobs
//
// put, flow and pool take --seconds N (of submitting) instead of --jobs. Every spool is made below --root and removed
// afterwards. --mode log|files. Output: one JSON object a line.

import Foundation
import Logging
import Spool
import Workers

@main
struct Bench {
    static func main() throws {
        do {
            try run(try Options(Array(CommandLine.arguments.dropFirst())))
        } catch let misuse as Options.Misuse {
            FileHandle.standardError.write(Data("spool-bench: \(misuse)\n".utf8))
            exit(2)
        }
    }

    private static func run(_ options: Options) throws {
        switch options.command {
        case "put": try Throughput(options).put()
        case "flow": try Throughput(options).flow()
        case "pool": try Throughput(options).pool()
        case "floor": try Floor(options).run()
        case "pickup": try Latency(options).pickup()
        case "scale": try Scale(options).run()
        case "fair": try Fairness(options).run()
        default: throw Options.Misuse(text: "unknown command \(options.command); see the head of Bench.swift")
        }
    }
}

struct Options {
    struct Misuse: Error, CustomStringConvertible {
        var text: String
        var description: String { text }
    }

    var command: String
    var values: [String: String] = [:]

    init(_ arguments: [String]) throws {
        guard let command = arguments.first else { throw Misuse(text: "put | flow | pool | floor | pickup | scale | fair") }
        self.command = command
        var rest = arguments.dropFirst()
        while let name = rest.popFirst() {
            guard name.hasPrefix("--"), let value = rest.popFirst() else { throw Misuse(text: "--name value: \(name)") }
            values[String(name.dropFirst(2))] = value
        }
    }

    func number(_ name: String, _ usual: Int) -> Int { values[name].flatMap { Int($0) } ?? usual }
    var root: String { values["root"] ?? NSTemporaryDirectory() }
    var durability: JobSpool.Durability { values["mode"] == "files" ? .files : .sharedLog }

    /// A new spool below the root.
    func spool() throws -> JobSpool {
        try JobSpool(root: "\(root)/spool-bench-\(UUID().uuidString)", durability: durability)
    }
}

func report(_ facts: [String: Any]) {
    guard let data = try? JSONSerialization.data(withJSONObject: facts, options: [.sortedKeys]) else { return }
    FileHandle.standardOutput.write(data + Data([0x0A]))
}

func remove(_ spool: JobSpool) { try? FileManager.default.removeItem(atPath: spool.layout.root) }

enum Sample {
    /// 1 KB, as the peers' benchmarks use.
    static let payload: [UInt8] = {
        let text = #"{"kind":"report","user_id":"u0","custom_prompt":""#
        return Array((text + String(repeating: "x", count: 1_024 - text.utf8.count - 2) + "\"}").utf8)
    }()

    static func submission(_ user: String, lane: Lane = .scheduled, due: Date = Date(), key: OrderKey? = nil) -> Submission {
        Submission(
            id: JobID.make(now: Date()), user: user, lane: lane, priority: 5, due: due, orderKey: key, holdKey: "offline",
            payload: payload, fingerprint: "f", facts: ["kind": "report", "user_id": .string(user)],
            isFresh: true)
    }
}

/// Runs `body` on that many threads at once. - Returns: seconds until the last was done.
func together(_ threads: Int, _ body: @escaping @Sendable (Int) -> Void) -> TimeInterval {
    let begin = Uptime.now()
    let group = DispatchGroup()
    for number in 0..<threads {
        group.enter()
        let thread = Thread {
            body(number)
            group.leave()
        }
        thread.stackSize = 1 << 20
        thread.start()
    }
    group.wait()
    return Uptime.now() - begin
}

/// Values of many threads.
final class Samples: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [Double] = []

    func add(_ value: Double) { lock.withLock { values.append(value) } }
    func percentile(_ part: Double) -> Double {
        lock.withLock {
            guard !values.isEmpty else { return 0 }
            let sorted = values.sorted()
            return sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]
        }
    }
    var count: Int { lock.withLock { values.count } }
    var sum: Double { lock.withLock { values.reduce(0, +) } }
}

func residentMegabytes() -> Double {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
        let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
        let kilobytes = line.split(separator: " ").compactMap({ Double($0) }).first
    else { return 0 }
    return kilobytes / 1024
}
