// The skills of a user as the API and the command line show them, over a real workspace.

import Accounts
import DurableFiles
import Foundation
import Tenants
import TestSupport
import Testing
import TextFormats
import WireTypes

@testable import Runtime

@Suite struct SkillListTests {
    private let bench: RuntimeBench
    private let alice: UserID

    init() throws {
        bench = try RuntimeBench()
        alice = try UserID("alice")
        try bench.services.accounts.create(alice)
    }

    private func write(_ name: String, _ text: String) throws {
        try bench.services.workspaces.open(alice).directory.write("skills/\(name)/SKILL.md", Array(text.utf8))
    }

    private func listed() throws -> [String: JSON] {
        let all = try bench.services.skills.skills(of: alice)
        return Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0.json) })
    }

    @Test("built-in and own skills are listed with source, path and whether a chat can use them")
    func usable() throws {
        try write("prices", "---\nname: prices\ndescription: Watch: prices\nalways: true\nrequires: [quotes]\n---\nBODY\n")
        try write("rocket", "---\nname: rocket\ndescription: Start\nrequires: {tools: [rocket]}\n---\nBODY\n")
        let all = try listed()
        #expect(
            all["prices"] == [
                "name": "prices", "description": "Watch: prices", "always": true, "available": true, "obstacle": nil,
                "problems": [], "path": "skills/prices/SKILL.md", "source": "workspace",
            ])
        #expect(all["rocket"]?["available"] == false && all["rocket"]?["problems"] == [])
        #expect(all["rocket"]?["obstacle"]?.string?.contains("rocket") == true)
        #expect(all["reminders"]?["source"] == "built_in" && all["reminders"]?["available"] == true)
    }

    @Test("a broken file is listed with its fault, in place of the built-in skill it hides")
    func broken() throws {
        try write("reminders", "no front matter")
        let all = try listed()
        #expect(all["reminders"]?["source"] == "workspace" && all["reminders"]?["description"] == .null)
        #expect(all["reminders"]?["problems"]?[0]?.string?.contains("front matter") == true)
        #expect(all.values.map { $0["name"]?.string ?? "" }.sorted() == all.keys.sorted())
    }

    @Test("the skills of a user there is not are an error, and nothing is made")
    func absent() throws {
        let ghost = try UserID("ghost")
        #expect(throws: TenantError.self) { try bench.services.skills.skills(of: ghost) }
        #expect(try !bench.services.workspaces.list().contains(ghost))
    }
}
