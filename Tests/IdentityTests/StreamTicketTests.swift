// Tickets on disk: their time, their one reader among several processes, and what ends them. Each desk is a process of its own.
import DurableFiles
import Foundation
import Synchronization
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Identity

@Suite struct StreamTicketTests {
    private static let path = "/jobs/01a22fb8-e116-7ccc-83c8-74a1b6bdedb7/events"
    private let closed = TicketConditions(operatorToken: nil, isClosed: false)

    private func read(_ desk: TokenDesk, _ ticket: String, returning: Bool = false) throws -> TicketReader {
        try desk.readTicket(ticket, path: Self.path, isReturning: returning, under: closed)
    }

    /// A ticket of a user's token.
    private func make(_ fixture: TokenFixture, _ desk: TokenDesk) throws -> String {
        let caller = try desk.authenticate(try desk.create(.user, user: fixture.alice).token)
        return try desk.makeTicket(for: fixture.alice, path: Self.path, by: caller, under: closed).ticket
    }

    @Test("a ticket waits a minute for its reader, and after each reading a minute for the reader to come back")
    func time() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let unused = try make(fixture, desk)
        let used = try make(fixture, desk)
        fixture.clock.advance(by: 59)
        do {
            let reader = try read(desk, used)
            #expect(reader.caller.isReadOnly && reader.caller.user == fixture.alice)
            fixture.clock.advance(by: 3_000)
            #expect(reader.isDue && reader.goesOn())
        }
        #expect(identityCode { _ = try read(desk, unused) } == .ticketExpired)
        fixture.clock.advance(by: 59)
        do { _ = try read(desk, used) }
        fixture.clock.advance(by: 61)
        #expect(identityCode { _ = try read(desk, used, returning: true) } == .ticketExpired)
    }

    @Test("a reading that goes on for a day ends, and its ticket with it")
    func longest() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let ticket = try make(fixture, desk)
        let reader = try read(desk, ticket)
        fixture.clock.advance(by: StreamTicket.longest + 1)
        #expect(!reader.goesOn())
        #expect(identityCode { _ = try read(desk, ticket, returning: true) } == .ticketExpired)
    }

    @Test("among the processes of a home one reader has the ticket; one that comes back takes it from its own old connection")
    func oneReader() throws {
        let fixture = try TokenFixture()
        let (here, there) = (fixture.desk(), fixture.desk())
        let ticket = try make(fixture, here)
        var first: TicketReader? = try read(here, ticket)
        #expect(identityCode { _ = try read(there, ticket) } == .ticketInUse)
        var second: TicketReader? = try read(there, ticket, returning: true)
        fixture.clock.advance(by: 2)
        #expect(first?.goesOn() == false && second?.goesOn() == true)
        // The old connection goes late, and takes nothing from the new one.
        first = nil
        #expect(identityCode { _ = try read(here, ticket) } == .ticketInUse)
        second = nil
        _ = try read(here, ticket)
    }

    @Test("a ticket ends with the token that made it, in every process, and lives through its rotation")
    func maker() throws {
        let fixture = try TokenFixture()
        let (desk, other) = (fixture.desk(), fixture.desk())
        for scope in [AccessScope.user, .read, .admin] {
            let user = scope == .admin ? nil : fixture.alice
            let made = try desk.create(scope, user: user)
            let caller = try desk.authenticate(made.token)
            let ticket = try desk.makeTicket(for: fixture.alice, path: Self.path, by: caller, under: closed).ticket
            let next = try desk.rotate(made.record.id, of: user, overlap: 0)
            try desk.revoke(made.record.id, of: user)
            let reader = try read(other, ticket)
            try desk.revoke(next.record.id, of: user)
            fixture.clock.advance(by: 16)
            #expect(!reader.goesOn(), "a ticket of scope \(scope)")
            #expect(identityCode { _ = try read(other, ticket, returning: true) } == .ticketInvalid)
        }
    }

    @Test("a ticket of the operator's own token ends when that token is another one; one of an open service when it closes")
    func conditions() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let now = TicketConditions(operatorToken: "old", isClosed: true)
        let own = try desk.makeTicket(
            for: fixture.alice, path: Self.path, by: Caller(reach: .everybody, credential: "admin"), under: now).ticket
        let read = { (ticket: String, conditions: TicketConditions) in
            _ = try desk.readTicket(ticket, path: Self.path, isReturning: false, under: conditions)
        }
        try read(own, now)
        for token in ["new", nil] {
            let later = TicketConditions(operatorToken: token, isClosed: token != nil)
            #expect(identityCode { try read(own, later) } == .ticketInvalid)
        }
        let open = try desk.makeTicket(for: fixture.alice, path: Self.path, by: .open, under: closed).ticket
        try read(open, closed)
        #expect(identityCode { try read(open, now) } == .ticketInvalid)
        _ = try desk.create(.admin, user: nil)
        #expect(identityCode { try read(open, closed) } == .ticketInvalid)
    }

    @Test("a ticket of a JSON Web Token ends with it, a user's and an admin's")
    func webTokens() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let end = fixture.clock.now.addingTimeInterval(30)
        let link = TokenLink.jwt(issuer: nil, subject: "alice", id: nil, endsAt: end)
        for caller in [
            Caller(
                reach: .only(fixture.alice), credential: "jwt alice", maker: TokenMaker(links: [link], expiresAt: end)),
            Caller(reach: .everybody, credential: "jwt ops", link: link),
        ] {
            let made = try desk.makeTicket(for: fixture.alice, path: Self.path, by: caller, under: closed)
            #expect(made.expiresAt <= fixture.clock.now.addingTimeInterval(60))
            let reader = try read(desk, made.ticket)
            #expect(reader.caller.user == fixture.alice && reader.caller.isReadOnly)
        }
        let user = Caller(reach: .only(fixture.alice), credential: "jwt alice", maker: TokenMaker(links: [link], expiresAt: end))
        let ticket = try desk.makeTicket(for: fixture.alice, path: Self.path, by: user, under: closed)
        #expect(ticket.expiresAt == end)
        let reader = try read(desk, ticket.ticket)
        fixture.clock.advance(by: 31)
        #expect(!reader.goesOn())
        #expect(identityCode { _ = try read(desk, ticket.ticket, returning: true) } == .ticketInvalid)
    }

    @Test("a user who is deleted while a ticket is made gets none, and nothing of it stays")
    func deletedMeanwhile() throws {
        let fixture = try TokenFixture()
        let asked = Mutex(0)
        let desk = TokenDesk(
            store: TokenStore(folder: fixture.folder.path + "/tokens", now: fixture.clock.read),
            incarnation: { _ in
                asked.withLock { count in
                    count += 1
                    return count == 1 ? "00000000000000a1" : nil
                }
            }, now: fixture.clock.read)
        #expect(
            identityCode { _ = try desk.makeTicket(for: fixture.alice, path: Self.path, by: .open, under: closed) }
                == .invalidField)
        #expect(!FileManager.default.fileExists(atPath: "\(fixture.folder.path)/stream-tickets/alice"))
    }

    @Test("expired tickets of all users are removed, and those that are read or may still be read stay")
    func sweeping() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let place = "\(fixture.folder.path)/stream-tickets"
        let make = { (user: UserID) in
            try desk.makeTicket(for: user, path: Self.path, by: .open, under: closed).ticket
        }
        _ = try make(fixture.bob)
        let reader = try read(desk, try make(fixture.alice))
        fixture.clock.advance(by: 61)
        _ = try make(fixture.alice)
        try desk.store.removeExpiredTickets()
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(place)/bob").isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(place)/alice").count == 2)
        withExtendedLifetime(reader) {}
    }

    @Test("a ticket is for one path of one life of a user, and its file holds nothing that lets anybody in")
    func bound() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let ticket = try make(fixture, desk)
        #expect(
            identityCode {
                _ = try desk.readTicket(ticket, path: "/jobs/x/events", isReturning: false, under: closed)
            } == .ticketInvalid)
        let folder = "\(fixture.folder.path)/stream-tickets/alice"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(names.count == 1)
        let file = "\(folder)/\(names[0])"
        #expect(!(try String(contentsOfFile: file, encoding: .utf8)).contains(ticket.suffix(40)))
        #expect(try LinuxFileSystem().status(file).mode & 0o077 == 0)
        // The same id and owner with another secret.
        let forged = TokenText(owner: "alice", prefix: TokenText.ticketPrefix).text.split(separator: ".")
        #expect(identityCode { _ = try read(desk, "\(forged[0]).\(names[0].prefix(12)).\(forged[2])") } == .ticketInvalid)
        fixture.lives.withLock { $0["alice"] = "00000000000000a2" }
        #expect(identityCode { _ = try read(desk, ticket) } == .ticketInvalid)
    }

    @Test("tickets of a user are bounded, what has expired makes room, and deleting the user's tokens takes them along")
    func many() throws {
        let fixture = try TokenFixture()
        let desk = fixture.desk()
        let make = {
            try desk.makeTicket(for: fixture.alice, path: Self.path, by: .open, under: closed).ticket
        }
        let first = try make()
        let reader = try read(desk, first)
        for _ in 1..<StreamTicket.maximumPerUser { _ = try make() }
        #expect(identityCode { _ = try make() } == .tooManyTickets)
        fixture.clock.advance(by: 61)
        _ = try make()
        // What is being read stays, although its process has not renewed it in time.
        let folder = "\(fixture.folder.path)/stream-tickets/alice"
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 2)
        try desk.revokeAll(of: fixture.alice)
        #expect(!FileManager.default.fileExists(atPath: folder))
        fixture.clock.advance(by: 2)
        #expect(!reader.goesOn())
    }
}
