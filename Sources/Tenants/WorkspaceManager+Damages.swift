// What is damaged in users' workspaces and needs a person. Any thread; reads, changes nothing, blocks for the disk.

import DurableFiles
import Foundation

/// One file that has to be repaired by hand.
public struct WorkspaceDamage: Sendable, Hashable {
    /// Until it is repaired, calls about the user answer `config_corrupt` and the user's jobs wait. Otherwise the user goes
    /// on without what the file held.
    public var isBlocking: Bool
    /// Which file, and what to do.
    public var detail: String
}

extension WorkspaceManager {
    /// Files of the workspace root that are set aside when they cannot be read, with what follows the name then.
    private static let setAside = ".corrupt-"

    /// - Returns: nothing for a user who is gone. - Throws: `.storage`.
    public func damages(of id: UserID) throws(TenantError) -> [WorkspaceDamage] {
        let workspace: Workspace
        do {
            workspace = try open(id)
        } catch {
            if error.code == .userNotFound { return [] }
            throw error
        }
        var found: [WorkspaceDamage] = []
        if let problem = workspace.configFile.problem() {
            // Deleted since it was opened.
            if problem.code == .userNotFound { return [] }
            found.append(WorkspaceDamage(isBlocking: true, detail: problem.detail))
        }
        do {
            _ = try workspace.standing()
        } catch {
            found.append(WorkspaceDamage(isBlocking: true, detail: error.detail))
        }
        return found + workspace.setAside(containing: Self.setAside)
    }
}

extension Workspace {
    fileprivate func setAside(containing mark: String) -> [WorkspaceDamage] {
        // A folder that cannot be listed shows in the config's problem.
        let names = (try? directory.list(""))?.map(\.name) ?? []
        return names.filter { $0.contains(mark) && !$0.hasPrefix(ConfigFile.name) }.sorted().map { name in
            let original = name.components(separatedBy: mark)[0]
            return WorkspaceDamage(
                isBlocking: false,
                detail: "\(original) of \"\(user)\" was unreadable and is kept as \(name). "
                    + "Repair that file and rename it back, or remove it.")
        }
    }
}
