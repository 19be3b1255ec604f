// Which processes died soon after their start: control/starts/ has a file for each process that works, locked (flock) as
// long as the process lives. A process that has lived for a while appends a line; a clean end removes the file. An unlocked
// file is therefore that of a process that died, and the line says whether it died young.
//
// A job with a counted crash must not pay for a supervisor that restarts a broken process again and again: where the last two
// processes died young, suspects wait until the new process has proved that it lives (docs/job-states.md).
// Any thread. Failure: SpoolError.storage; the caller then lets suspects wait.

import DurableFiles
import Foundation
import TextFormats

public final class ProcessStart: Sendable {
    /// Seconds after which a process does not count as one that died young.
    public static let youth: TimeInterval = 10
    /// Dead processes that are remembered: the last ones by their start.
    static let remembered = 2
    /// Seconds that tell a living process from one that another starting process is looking at.
    private static let lookSeconds = 0.02

    /// The last two processes that ended without a clean end had both died young.
    public let followsEarlyDeaths: Bool
    private let folder: String
    private let name: String
    private let files: any FileSystem
    private let file: OpenDescriptor

    private var path: String { "\(folder)/\(name)" }

    /// - Throws: when the file cannot be made.
    init(_ layout: SpoolLayout, _ files: any FileSystem, now: Date) throws(FileError) {
        self.files = files
        folder = layout.startsFolder
        name = JobID.make(now: now).description
        try files.ensureDirectory(folder, mode: 0o750)
        let dead = try ProcessStart.dead(in: folder, files)
        followsEarlyDeaths =
            dead.count >= ProcessStart.remembered && dead.suffix(ProcessStart.remembered).allSatisfy(\.isYoung)
        for entry in dead.dropLast(ProcessStart.remembered) { ProcessStart.forget(entry.name, in: folder, files) }
        file = try ProcessStart.create(name, in: folder, files, now)
    }

    /// Locked before it has its name, so that no other process takes it for that of a dead one.
    private static func create(_ name: String, in folder: String, _ files: any FileSystem, _ now: Date)
        throws(FileError) -> OpenDescriptor
    {
        let path = "\(folder)/\(name)"
        let temporary = "\(folder)/\(TemporaryNames.next(for: name))"
        let file = OpenDescriptor(try files.open(temporary, [.write, .append, .create, .exclusive], mode: 0o640), files)
        do throws(FileError) {
            guard try files.tryLock(file.raw, path: temporary) else {
                throw FileError(code: .wouldBlock, operation: "flock", path: temporary)
            }
            try write(
                ["at": .string(RFC3339.string(now)), "pid": JSON(Int(ProcessInfo.processInfo.processIdentifier))],
                to: file.raw, path, files)
            try files.rename(temporary, path)
            try files.syncDirectory(folder)
        } catch {
            // What stays is swept with the other temporary files.
            try? files.remove(temporary)
            try? files.remove(path)
            throw error
        }
        return file
    }

    private static func write(_ line: JSON, to descriptor: Int32, _ path: String, _ files: any FileSystem)
        throws(FileError)
    {
        try files.writeAll(descriptor, line.bytes() + [0x0A], path: path)
        try files.dataSync(descriptor, path: path)
    }

    /// The process has lived for `youth`: its death will not count as an early one.
    public func settle(now: Date) throws(SpoolError) {
        try stored { () throws(FileError) in
            try ProcessStart.write(["settled_at": .string(RFC3339.string(now))], to: file.raw, path, files)
        }
    }

    /// A clean end: it is no death. What died before a process that had settled says nothing any more.
    public func end(isSettled: Bool) {
        // What stays counts as one early death more than there was, and a later start forgets it.
        try? files.remove(path)
        guard isSettled, let dead = try? ProcessStart.dead(in: folder, files) else { return }
        for entry in dead where entry.name < name { ProcessStart.forget(entry.name, in: folder, files) }
    }

    // MARK: - The others

    private struct Entry {
        var name: String
        var isYoung: Bool
    }

    /// The processes that died, in the order of their start.
    private static func dead(in folder: String, _ files: any FileSystem) throws(FileError) -> [Entry] {
        var dead: [Entry] = []
        for entry in try files.list(folder).sorted(by: { $0.name < $1.name }) where JobID(entry.name) != nil {
            do throws(FileError) {
                let path = "\(folder)/\(entry.name)"
                guard try !isHeld(path, files) else { continue }
                let lines = try files.readFile(path, maxBytes: 4_096).split(separator: 0x0A)
                // A line that is torn or missing is that of a death in the first moments.
                dead.append(Entry(name: entry.name, isYoung: lines.count < 2))
            } catch {
                // Its process has just ended, or something else has its name: no death that is known.
                guard error.isPassing else { continue }
                throw error
            }
        }
        return dead
    }

    /// Whether a process holds the file. Another process that looks holds it for a moment only.
    private static func isHeld(_ path: String, _ files: any FileSystem) throws(FileError) -> Bool {
        let descriptor = try files.open(path, [.read, .write, .nonBlocking])
        defer {
            files.closeQuietly(descriptor)
            files.released(path)
        }
        let isFree = try LockWait(seconds: lookSeconds).take(path) { () throws(FileError) in
            try files.tryLock(descriptor, path: path)
        }
        return !isFree
    }

    private static func forget(_ name: String, in folder: String, _ files: any FileSystem) {
        // What stays is forgotten by the next start.
        try? files.remove("\(folder)/\(name)")
    }
}

extension JobSpool {
    /// To be called once by a process before it claims its first job.
    public func recordStart() throws(SpoolError) -> ProcessStart {
        try stored { () throws(FileError) in
            try folders.restore(layout.startsFolder)
            return try ProcessStart(layout, files, now: now())
        }
    }
}
