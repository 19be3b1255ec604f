// Messages that are meant for nanobot and not for a model: the whole message is the command. Pure; any thread.

import Foundation

/// What a user may say to nanobot itself. Anything else that begins with a slash is an ordinary message.
public enum ChatCommand: String, Sendable, CaseIterable {
    /// What there is to say.
    case help = "/help"
    /// The conversation begins anew; what was said stays readable.
    case new = "/new"
    /// The session, the model, what was used.
    case status = "/status"
    /// Ends what the session has running and waiting.
    case stop = "/stop"

    /// - Parameter message: blanks around the command and its case do not matter.
    public init?(message: String) {
        guard message.utf8.count <= 64 else { return nil }
        self.init(rawValue: message.trimmingCharacters(in: .whitespacesAndNewlines).lowercased())
    }
}

extension JobRequest {
    /// The command this chat is, if it is one.
    public var command: ChatCommand? { kind == .chat ? message.flatMap { ChatCommand(message: $0) } : nil }
}
