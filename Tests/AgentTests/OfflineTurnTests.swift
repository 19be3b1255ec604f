// Whole turns with the built-in model, which acts by calling the tools: the two rooms' names and shapes must agree.
import Foundation
import HTTPTransport
import ModelTestSupport
import Providers
import Tenants
import Testing

@testable import Agent

@Suite("Turns with the offline model")
struct OfflineTurnTests {
    static func say(_ words: String, _ house: AgentHouse, _ user: UserID, job: String) throws -> String {
        var turn = try house.turn(user, words, model: ScriptedProvider([]), job: job)
        let offline = OfflineProvider()
        turn.model = ResolvedModel(provider: offline, model: "offline", fullName: "offline")
        return try house.loop.run(
            turn, journal: MemoryJournal(), events: MemoryEvents(), cancellation: CancellationToken()
        ).text
    }

    @Test(
        "Add, remember and recall really act, in both languages",
        arguments: [
            ("add TSLA to my watchlist", "remember that I prefer short answers", "prefer short answers",
             "what do you know about me"),
            ("把TSLA加入我的自选股", "记住我喜欢简短的回答", "喜欢简短的回答", "你知道我的什么"),
        ])
    func acts(add: String, remember: String, fact: String, recall: String) throws {
        let house = try AgentHouse()
        let alice = try house.addUser("alice", stocks: ["AAPL"])
        #expect(try Self.say(add, house, alice, job: "j1").contains("TSLA"))
        #expect(try house.configs.get(alice).watchlist.stocks == ["AAPL", "TSLA"])
        _ = try Self.say(remember, house, alice, job: "j2")
        #expect(try MemoryStore(workspace: house.workspaces.open(alice)).show().contains(fact))
        let known = try Self.say(recall, house, alice, job: "j3")
        #expect(known.contains(fact) && known.contains("TSLA"))
    }
}
