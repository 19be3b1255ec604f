// What all users together have used this month: one file a month beside the workspaces, a line for each job, without
// saying whose. It is there only where the settings bound the whole. The users' own files are the record; a power cut may
// cost this one its last lines. Any thread, any process. Failure: TenantError.
import DurableFiles
import Foundation
import Synchronization
import TextFormats

public final class ServiceUsage: Sendable {
    private struct State {
        var month = ""
        var offset = 0
        var sums = UsageSums()
    }

    private static let chunk = 1 << 20

    private let folder: String
    private let zone: String
    private let now: @Sendable () -> Date
    private let state = Mutex(State())

    /// - Parameters:
    ///   - folder: made with the first line.
    ///   - zone: where days and months begin.
    public init(folder: String, zone: String, now: @escaping @Sendable () -> Date) {
        self.folder = folder
        self.zone = zone
        self.now = now
    }

    var periods: BudgetDesk.Periods { BudgetDesk.Periods(now: now(), zone: zone) }

    /// Adds what a job has used so far. Each line begins on its own: what a crash tore is passed over.
    func append(job: String, _ used: UsageTotal) throws(TenantError) {
        let entry: JSON = [
            "time": .string(RFC3339.string(now())), "job_id": .string(job), "total_tokens": JSON(used.tokens),
            "cost_usd": .double(used.cost),
        ]
        let newline = UInt8(ascii: "\n")
        do throws(FileError) {
            try LinuxFileSystem().ensureDirectory(folder, mode: 0o700)
            try SealedDirectory(path: folder).append(
                file(of: periods), [newline] + entry.bytes() + [newline], durable: false)
        } catch {
            throw TenantError(error, doing: "write down what the service has used")
        }
    }

    /// - Returns: today's and this month's use, and what is known of the jobs in `jobs`.
    func totals(of jobs: [String]) throws(TenantError) -> (day: UsageTotal, month: UsageTotal, said: [UsageTotal]) {
        let periods = periods
        let name = file(of: periods)
        do {
            return try state.withLock { state in
                if state.month != name { state = State(month: name) }
                try Self.readOn(&state, folder)
                return (
                    state.sums.total(since: periods.dayStart), state.sums.total(since: periods.monthStart),
                    jobs.map(state.sums.said)
                )
            }
        } catch let error as FileError {
            throw TenantError(error, doing: "read what the service has used")
        } catch {
            throw TenantError(.storage, "Could not read what the service has used: \(error)")
        }
    }

    private static func readOn(_ state: inout State, _ folder: String) throws(FileError) {
        do throws(FileError) {
            let directory = try SealedDirectory(path: folder)
            // A look costs one stat while nothing was added.
            while try directory.status(state.month).size > state.offset {
                let bytes = try directory.read(state.month, from: state.offset, count: chunk)
                guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return }
                for line in bytes[..<end].split(separator: UInt8(ascii: "\n")) {
                    if let entry = try? JSON.parse(Array(line)) { state.sums.add(entry) }
                }
                state.offset += end + 1
            }
        } catch {
            guard error.code == .notFound else { throw error }
        }
    }

    private func file(of periods: BudgetDesk.Periods) -> String {
        // The middle of a month is in it in every time zone.
        let middle = periods.monthStart.addingTimeInterval(periods.monthEnd.timeIntervalSince(periods.monthStart) / 2)
        return "\(RFC3339.string(middle).prefix(7)).jsonl"
    }
}
