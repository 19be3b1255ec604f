// Every file call of every change to the tokens fails once, or is where the process dies: a refused change has changed nothing,
// a change cut short is made or not made, and only a token that somebody holds closes the service.
import DurableFiles
import Foundation
import Tenants
import TestSupport
import Testing

@testable import Identity

@Suite struct TokenCrashTests {
    enum Change: CaseIterable, Sendable {
        case first, firstAdmin, another, byUser, rotation, revocation, revokingAll
    }

    enum Fault: CaseIterable, Sendable {
        case stop, inputOutput, diskFull, shortWrite, brokenFromThere

        func at(_ call: Int, _ log: [String]) -> FaultyFileSystem.Fault {
            switch self {
            case .stop: .stop(call: call)
            case .inputOutput: .fail(call: call, errno: 5)
            case .diskFull: .fail(call: call, errno: 28)
            case .shortWrite: .shortWrite(call: call)
            // The same call as when nothing fails, and everything that comes after it.
            case .brokenFromThere: .refuseFrom(log[call - 1])
            }
        }
    }

    /// All that callers can tell.
    private struct Picture: Hashable {
        var isClosed: Bool
        var tokens: [String]
        /// Whether each of the tokens that were there before lets in.
        var letsIn: [Bool]
    }

    /// A home before the change, and the change.
    private final class Scene {
        let fixture: TokenFixture
        let change: Change
        var held: [(record: TokenRecord, token: String)] = []

        init(_ change: Change) throws {
            fixture = try TokenFixture()
            self.change = change
            guard change != .first, change != .firstAdmin else { return }
            let desk = fixture.desk()
            held.append(try desk.create(.user, user: fixture.alice, expiresAt: fixture.clock.now.addingTimeInterval(9_000)))
            let maker = try #require(try desk.authenticate(held[0].token).maker)
            held.append(try desk.create(.read, user: fixture.alice, by: maker))
            held.append(try desk.create(.admin, user: nil))
        }

        func perform(_ desk: TokenDesk) throws {
            switch change {
            case .first: held.append(try desk.create(.user, user: fixture.alice))
            case .firstAdmin: held.append(try desk.create(.admin, user: nil))
            case .another: held.append(try desk.create(.user, user: fixture.bob))
            case .byUser:
                let maker = try fixture.desk().authenticate(held[0].token).maker
                held.append(try desk.create(.user, user: fixture.alice, by: maker))
            case .rotation: held.append(try desk.rotate(held[0].record.id, of: fixture.alice, overlap: 60))
            case .revocation: try desk.revoke(held[0].record.id, of: fixture.alice)
            case .revokingAll: try desk.revokeAll(of: fixture.alice)
            }
        }

        /// As a fresh process sees it.
        func picture(of held: Int) throws -> Picture {
            let desk = fixture.desk()
            var tokens: [String] = []
            for user in [nil, fixture.alice, fixture.bob] {
                // Ids are drawn: what is told apart is whose, how long and after which.
                tokens += try desk.store.list(user: user).map { token in
                    let end = token.expiresAt?.description ?? "never"
                    let origin = token.rotatedFrom == nil ? "made" : "rotated"
                    return "\(token.scope) \(token.user?.rawValue ?? "-") ends \(end), \(origin)"
                }.sorted()
            }
            return Picture(
                isClosed: try desk.isClosed(), tokens: tokens,
                letsIn: self.held.prefix(held).map { one in identityCode { _ = try desk.authenticate(one.token) } == nil })
        }

        /// Hidden files and folders anywhere, but the lock.
        func leftovers() throws -> [String] {
            try FileManager.default.subpathsOfDirectory(atPath: fixture.folder.path).filter {
                $0.split(separator: "/").contains { $0.hasPrefix(".") } && $0 != ".tokens.lock"
            }
        }
    }

