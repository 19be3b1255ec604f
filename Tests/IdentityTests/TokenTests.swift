// Tokens: shown once, kept as a hash, let in by their owner's life, gone when revoked, also by another process.
import DurableFiles
import Foundation
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Identity

@Suite struct TokenTests {
    @Test("A token lets in whom it was made for, and the disk holds no part of its secret")
    func letsIn() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        #expect(try !desk.isClosed())
        let admin = try desk.create(.admin, user: nil, name: "ops")
        let user = try desk.create(.user, user: fixture.alice)
        let reader = try desk.create(.read, user: fixture.alice)
        #expect(try desk.authenticate(admin.token).isAdmin)
        #expect(try desk.authenticate(user.token).user == fixture.alice)
        #expect(try desk.authenticate(reader.token).isReadOnly)
        #expect(try desk.isClosed())
        let all = try FileManager.default.subpathsOfDirectory(atPath: fixture.folder.path)
        #expect(all.filter { $0.hasSuffix(".json") }.count == 3)
        for path in all where path.hasSuffix(".json") {
            let text = try String(contentsOfFile: "\(fixture.folder.path)/\(path)", encoding: .utf8)
            for made in [admin, user, reader] { #expect(!text.contains(made.token.suffix(49))) }
            let mode = try LinuxFileSystem().status("\(fixture.folder.path)/\(path)").mode
            #expect(mode & 0o077 == 0)
        }
    }

    @Test("Every token is another, and one changed byte makes it noise that is not even looked up")
    func text() throws {
        var seen: Set<String> = []
        for _ in 0..<200 { seen.insert(TokenText(owner: "alice").text) }
        #expect(seen.count == 200)
        let token = try #require(seen.first)
        #expect(TokenText(token)?.owner == "alice")
        for place in 0..<token.utf8.count {
            var bytes = Array(token.utf8)
            bytes[place] = bytes[place] == UInt8(ascii: "x") ? UInt8(ascii: "y") : UInt8(ascii: "x")
            #expect(TokenText(String(decoding: bytes, as: UTF8.self)) == nil, "byte \(place)")
        }
        for bad in ["", "nbt_", "nbt_..", "nbt_../../x.aaaaaaaaaaaa.b", token + "A", String(token.dropLast())] {
            #expect(TokenText(bad) == nil)
        }
    }

