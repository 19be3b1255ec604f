// The order in which a conversation's messages are shown, and the choice of the lines that count: one rule for entries in memory and for
// places in a file. Pure; any thread. Never fails.

import Providers

/// The facts that the order depends on.
protocol SessionItem {
    var id: String { get }
    var jobID: String { get }
    /// The user's words.
    var isQuestion: Bool { get }
    var isInterrupted: Bool { get }
}

extension SessionEntry: SessionItem {
    var isQuestion: Bool { message.role == .user }
}

enum SessionOrder {
    /// Ends the id of a question that was written before its turn was over.
    static let earlyQuestion = ":q"

    /// Each id once, without what a later whole turn of the same job replaces.
    static func arranged<Item: SessionItem>(_ items: [Item]) -> [Item] {
        let whole = Set(items.filter { !$0.isInterrupted }.map(\.jobID))
        var seen: Set<String> = []
        return questionsFirst(items).filter { item in
            seen.insert(item.id).inserted && !(item.isInterrupted && whole.contains(item.jobID))
        }
    }

    /// A question that was written early stands where it was written, in front of what came in answer to it meanwhile; its
    /// early form goes when the turn is there, whole or interrupted.
    private static func questionsFirst<Item: SessionItem>(_ items: [Item]) -> [Item] {
        var items = items
        for place in items.indices where items[place].id.hasSuffix(earlyQuestion) {
            let job = items[place].jobID
            let later = items.indices.last {
                $0 > place && items[$0].jobID == job && items[$0].isQuestion && !items[$0].id.hasSuffix(earlyQuestion)
            }
            if let later { items.swapAt(place, later) }
        }
        let told = Set(items.filter { $0.isQuestion && !$0.id.hasSuffix(earlyQuestion) }.map(\.jobID))
        items.removeAll { $0.id.hasSuffix(earlyQuestion) && told.contains($0.jobID) }
        return items
    }
}
