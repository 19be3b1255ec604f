// From what is wanted and what the tools have said so far to the next step. Pure, any thread; cannot fail. Wishes are
// carried out one after the other; a wish that needs no more tools gives its part of the answer.

enum OfflinePlanner {
    static func nextStep(_ turn: OfflineTurn) -> OfflineStep {
        if let request = turn.reportRequest {
            let brief = OfflineBrief(request)
            return OfflineReport.step(brief, scope: OfflineScope(turn: turn, index: 0, language: brief.language))
        }
        let language = OfflineLanguage(of: turn.words, preferred: turn.context.language)
        var answers: [String] = []
        for (index, intent) in IntentReader.intents(in: turn.words).enumerated() {
            switch step(intent, OfflineScope(turn: turn, index: index, language: language)) {
            case .calls(let calls): return .calls(calls)
            case .answer(let text): answers.append(text)
            }
        }
        return .answer(answers.joined(separator: "\n\n"))
    }

    private static func step(_ intent: OfflineIntent, _ scope: OfflineScope) -> OfflineStep {
        switch intent {
        case .showWatchlist: WatchlistWish.show(scope)
        case .addToWatchlist(let kind, let items): WatchlistWish.add(items, kind, scope)
        case .removeFromWatchlist(let kind, let items): WatchlistWish.remove(items, kind, scope)
        case .clearWatchlist(let kind): WatchlistWish.clear(kind, scope)
        case .watchlistQuotes: QuotesWish.watchlist(scope)
        case .quotes(let items): QuotesWish.quotes(items, scope)
        case .news(let topic): QuotesWish.news(topic, scope)
        case .report(let kind, let topic):
            OfflineReport.step(OfflineBrief(kind: kind, topic: topic, language: scope.language), scope: scope)
        case .remember(let text): MemoryWish.remember(text, scope)
        case .forget(let text): MemoryWish.forget(text, scope)
        case .recall(let topic): MemoryWish.recall(topic, scope)
        case .listFiles(let path): FilesWish.list(path, scope)
        case .readFile(let path): FilesWish.read(path, scope)
        case .writeFile(let path, let content): FilesWish.write(path, content, scope)
        case .saveNote(let content): FilesWish.saveNote(content, scope)
        case .editFile(let path, let old, let new): FilesWish.edit(path, old, new, scope)
        case .setPreferences(let changes): SettingsWish.set(changes, scope)
        case .stopReports(let kind): SettingsWish.stop(kind, scope)
        case .showPreferences: SettingsWish.show(scope)
        case .showSchedule: SettingsWish.schedule(scope)
        case .addReminder(let expression, let message): SettingsWish.remind(expression, message, scope)
        case .removeSchedule(let id): SettingsWish.removeSchedule(id, scope)
        case .greeting: .answer(OfflinePhrases.greeting(scope))
        case .wellBeing: .answer(OfflinePhrases.wellBeing(scope.language))
        case .thanks: .answer(scope.language("You're welcome.", "不客气。"))
        case .farewell: .answer(scope.language("Goodbye.", "再见。"))
        case .help: .answer(OfflinePhrases.help(scope.language))
        case .identity: .answer(OfflinePhrases.identity(scope.language))
        case .clock: .answer(OfflinePhrases.clock(scope))
        case .unknown: .answer(OfflinePhrases.unknown(scope))
        }
    }
}
