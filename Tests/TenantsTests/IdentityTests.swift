// User ids, session ids and the names and keys made of them.
import Testing

@testable import Tenants

@Suite struct UserIDTests {
    @Test("ordinary names are user ids", arguments: [
        "alice", "bob", "demo", "test", "user1", "user_1", "user-1", "0", "a", "guest",
        String(repeating: "a", count: 64),
    ])
    func accepted(_ name: String) throws {
        #expect(try UserID(name).rawValue == name)
    }

    @Test("a name that could leave its folder, collide or deceive is refused", arguments: [
        "", "Alice", "a.b", ".", "..", "../bob", "x/../../escape", "a/b", "a\\b", "-a", "_a", "a b", " a", "a\n", "a\0",
        "ä", "ａlice", "alice\u{301}", "用户", String(repeating: "a", count: 65), "admin", "root", "system", "nanobot",
        "me", "default", "null", "undefined", "anonymous", "api", "all",
    ])
    func refused(_ name: String) {
        #expect { try UserID(name) } throws: { ($0 as? TenantError)?.code == .invalidUserID }
    }
}

@Suite struct SessionIDTests {
    /// Ids that careless mappings let meet in one file.
    static let confusable = [
        "a:b", "a_b", "a-b", "a.b", "a/b", "a b", "A:b", "a%3ab", "a=3ab", "a:B", "a:b.jsonl", "ab", "AB", "Ab",
        "é", "e\u{301}", "user_a:b_c", "user_a_b:c", ".", "..", "...", "-", "--", "-rf", "=2drf", "+", "default",
        "con", "NUL", "/etc/passwd", "😀", "\u{1F468}\u{200D}\u{1F469}", String(repeating: "a", count: 128),
        String(repeating: "A", count: 128), String(repeating: "😀", count: 128),
        String(repeating: "😀", count: 127) + "😁",
    ]

    @Test("different sessions have different files, also where case is ignored")
    func injective() throws {
        let names = try Self.confusable.map { try SessionID($0).fileName }
        #expect(Set(names.map { $0.lowercased() }).count == Self.confusable.count)
        let keys = try Self.confusable.map {
            try SessionID($0).orderKey(user: try user("alice"), incarnation: "00112233445566ff")
        }
        #expect(Set(keys).count == Self.confusable.count)
        #expect(Set(try Self.confusable.map { try SessionID($0) }).count == Self.confusable.count)
    }

    @Test("a session's file name is plain, short and ends in .jsonl", arguments: confusable)
    func wellBehaved(_ raw: String) throws {
        let name = try SessionID(raw).fileName
        #expect(name.hasSuffix(".jsonl"))
        #expect(!name.hasPrefix(".") && !name.hasPrefix("-"))
        #expect(name.utf8.count <= SessionID.maximumFileNameLength)
        #expect(name.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "/") })
        if !name.hasPrefix("+") { #expect(SessionID(fileName: name)?.rawValue == raw) }
    }

    @Test("file names of simple ids can be read by people")
    func readable() throws {
        #expect(SessionID.standard.fileName == "default.jsonl")
        #expect(try SessionID("trip_to-rome-2").fileName == "trip_to-rome-2.jsonl")
        #expect(try SessionID("a:b").fileName == "a=3ab.jsonl")
    }

    @Test("a name no session has is nobody's", arguments: [
        "a", "a.json", "A.jsonl", "a=3.jsonl", "a=3AB.jsonl", "=61.jsonl", ".jsonl", "a=00.jsonl", "=ff.jsonl",
        "a:b.jsonl", "+00.jsonl",
    ])
    func foreignNames(_ name: String) {
        #expect(SessionID(fileName: name) == nil)
    }

    @Test("an id that cannot be shown or is too long is refused", arguments: [
        "", " ", "\u{3000} ", "a\nb", "a\0b", "a\u{7F}", "a\u{2028}b", "\u{202E}abc", "a\u{FEFF}", "\u{E000}",
        String(repeating: "a", count: 129),
    ])
    func refused(_ raw: String) {
        #expect { try SessionID(raw) } throws: { ($0 as? TenantError)?.code == .invalidSessionID }
    }

    @Test("the order key is 32 hex digits and separates users, incarnations and sessions")
    func orderKey() throws {
        let (alice, bob, session) = (try user("alice"), try user("bob"), try SessionID("s"))
        let key = session.orderKey(user: alice, incarnation: "00000000000000aa")
        #expect(key.utf8.count == 32 && key.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) })
        #expect(key == session.orderKey(user: alice, incarnation: "00000000000000aa"))
        #expect(key != session.orderKey(user: bob, incarnation: "00000000000000aa"))
        #expect(key != session.orderKey(user: alice, incarnation: "00000000000000ab"))
        #expect(key != SessionID.standard.orderKey(user: alice, incarnation: "00000000000000aa"))
    }

    @Test("SHA-256 is that of FIPS 180-4")
    func digest() {
        #expect(
            Fingerprint.sha256Hex(Array("abc".utf8))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(Fingerprint.sha256([]).count == 32)
    }
}