    @Test("A right id with a wrong secret is no token, remembered or not")
    func wrongSecret() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let made = try desk.create(.user, user: fixture.alice)
        // The same owner and id, and another secret with its right check: only the hash can tell.
        var forged = TokenText(owner: "alice").text
        for _ in 0..<2 {
            let parts = forged.split(separator: ".")
            let secret = String(parts[2].prefix(43))
            forged = TokenForgery.text(owner: "alice", id: made.record.id, secret: secret)
            #expect(identityCode { _ = try desk.authenticate(forged) } == .invalidToken)
            _ = try desk.authenticate(made.token)
            #expect(identityCode { _ = try desk.remembered(forged) } == .invalidToken)
        }
    }

    @Test("Revoked here it is gone at once, revoked elsewhere within a second; expired it is gone to the second")
    func going() throws {
        let fixture = try TokenFixture()
        let (desk, other) = (fixture.desk(), fixture.desk())
        let one = try desk.create(.user, user: fixture.alice)
        let two = try desk.create(.user, user: fixture.alice, expiresAt: fixture.clock.now.addingTimeInterval(60))
        _ = try desk.authenticate(one.token)
        _ = try desk.authenticate(two.token)
        try other.revoke(one.record.id, of: fixture.alice)
        #expect(try desk.remembered(one.token) != nil, "what was read this second still holds")
        fixture.clock.advance(by: 1.1)
        #expect(try desk.remembered(one.token) == nil)
        #expect(identityCode { _ = try desk.authenticate(one.token) } == .invalidToken)
        fixture.clock.advance(by: 58.8)
        _ = try desk.authenticate(two.token)
        fixture.clock.advance(by: 0.2)
        #expect(identityCode { _ = try desk.remembered(two.token) } == .invalidToken)
        #expect(identityCode { _ = try desk.authenticate(two.token) } == .invalidToken)
        #expect(identityCode { try desk.revoke(one.record.id, of: fixture.alice) } == .tokenNotFound)
        #expect(identityCode { try desk.revoke("../../../x", of: fixture.alice) } == .tokenNotFound)
        try desk.revoke(two.record.id, of: fixture.alice)
        #expect(identityCode { _ = try desk.remembered(two.token) } == nil, "forgotten at once")
    }

    @Test("A user deleted and made again is not reached by the old one's tokens")
    func otherLife() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let made = try desk.create(.user, user: fixture.alice)
        fixture.lives.withLock { $0["alice"] = "00000000000000a2" }
        #expect(identityCode { _ = try desk.authenticate(made.token) } == .invalidToken)
        fixture.lives.withLock { $0["alice"] = nil }
        #expect(identityCode { _ = try desk.authenticate(made.token) } == .invalidToken)
        #expect(identityCode { _ = try desk.create(.user, user: fixture.alice) } == .invalidField)
        try desk.revokeAll(of: fixture.alice)
        #expect(try desk.store.list(user: fixture.alice).isEmpty)
        try desk.revokeAll(of: fixture.bob)
    }

    @Test("A rotated token and its successor both hold for the overlap, and its end is never put off")
    func rotation() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let old = try desk.create(.read, user: fixture.bob, name: "phone", expiresAt: fixture.clock.now + 100)
        let new = try desk.rotate(old.record.id, of: fixture.bob, overlap: 30)
        #expect(new.record.name == "phone" && new.record.scope == .read)
        #expect(try desk.authenticate(old.token).isReadOnly)
        fixture.clock.advance(by: 31)
        #expect(identityCode { _ = try desk.authenticate(old.token) } == .invalidToken)
        _ = try desk.authenticate(new.token)
        #expect(identityCode { _ = try desk.rotate(old.record.id, of: fixture.bob, overlap: 30) } == .tokenNotFound)
        let short = try desk.create(.read, user: fixture.bob, expiresAt: fixture.clock.now + 10)
        _ = try desk.rotate(short.record.id, of: fixture.bob, overlap: 3_600)
        fixture.clock.advance(by: 11)
        #expect(identityCode { _ = try desk.authenticate(short.token) } == .invalidToken)
    }

    @Test("Ends in the past, endless names and too many tokens are refused")
    func bounds() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        #expect(identityCode { _ = try desk.create(.user, user: fixture.alice, expiresAt: fixture.clock.now) } == .invalidField)
        #expect(identityCode { _ = try desk.create(.admin, user: nil, name: "two\nlines") } == .invalidField)
        #expect(
            identityCode { _ = try desk.create(.admin, user: nil, name: String(repeating: "x", count: 101)) } == .invalidField)
        for _ in 0..<TokenStore.maximumPerOwner { _ = try desk.create(.user, user: fixture.alice) }
        #expect(identityCode { _ = try desk.create(.user, user: fixture.alice) } == .tooManyTokens)
        _ = try desk.create(.user, user: fixture.bob)
        #expect(try desk.store.users() == [fixture.alice, fixture.bob])
    }

    @Test("A damaged file lets nobody in and stops no list; a full disk makes no token that is shown")
    func damage() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let made = try desk.create(.user, user: fixture.alice)
        let kept = try desk.create(.user, user: fixture.alice)
        let path = "\(fixture.folder.path)/tokens/users/alice/\(made.record.id).json"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        for damaged in [
            "", "{", text.replacingOccurrences(of: "\"user\"", with: "\"admin\""),
            text.replacingOccurrences(of: "alice", with: "bob"),
        ] {
            try damaged.write(toFile: path, atomically: false, encoding: .utf8)
            #expect(identityCode { _ = try desk.authenticate(made.token) } == .invalidToken, "\(damaged)")
            #expect(try desk.store.list(user: fixture.alice).map(\.id) == [kept.record.id])
        }
    }

    @Test("The first use of a token is known at once, however soon it follows the making, and later uses cost no write each", arguments: [0, 0.5, 1.9, 3, 500])
    func firstUse(after seconds: TimeInterval) throws {
        let fixture = try TokenFixture()
        fixture.clock.set(Date())
        let desk = fixture.desk()
        let made = try desk.create(.user, user: fixture.alice)
        #expect(try desk.store.list(user: fixture.alice).map(\.lastUsedAt) == [nil])
        fixture.clock.advance(by: seconds)
        _ = try desk.authenticate(made.token)
        // As another process looks.
        let used = try #require(try fixture.desk().store.list(user: fixture.alice).first?.lastUsedAt)
        #expect((-0.01...2.01).contains(used.timeIntervalSince(fixture.clock.now)))
        let path = fixture.path(made.record.id)
        let before = try LinuxFileSystem().status(path).modified
        for _ in 0..<5 {
            fixture.clock.advance(by: TokenDesk.memory + 0.1)
            _ = try desk.authenticate(made.token)
        }
        #expect(try LinuxFileSystem().status(path).modified == before)
    }

    @Test("A use that cannot be noted lets its caller in")
    func unnoted() throws {
        let fixture = try TokenFixture()
        fixture.clock.set(Date())
        let files = FaultyFileSystem()
        let desk = fixture.desk(files: files)
        let made = try desk.create(.user, user: fixture.alice)
        files.set(.failAlways("futimens"))
        #expect(try desk.authenticate(made.token).user == fixture.alice)
    }

    @Test("When a token was last used is known to ten minutes")
    func lastUse() throws {
        let fixture = try TokenFixture()
        fixture.clock.set(Date().addingTimeInterval(-5_000))
        let desk = fixture.desk()
        let made = try desk.create(.user, user: fixture.alice)
        let path = "\(fixture.folder.path)/tokens/users/alice/\(made.record.id).json"
        try FileManager.default.setAttributes([.modificationDate: made.record.createdAt], ofItemAtPath: path)
        #expect(try desk.store.record(made.record.id, of: fixture.alice)?.lastUsedAt == nil)
        fixture.clock.set(Date())
        _ = try desk.authenticate(made.token)
        let used = try #require(try desk.store.record(made.record.id, of: fixture.alice)?.lastUsedAt)
        #expect(abs(used.timeIntervalSince(Date())) < 600)
    }
}

/// A token text with a right check, as somebody who has read this program could write one.
private enum TokenForgery {
    static func text(owner: String, id: String, secret: String) -> String {
        let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        let open = "nbt_\(owner).\(id).\(secret)"
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in open.utf8 {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1 }
        }
        var rest = ~crc
        var check = ""
        for _ in 0..<6 {
            check = String(alphabet[Int(rest % 62)]) + check
            rest /= 62
        }
        return open + check
    }
}
