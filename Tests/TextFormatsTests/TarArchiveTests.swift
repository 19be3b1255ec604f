import Foundation
import Testing

@testable import TextFormats

@Suite("Tar archives")
struct TarArchiveTests {
    @Test("are read back by the system's tar, with long names and names of any script")
    func roundTrip() throws {
        let long = String(repeating: "x", count: 120) + ".md"
        let files = ["a.txt": "A", "reports/日报.md": "你好", long: "", "big": String(repeating: "b", count: 1_024)]
        var archive: [UInt8] = []
        for (path, text) in files {
            archive += TarArchive.file(path, Array(text.utf8), modified: Date(timeIntervalSince1970: 1_700_000_000))
        }
        archive += TarArchive.end
        #expect(archive.count % 512 == 0)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tar-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(archive).write(to: folder.appendingPathComponent("a.tar"))
        let tar = Process()
        tar.executableURL = URL(fileURLWithPath: "/bin/tar")
        tar.arguments = ["-xf", "a.tar"]
        tar.currentDirectoryURL = folder
        try tar.run()
        tar.waitUntilExit()
        #expect(tar.terminationStatus == 0)
        for (path, text) in files {
            #expect(try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8) == text)
        }
    }
}