    @Test(
        "A change to the tokens that fails or is cut short at any file call is made or not made, and refused ones are not",
        arguments: Change.allCases, Fault.allCases)
    func matrix(change: Change, fault: Fault) throws {
        // What it looks like before and after, and which calls there are; `%` for the folder of the test.
        let whole = try Scene(change)
        let count = whole.held.count
        let before = try whole.picture(of: count)
        let files = FaultyFileSystem()
        try whole.perform(whole.fixture.desk(files: files))
        let after = try whole.picture(of: count)
        let log = files.log
        #expect(before != after && log.count > 3)
        for call in 1...log.count {
            let scene = try Scene(change)
            let faulty = FaultyFileSystem()
            let desk = scene.fixture.desk(files: faulty)
            let own = log.map { $0.replacingOccurrences(of: whole.fixture.folder.path, with: scene.fixture.folder.path) }
            faulty.set(fault.at(call, Self.withoutNames(own)))
            let code = identityCode { try scene.perform(desk) }
            faulty.set(.none)
            faulty.crash()
            let found = try scene.picture(of: count)
            let place = "\(change), \(fault) at call \(call): \(log[call - 1]) → \(code?.rawValue ?? "made")"
            switch code {
            case nil: #expect(found == after, "\(place)")
            case .outcomeUnknown?: #expect(fault == .stop || fault == .brokenFromThere, "\(place)")
            default:
                // Erasing all of a user's is repeated until it is done.
                if fault != .stop, change != .revokingAll { #expect(found == before, "\(place)") }
            }
            if change != .revokingAll { #expect(found == before || found == after, "\(place)") }
            if code != nil, fault != .stop { #expect(scene.held.count == count, "\(place)") }
            try goesOn(scene, place)
        }
    }

    /// Nothing that is left stops a later change, and the later change clears it away.
    private func goesOn(_ scene: Scene, _ place: String) throws {
        let desk = scene.fixture.desk()
        if scene.change == .revokingAll {
            try desk.revokeAll(of: scene.fixture.alice)
            #expect(try desk.store.users().isEmpty, "\(place)")
        }
        let alice = try desk.create(.user, user: scene.fixture.alice)
        let bob = try desk.create(.user, user: scene.fixture.bob)
        let admin = try desk.create(.admin, user: nil)
        for made in [alice, bob, admin] { _ = try scene.fixture.desk().authenticate(made.token) }
        #expect(try scene.leftovers().isEmpty, "\(place)")
        let files = try FileManager.default.subpathsOfDirectory(atPath: scene.fixture.folder.path).filter { $0.hasSuffix(".json") }
        var listed = 0
        for user in [nil, scene.fixture.alice, scene.fixture.bob] { listed += try desk.store.list(user: user).count }
        #expect(files.count == listed, "\(place): files that are no token")
    }

    /// Names that are drawn are cut off: `refuseFrom` compares beginnings.
    private static func withoutNames(_ log: [String]) -> [String] {
        log.map { call in
            guard let dot = call.range(of: "/.")?.lowerBound else { return call }
            return String(call[..<dot]) + "/."
        }
    }

    @Test("An attempt at the first token leaves the service open when it is refused, and a kill does so unless it was made")
    func opening() throws {
        for name in ["tokens", "tokens/admin", "tokens/users/alice"] {
            // As homes of before have it where tokens were made, or an attempt failed: closed stays closed.
            let fixture = try TokenFixture()
            try FileManager.default.createDirectory(
                atPath: "\(fixture.folder.path)/\(name)", withIntermediateDirectories: true)
            #expect(try fixture.desk().isClosed())
        }
        let fixture = try TokenFixture()
        let files = FaultyFileSystem()
        let desk = fixture.desk(files: files)
        files.set(.failAlways("fsync"))
        for _ in 0..<3 { #expect(identityCode { _ = try desk.create(.admin, user: nil) } == .storage) }
        files.set(.none)
        #expect(try !desk.isClosed() && !fixture.desk().isClosed())
        let made = try desk.create(.user, user: fixture.alice, expiresAt: fixture.clock.now.addingTimeInterval(5))
        try desk.revoke(made.record.id, of: fixture.alice)
        fixture.clock.advance(by: 10)
        try desk.revokeAll(of: fixture.alice)
        #expect(try desk.isClosed() && fixture.desk().isClosed(), "closed for good, also without any token")
    }
}
