// What the disk allows for this layout: the system calls that a job cannot do without, one client, one after the other, and
// nothing else (no lock but the record's, no JSON, no look before a leap). Another design may need fewer; this one cannot.

import Foundation
import Glibc
import Workers

struct Floor {
    let options: Options
    private let folder: String
    private let log: Int32
    private let page: UnsafeMutableRawPointer
    private static let pageSize = 4_096
    private static let logPages = 2_048
    /// The lines of a record: admission and `queued`, `running`, the last one.
    private static let lines = [108, 313, 277, 295].map { [UInt8](repeating: 0x41, count: $0) }

    init(_ options: Options) throws {
        self.options = options
        folder = "\(options.root)/spool-bench-\(UUID().uuidString)"
        for name in ["", "/tmp", "/queued", "/running", "/done", "/status"] { mkdir(folder + name, 0o750) }
        page = UnsafeMutableRawPointer.allocate(byteCount: Floor.pageSize, alignment: Floor.pageSize)
        page.initializeMemory(as: UInt8.self, repeating: 0, count: Floor.pageSize)
        // Buffered where the file system does not write past the page cache.
        let path = "\(folder)/log"
        let direct = Floor.direct == 0 ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | Floor.direct, 0o640)
        log = direct >= 0 ? direct : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard log >= 0 else { throw Options.Misuse(text: "\(path): \(String(cString: strerror(errno)))") }
        for number in 0..<Floor.logPages { pwrite(log, page, Floor.pageSize, number * Floor.pageSize) }
        fsync(log)
    }

    #if arch(x86_64)
        private static let direct: Int32 = 0x4000
    #else
        private static let direct: Int32 = 0
    #endif

    func run() {
        report(["bench": "floor", "work": "put", "clients": 1, "per_second": rate(finishing: false)])
        report(["bench": "floor", "work": "flow", "clients": 1, "per_second": rate(finishing: true)])
        close(log)
        page.deallocate()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private func rate(finishing: Bool) -> Double {
        let begin = Uptime.now()
        var done = 0
        while Uptime.now() - begin < Double(options.number("seconds", 2)) {
            job("\(finishing ? "f" : "p")\(done)", finishing, done)
            done += 1
        }
        return Double(done) / (Uptime.now() - begin)
    }

    private func job(_ name: String, _ finishing: Bool, _ number: Int) {
        let status = open("\(folder)/status/\(name)", O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o640)
        flock(status, LOCK_EX | LOCK_NB)
        append(status, Floor.lines[0])
        let file = open("\(folder)/tmp/\(name)", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
        append(file, Sample.payload)
        close(file)
        rename("\(folder)/tmp/\(name)", "\(folder)/queued/\(name)")
        append(status, Floor.lines[1])
        sync(number * 2)
        if finishing {
            rename("\(folder)/queued/\(name)", "\(folder)/running/\(name)")
            append(status, Floor.lines[2])
            rename("\(folder)/running/\(name)", "\(folder)/running/\(name).fin")
            append(status, Floor.lines[3])
            sync(number * 2 + 1)
            rename("\(folder)/running/\(name).fin", "\(folder)/done/\(name)")
        }
        close(status)
    }

    private func append(_ descriptor: Int32, _ bytes: [UInt8]) {
        guard write(descriptor, bytes, bytes.count) == bytes.count else { fatalError("write: errno \(errno)") }
    }

    private func sync(_ number: Int) {
        let offset = number % Floor.logPages * Floor.pageSize
        guard pwrite(log, page, Floor.pageSize, offset) == Floor.pageSize, fdatasync(log) == 0 else {
            fatalError("log: errno \(errno)")
        }
    }
}
