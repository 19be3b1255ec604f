// A home's tokens, a clock, and two users with their incarnations. One test, any thread.
import DurableFiles
import Foundation
import Synchronization
import Tenants
import TestSupport

@testable import Identity

final class TokenFixture: Sendable {
    let folder: TemporaryDirectory
    let clock = ManualClock()
    let lives = Mutex<[String: String]>(["alice": "00000000000000a1", "bob": "00000000000000b0"])
    let alice: UserID
    let bob: UserID

    init() throws {
        folder = try TemporaryDirectory(inMemory: true)
        (alice, bob) = (try UserID("alice"), try UserID("bob"))
    }

    /// A process of its own: nothing remembered from others.
    func desk(files: any FileSystem = LinuxFileSystem()) -> TokenDesk {
        TokenDesk(
            store: TokenStore(folder: folder.path + "/tokens", files: files, now: clock.read),
            incarnation: { user in self.lives.withLock { $0[user.rawValue] } }, now: clock.read)
    }

    /// The token's file of alice's, or of another owner.
    func path(_ id: String, of owner: String = "users/alice") -> String { "\(folder.path)/tokens/\(owner)/\(id).json" }
}

func identityCode(_ body: () throws -> Void) -> IdentityError.Code? {
    do { try body() } catch { return (error as? IdentityError)?.code }
    return nil
}
