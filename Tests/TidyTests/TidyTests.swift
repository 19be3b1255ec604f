// Remarks of reviews that were made twice, as checks of the sources.

import Foundation
import Testing

@Suite struct TidyTests {
    @Test("no file is longer than 500 lines")
    func fileLength() throws {
        for file in try SourceTree.swiftFiles(in: "Sources") + SourceTree.swiftFiles(in: "Tests") {
            #expect(file.lines.count <= 500, "\(file.path) has \(file.lines.count) lines")
        }
    }

    @Test("no function of the sources is longer than 60 lines, no line wider than 140 columns")
    func functionLength() throws {
        var wide: [String] = []
        for file in try SourceTree.swiftFiles(in: "Sources") {
            for (name, count) in functions(of: file) {
                #expect(count <= 60, "\(name) in \(file.path) has \(count) lines")
            }
            for (index, line) in file.lines.enumerated() {
                // Code is wrapped at 120 by the formatter; a comment may run over a little.
                if line.count > 140 { wide.append("\(file.path):\(index + 1)") }
            }
        }
        #expect(wide.isEmpty, "\(wide.joined(separator: " "))")
    }

    /// Functions by indentation: from `func`/`init` to the closing brace in the same column.
    private func functions(of file: SourceFile) -> [(String, Int)] {
        var found: [(String, Int)] = []
        for (index, line) in file.lines.enumerated() {
            let indent = line.prefix { $0 == " " }
            let rest = line.dropFirst(indent.count)
            guard rest.contains(" func ") || rest.hasPrefix("func ") || rest.contains("init("), !rest.hasPrefix("//"),
                !rest.hasSuffix("}"), !rest.contains("self.init("), !rest.contains(".init(")
            else { continue }
            // A protocol's requirement has no body: the brace found belongs to something later.
            let enclosing = file.lines[..<index].last { line in
                line.contains { $0 != " " } && line.prefix { $0 == " " }.count < indent.count
            }
            if enclosing?.contains("protocol ") == true { continue }
            let close = indent + "}"
            guard let end = file.lines[index...].firstIndex(where: { $0 == close }) else { continue }
            let body = file.lines[index...end]
            guard body.contains(where: { $0.hasSuffix("{") && $0.prefix(while: { $0 == " " }).count >= indent.count })
            else { continue }
            if rest.hasSuffix("{") || body.dropFirst().first?.hasPrefix(indent + "    ") == true {
                found.append((String(rest.prefix(60)), end - index + 1))
            }
        }
        return found
    }

    @Test("imports follow the arrows of Package.swift, of own targets and of packages")
    func arrows() throws {
        let rooms = try PackageTable.rooms()
        #expect(rooms.count >= 18)
        let own = Set(rooms.keys)
        for file in try SourceTree.swiftFiles(in: "Sources") {
            let room = try #require(rooms[file.target], "\(file.path) belongs to no room of the table")
            for line in file.lines where line.hasPrefix("import ") || line.hasPrefix("@preconcurrency import ") {
                let name = String(line.split(separator: " ").last ?? "").split(separator: ".")[0]
                let module = String(name)
                if PackageTable.openToAll.contains(module) { continue }
                if module == "Glibc" {
                    #expect(PackageTable.glibcUsers.contains(file.target), "\(file.path) imports Glibc")
                } else if own.contains(module) {
                    #expect(room.contains(module), "\(file.path) imports \(module): no such arrow")
                } else {
                    #expect(room.contains(module), "\(file.path) imports \(module): not a product of its room")
                }
            }
        }
    }

    @Test("system calls on files are made by DurableFiles alone, and nothing below the API is asynchronous")
    func roomsKeepToTheirWork() throws {
        let fileCalls = [
            "FileManager", "fopen(", "open(2", "Data(contentsOf", "FileHandle(", "URLSession", "Process()",
        ]
        let mayBeAsync: Set = ["API", "Dashboard", "Runtime", "nanobot"]
        for file in try SourceTree.swiftFiles(in: "Sources") {
            for (index, line) in file.lines.enumerated() where !line.drop(while: { $0 == " " }).hasPrefix("//") {
                if file.target != "DurableFiles" {
                    for call in fileCalls {
                        #expect(!line.contains(call), "\(file.path):\(index + 1) uses \(call)")
                    }
                }
                if !mayBeAsync.contains(file.target) {
                    #expect(!line.contains(" async "), "\(file.path):\(index + 1) is asynchronous")
                    #expect(!line.contains("await "), "\(file.path):\(index + 1) is asynchronous")
                }
            }
        }
    }

    @Test("no call waits for a lock of a file: waits are attempts with a bound")
    func boundedLocks() throws {
        var attempts = 0
        for file in try SourceTree.swiftFiles(in: "Sources") {
            for (index, line) in file.lines.enumerated() where !line.drop(while: { $0 == " " }).hasPrefix("//") {
                guard line.contains("LOCK_EX") || line.contains("LOCK_SH") || line.contains("SETLKW") else { continue }
                attempts += 1
                #expect(line.contains("LOCK_NB"), "\(file.path):\(index + 1) waits without a bound")
            }
        }
        #expect(attempts == 1)
        #expect(try !SourceTree.text("Sources/CLinux/CLinux.c").contains("SETLKW"))
    }

    @Test("nothing is left unfinished, nothing can crash on purpose, no test sleeps or is switched off")
    func bannedWords() throws {
        let inSources = ["TODO", "FIXME", "XXX", "fatalError(", "try!", "as!", "Thread.sleep", "usleep(", "Task.sleep"]
        // Split so that this list does not find itself.
        let inTests = [
            "Thread." + "sleep", "usleep" + "(", "Task." + "sleep", ".disabled" + "(", "withKnown" + "Issue",
        ]
        for (folder, words) in [("Sources", inSources), ("Tests", inTests)] {
            for file in try SourceTree.swiftFiles(in: folder) where file.target != "TidyTests" {
                for (index, line) in file.lines.enumerated() {
                    for word in words where line.contains(word) {
                        Issue.record("\(file.path):\(index + 1) has \(word)")
                    }
                }
            }
        }
    }

    @Test("every source file begins by saying what it does")
    func heads() throws {
        for file in try SourceTree.swiftFiles(in: "Sources") {
            #expect(file.lines.first?.hasPrefix("//") == true, "\(file.path) has no head")
        }
    }

    @Test("what the documents link to and the source files they name exist")
    func documents() throws {
        for path in try SourceTree.markdownFiles() {
            let text = try SourceTree.text(path)
            let folder = path.contains("/") ? String(path[..<path.lastIndex(of: "/")!]) + "/" : ""
            for match in text.matches(of: /\]\(([^)#\s]+)(#[^)]*)?\)/) {
                let target = String(match.1)
                guard !target.contains("://"), !target.hasPrefix("mailto:") else { continue }
                let direct = try SourceTree.exists(folder + target)
                #expect(direct, "\(path) links to \(target)")
            }
            for match in text.matches(of: /`((?:Sources|Tests|docs|deploy|spool)\/[A-Za-z0-9_+.\/-]+)`/) {
                let target = String(match.1)
                let isThere = try SourceTree.exists(target)
                let isRuntimePlace =
                    target.hasPrefix("spool/") && !target.hasSuffix(".md") && !target.contains("example")
                #expect(isThere || isRuntimePlace, "\(path) names \(target)")
            }
        }
    }
}
