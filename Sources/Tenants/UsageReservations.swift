// What is open: used by running jobs and not yet written down, and reserved for calls under way. This process's own jobs are
// kept one by one in memory; where there is a folder, the sums of each user are in a file that all processes of the home
// share. Any thread; blocks for the disk where there is a folder. Failure: TenantError.
import DurableFiles
import Foundation
import Synchronization

final class UsageReservations: Sendable {
    /// One job that runs in this process.
    struct Running: Sendable {
        var user: UserID
        /// Used by the job in all its attempts and runs, also as far as usage.jsonl has it.
        var used = UsageTotal()
        /// The most that the call under way can use; nothing: none is under way.
        var reserved = UsageTotal()
        /// A limit holds for it: the other processes are told.
        var isBounded = false
    }

    private let running = Mutex<[String: Running]>([:])
    /// Where nothing is shared: the lock of this process.
    private let own = Mutex(())
    private let file: ReservationFile?

    /// - Parameter folder: shared by all processes whose calls count together; nil: this process counts alone.
    init(folder: String?) { file = folder.map { ReservationFile(folder: $0) } }

    /// Nobody else looks, reserves or writes down meanwhile: of two calls that would take the same rest, one is refused.
    func exclusively<Value>(_ body: () throws(TenantError) -> Value) throws(TenantError) -> Value {
        do {
            guard let file else { return try own.withLock { _ in try body() } }
            return try file.withLock { try body() }
        } catch let error as TenantError {
            throw error
        } catch let error as FileError {
            throw TenantError(error, doing: "reserve what a call can use")
        } catch {
            throw TenantError(.storage, "Could not reserve what a call can use: \(error)")
        }
    }

    /// The jobs of this process.
    /// - Parameter user: nil: of all users.
    func jobs(of user: UserID?) -> [String: Running] {
        running.withLock { user == nil ? $0 : $0.filter { $0.value.user == user } }
    }

    /// - Parameter change: gets the job as it is, or a new one.
    func update<Value: Sendable>(_ job: String, of user: UserID, _ change: (inout Running) -> Value) -> Value {
        running.withLock { change(&$0[job, default: Running(user: user)]) }
    }

    func remove(_ job: String) { running.withLock { $0[job] = nil } }

    /// What the other processes have open.
    /// - Parameter user: nil: of all users.
    func elsewhere(_ user: UserID?) throws(TenantError) -> OpenUsage {
        guard let file else { return OpenUsage() }
        do throws(FileError) {
            let rows = try file.others()
            guard let user else { return rows.values.reduce(OpenUsage(), +) }
            return rows[Self.mark(user)] ?? OpenUsage()
        } catch {
            throw TenantError(error, doing: "read what calls under way can use")
        }
    }

    /// Tells the other processes what this one has open of a user. Called in `exclusively`.
    func publish(_ user: UserID, _ usage: OpenUsage) throws(TenantError) {
        do throws(FileError) {
            try file?.write(Self.mark(user), usage)
        } catch {
            throw TenantError(error, doing: "write down what calls under way can use")
        }
    }

    /// Tells users apart without naming them: the file outlives them.
    private static func mark(_ user: UserID) -> String {
        String(Fingerprint.sha256Hex(Array(user.rawValue.utf8)).prefix(16))
    }
}
