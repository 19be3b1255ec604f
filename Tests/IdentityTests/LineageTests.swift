// A token made by another credential ends no later than its maker and goes with it, over any number of generations; a rotation
// keeps end and lineage and makes no second token.
import Foundation
import Synchronization
import TestSupport
import Testing
import TextFormats

@testable import Identity

@Suite struct LineageTests {
    /// How a credential ends.
    enum Ending: CaseIterable, Sendable {
        case revokedHere, revokedElsewhere, removedByHand, expired, rotatedAway
    }

    /// alice's root token, made by an admin, and a token made by it, and one made by that, and so on.
    private func generations(
        _ count: Int, in fixture: TokenFixture, by desk: TokenDesk, rootEnds: Date? = nil
    ) throws -> [(record: TokenRecord, token: String)] {
        var made = [try desk.create(.user, user: fixture.alice, expiresAt: rootEnds)]
        for _ in 1..<count {
            let last = try #require(made.last?.token)
            made.append(try desk.create(.user, user: fixture.alice, by: try maker(last, desk)))
        }
        return made
    }

    /// What the holder of the token makes tokens by.
    private func maker(_ token: String, _ desk: TokenDesk) throws -> TokenMaker {
        try #require(try desk.authenticate(token).maker)
    }

    @Test("A token ends no later than its maker, whatever end was asked for, and an admin's tokens have no maker")
    func ends() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let end = fixture.clock.now.addingTimeInterval(100)
        let family = try generations(4, in: fixture, by: desk, rootEnds: end)
        #expect(family.allSatisfy { $0.record.expiresAt == end })
        let holder = try maker(family[3].token, desk)
        for asked in [end.addingTimeInterval(1), end, end.addingTimeInterval(-50)] {
            let made = try desk.create(.read, user: fixture.alice, expiresAt: asked, by: holder)
            #expect(made.record.expiresAt == min(asked, end))
        }
        #expect(try desk.authenticate(try desk.create(.admin, user: nil).token).maker == nil)
        #expect(family[0].record.publicJSON["parent"] == .null)
        #expect(family[2].record.publicJSON["parent"] == .string(family[1].record.id))
    }

    @Test("A token made by a JSON Web Token ends at its exp, and none is made by one that has ended")
    func ofProvider() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let verifier = try JWTVerifier(
            options: JWTOptions(), keys: .secret(Array(SignedTokens.secret.utf8)), now: fixture.clock.read)
        let end = fixture.clock.now.timeIntervalSince1970.rounded() + 60
        let web = JWTTests.token(["sub": "alice", "exp": .double(end), "iss": "https://id", "jti": "j1"])
        let holder = try #require(try verifier.caller(web).maker)
        #expect(holder.expiresAt == Date(timeIntervalSince1970: end))
        let made = try desk.create(.user, user: fixture.alice, by: holder)
        let later = try desk.create(.user, user: fixture.alice, by: try maker(made.token, desk))
        #expect(made.record.expiresAt == holder.expiresAt && later.record.expiresAt == holder.expiresAt)
        #expect(made.record.publicJSON["parent"] == "jwt alice")
        fixture.clock.set(Date(timeIntervalSince1970: end))
        // Clocks may differ by a minute, so the JWT is still let in; it makes nothing any more.
        #expect(try verifier.caller(web).user == fixture.alice)
        #expect(identityCode { _ = try desk.create(.user, user: fixture.alice, by: holder) } == .invalidToken)
        for token in [made.token, later.token] {
            #expect(identityCode { _ = try fixture.desk().authenticate(token) } == .invalidToken)
        }
    }

    @Test("All descendants go with a token that ends, whichever generation it is and however it ends", arguments: Ending.allCases)
    func going(_ ending: Ending) throws {
        for ended in 0..<4 {
            let fixture = try TokenFixture()
            let desk = fixture.desk()
            let family = try generations(4, in: fixture, by: desk, rootEnds: nil)
            let other = try desk.create(.user, user: fixture.alice)
            let record = family[ended].record
            for one in family { _ = try desk.authenticate(one.token) }
            switch ending {
            case .revokedHere: try desk.revoke(record.id, of: fixture.alice)
            case .revokedElsewhere: try fixture.desk().revoke(record.id, of: fixture.alice)
            case .removedByHand: try FileManager.default.removeItem(atPath: fixture.path(record.id))
            case .expired:
                // By hand: an end that its descendants were made without.
                var changed = record
                changed.expiresAt = fixture.clock.now.addingTimeInterval(1)
                try changed.fileJSON.text().write(toFile: fixture.path(record.id), atomically: true, encoding: .utf8)
            case .rotatedAway:
                let successor = try desk.rotate(record.id, of: fixture.alice, overlap: 0)
                try desk.revoke(successor.record.id, of: fixture.alice)
            }
            if ending != .revokedHere { fixture.clock.advance(by: 1.1) }
            for (generation, one) in family.enumerated() {
                let code = identityCode {
                    if try desk.remembered(one.token) == nil { _ = try desk.authenticate(one.token) }
                }
                #expect(code == (generation < ended ? nil : .invalidToken), "\(ending) of \(ended), generation \(generation)")
            }
            _ = try desk.authenticate(other.token)
        }
    }

    @Test("A token whose maker was revoked a moment before it was to be made is not made")
    func lateMaker() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let root = try desk.create(.user, user: fixture.alice)
        let holder = try maker(root.token, desk)
        try fixture.desk().revoke(root.record.id, of: fixture.alice)
        #expect(identityCode { _ = try desk.create(.read, user: fixture.alice, by: holder) } == .invalidToken)
        #expect(try desk.store.list(user: fixture.alice).isEmpty)
    }

    @Test("What was read before a revocation is not remembered after it")
    func race() throws {
        let fixture = try TokenFixture()
        let files = FaultyFileSystem()
        let desk = fixture.desk(files: files)
        let root = try desk.create(.user, user: fixture.alice)
        // Right after the file was read. A failure would show below.
        files.onNext("lstat \(fixture.path(root.record.id))") { try? desk.revoke(root.record.id, of: fixture.alice) }
        // Let in by what had been read; that does not last a second.
        _ = try? desk.authenticate(root.token)
        #expect(try desk.remembered(root.token) == nil)
        #expect(identityCode { _ = try desk.authenticate(root.token) } == .invalidToken)
    }

    @Test("A rotation keeps scope, name, end and lineage, and what was made by the old token goes on")
    func rotation() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let end = fixture.clock.now.addingTimeInterval(1_000)
        let family = try generations(3, in: fixture, by: desk, rootEnds: end)
        let middle = family[1]
        let holder = try maker(middle.token, desk)
        let new = try desk.rotate(
            middle.record.id, of: fixture.alice, overlap: 10, expiresAt: end.addingTimeInterval(500), by: holder)
        #expect(new.record.expiresAt == end && new.record.scope == middle.record.scope)
        #expect(new.record.lineage == middle.record.lineage)
        #expect(new.record.publicJSON["rotated_from"] == .string(middle.record.id))
        fixture.clock.advance(by: 11)
        #expect(identityCode { _ = try desk.authenticate(middle.token) } == .invalidToken)
        _ = try desk.authenticate(family[2].token)
        _ = try desk.authenticate(new.token)
        let again = try desk.rotate(new.record.id, of: fixture.alice, overlap: 0)
        #expect(again.record.expiresAt == end)
        _ = try desk.authenticate(family[2].token)
        try desk.revoke(family[0].record.id, of: fixture.alice)
        for token in [family[2].token, again.token] {
            #expect(identityCode { _ = try desk.authenticate(token) } == .invalidToken)
        }
    }

    @Test("A user's program that rotates another token gets one that goes with both, and no end is put off")
    func rotatingOthers() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let soon = fixture.clock.now.addingTimeInterval(60)
        let short = try desk.create(.user, user: fixture.alice, expiresAt: soon)
        let endless = try desk.create(.user, user: fixture.alice)
        let child = try desk.create(
            .user, user: fixture.alice, by: try maker(endless.token, desk))
        let holder = try maker(short.token, desk)
        let taken = try desk.rotate(endless.record.id, of: fixture.alice, overlap: 30, by: holder)
        #expect(taken.record.expiresAt == soon)
        // A child that rotates its parent gets nothing that outlives the child.
        let second = try fixture.desk()
        let childMaker = try maker(child.token, second)
        let parent = try second.rotate(taken.record.id, of: fixture.alice, overlap: 30, by: childMaker)
        _ = try second.authenticate(parent.token)
        try second.revoke(child.record.id, of: fixture.alice)
        #expect(identityCode { _ = try second.authenticate(parent.token) } == .invalidToken)
        _ = try second.authenticate(taken.token)
        try second.revoke(short.record.id, of: fixture.alice)
        #expect(identityCode { _ = try second.authenticate(taken.token) } == .invalidToken)
    }

    @Test("A user's program rotates a token once; an admin may do so again")
    func rotatedOnce() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let root = try desk.create(.user, user: fixture.alice)
        let holder = try maker(root.token, desk)
        let first = try desk.rotate(root.record.id, of: fixture.alice, overlap: 60, by: holder)
        #expect(
            identityCode { _ = try desk.rotate(root.record.id, of: fixture.alice, overlap: 60, by: holder) }
                == .tokenRotated)
        try desk.revoke(first.record.id, of: fixture.alice)
        _ = try desk.rotate(root.record.id, of: fixture.alice, overlap: 60, by: holder)
        _ = try desk.rotate(root.record.id, of: fixture.alice, overlap: 60)
        #expect(try desk.store.list(user: fixture.alice).count == 3)
    }

    @Test("A lineage has a bounded depth, and 100 tokens of a user are the most, however they are made")
    func bounds() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let family = try generations(TokenMaker.maximumLinks + 1, in: fixture, by: desk)
        let deepest = try maker(family[family.count - 1].token, desk)
        #expect(identityCode { _ = try desk.create(.read, user: fixture.alice, by: deepest) } == .tooManyTokens)
        let holder = try maker(family[0].token, desk)
        for _ in family.count..<TokenStore.maximumPerOwner { _ = try desk.create(.read, user: fixture.alice, by: holder) }
        #expect(identityCode { _ = try desk.create(.read, user: fixture.alice, by: holder) } == .tooManyTokens)
        #expect(identityCode { _ = try desk.rotate(family[0].record.id, of: fixture.alice, overlap: 0) } == .tooManyTokens)
        #expect(try desk.store.list(user: fixture.alice).count == TokenStore.maximumPerOwner)
    }

    @Test("Many threads and processes at once make no more tokens than the bound")
    func crowd() throws {
        let fixture = try TokenFixture()
        for _ in 0..<(TokenStore.maximumPerOwner - 3) { _ = try fixture.desk().create(.user, user: fixture.alice) }
        DispatchQueue.concurrentPerform(iterations: 16) { _ in
            // Most are refused: the count below is the test.
            _ = try? fixture.desk().create(.user, user: fixture.alice)
        }
        #expect(try fixture.desk().store.list(user: fixture.alice).count == TokenStore.maximumPerOwner)
    }

    @Test("A token file of an earlier version lets in as before, and one with a lineage nobody can read lets nobody in")
    func formats() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let made = try desk.create(.user, user: fixture.alice)
        let text = try String(contentsOfFile: fixture.path(made.record.id), encoding: .utf8)
        for name in ["lineage", "line", "rotated_from", "successors"] { #expect(!text.contains("\"\(name)\"")) }
        let old = text.replacingOccurrences(of: "}\n", with: ",\"lineage\":[{\"token\":\"../../../etc\"}]}\n")
        for damaged in [old, text.replacingOccurrences(of: "}\n", with: ",\"lineage\":\"x\"}\n")] {
            try damaged.write(toFile: fixture.path(made.record.id), atomically: true, encoding: .utf8)
            #expect(identityCode { _ = try fixture.desk().authenticate(made.token) } == .invalidToken)
        }
        try text.write(toFile: fixture.path(made.record.id), atomically: true, encoding: .utf8)
        #expect(try fixture.desk().authenticate(made.token).maker?.links == [.token(line: made.record.id)])
    }

    @Test("A user deleted while a token is being made leaves none of it")
    func deletedMeanwhile() throws {
        let fixture = try TokenFixture()
        let files = FaultyFileSystem()
        let desk = fixture.desk(files: files)
        _ = try desk.create(.user, user: fixture.bob)
        files.onNext("mkdir \(fixture.folder.path)/tokens/users/alice") { fixture.lives.withLock { $0["alice"] = nil } }
        #expect(identityCode { _ = try desk.create(.user, user: fixture.alice) } == .invalidField)
        #expect(try desk.store.users() == [fixture.bob])
    }
}
