// Long-term memory: what is added, what is forgotten, and what stays as people wrote it.
import DurableFiles
import Foundation
import Tenants
import Testing
import TextFormats

@testable import Agent

@Suite("Memory")
struct MemoryStoreTests {
    let store: MemoryStore
    let directory: SealedDirectory
    let house: AgentHouse

    init() throws {
        house = try AgentHouse()
        let workspace = try house.workspaces.open(try house.addUser("alice"))
        store = MemoryStore(workspace: workspace)
        directory = workspace.directory
        try directory.write("memory/MEMORY.md", Array("# Memory\n\nA paragraph about tea.\n* likes tea".utf8))
    }

    @Test("Entries are added once, on one line with their day; the rest of the file stays")
    func remember() throws {
        #expect(try store.remember(" prefers\nshort \t answers ", on: AgentHouse.noon))
        #expect(try !store.remember("Prefers short answers", on: AgentHouse.noon.addingTimeInterval(864_000)))
        #expect(try !store.remember("likes tea", on: AgentHouse.noon))
        #expect(try store.remember("喜欢简短的回答", on: AgentHouse.noon))
        let day = RFC3339.string(AgentHouse.noon).prefix(10)
        #expect(
            try store.show()
                == "# Memory\n\nA paragraph about tea.\n* likes tea\n"
                + "- \(day): prefers short answers\n- \(day): 喜欢简短的回答\n")
    }

    @Test("A memory that is no UTF-8 is kept as it was before a change replaces it")
    func foreignBytes() throws {
        let bytes = Array("caf".utf8) + [0xE9, 0x0A]
        try directory.write("memory/MEMORY.md", bytes)
        #expect(try store.forget("nothing of that").isEmpty)
        #expect(try directory.read("memory/MEMORY.md", maxBytes: 100) == bytes)
        #expect(try store.remember("likes tea", on: AgentHouse.noon))
        let kept = try directory.list("memory").filter { $0.name.hasPrefix("MEMORY.md.corrupt-") }
        #expect(kept.count == 1)
        #expect(try directory.read(try #require(kept.first).path, maxBytes: 100) == bytes)
    }

    @Test("Forgetting removes the entries that contain the text and nothing else")
    func forget() throws {
        _ = try store.remember("owns TSLA since 2020", on: AgentHouse.noon)
        #expect(try store.forget("tsla") == ["owns TSLA since 2020"])
        #expect(try store.forget("nothing like it").isEmpty)
        #expect(try store.forget("TEA") == ["likes tea"])
        #expect(try store.show() == "# Memory\n\nA paragraph about tea.\n")
    }

    @Test("Empty and endless texts are refused, and a full memory says so")
    func bounds() throws {
        for text in ["", " \n", String(repeating: "x", count: 2_001)] {
            #expect(throws: AgentError.self) { try store.remember(text, on: AgentHouse.noon) }
        }
        #expect(throws: AgentError.self) { try store.forget("x") }
        var error: AgentError?
        for number in 0..<100 where error == nil {
            do {
                _ = try store.remember("\(number) " + String(repeating: "y", count: 1_900), on: AgentHouse.noon)
            } catch let caught {
                error = caught
            }
        }
        #expect(error?.code == "memory_full")
        #expect(try store.show().utf8.count <= MemoryStore.maxBytes)
    }
}
