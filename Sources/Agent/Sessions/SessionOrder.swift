// The order in which a conversation's messages are shown, and the choice of the lines that count: one rule for
// entries in memory and for places in a file. Pure; any thread. Never fails.

import Providers

/// The facts that the order depends on.
protocol SessionItem {
    var id: String { get }
    var jobID: String { get }
    /// The user's words.
    var isQuestion: Bool { get }
    var isInterrupted: Bool { get set }
}

extension SessionEntry: SessionItem {
    var isQuestion: Bool { message.role == .user }
}

enum SessionOrder {
    /// Ends the id of a question that was written before its turn was over. The turn's own entries then carry no
    /// question.
    static let earlyQuestion = ":q"

    static func isEarly(_ id: String) -> Bool { id.hasSuffix(earlyQuestion) }

    /// Each id once, without what a later whole turn of the same job replaces.
    static func arranged<Item: SessionItem>(_ items: [Item]) -> [Item] {
        let whole = Set(items.filter { !$0.isInterrupted }.map(\.jobID))
        let last = Dictionary(items.map { ($0.jobID, $0.id) }, uniquingKeysWith: { _, last in last })
        var seen: Set<String> = []
        return questionsFirst(items).compactMap { item in
            guard seen.insert(item.id).inserted else { return nil }
            // Last words that a later attempt of the job went beyond.
            if StoppedTurn.isStop(item.id, of: item.jobID), last[item.jobID] != item.id { return nil }
            guard item.isInterrupted, whole.contains(item.jobID) else { return item }
            guard isEarly(item.id) else { return nil }
            var question = item
            question.isInterrupted = false
            return question
        }
    }

    /// A question that was written early stays where it was written, in front of the answers of other jobs that came
    /// meanwhile. A turn that came after other questions, since an operator retried its job, is shown where it came.
    /// Files of older versions have the question a second time, with the turn: its early form goes.
    private static func questionsFirst<Item: SessionItem>(_ all: [Item]) -> [Item] {
        var items = all
        let early = all.indices.filter { isEarly(all[$0].id) }
        guard !early.isEmpty else { return items }
        let jobs = Set(early.map { all[$0].jobID })
        var places: [String: [Int]] = [:]
        for (place, item) in all.enumerated() where jobs.contains(item.jobID) && !isEarly(item.id) {
            places[item.jobID, default: []].append(place)
        }
        var gone: Set<Int> = []
        var moved: [Int: Item] = [:]
        for place in early {
            let job = all[place].jobID
            let own = (places[job] ?? []).filter { $0 > place }
            let second = own.last { all[$0].isQuestion }
            guard let turn = second ?? own.first(where: { !all[$0].isInterrupted }) else { continue }
            let isOvertaken = all[place..<turn].contains { $0.isQuestion && $0.jobID != job }
            if second == nil, !isOvertaken { continue }
            gone.insert(place)
            guard let second else {
                moved[turn] = all[place]
                continue
            }
            if !isOvertaken {
                items.swapAt(place, second)
                gone.remove(place)
                gone.insert(second)
            }
        }
        return items.indices.flatMap { place in
            (moved[place].map { [$0] } ?? []) + (gone.contains(place) ? [] : [items[place]])
        }
    }
}
