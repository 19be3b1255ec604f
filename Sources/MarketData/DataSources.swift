// The operator's sources over HTTP, shared by all users: one exchange for an address within its max age, however many ask at
// once. A source that fails is left alone for a while and named as a problem; nothing is invented in its place. Any thread;
// blocks for at most `patience`. Never throws.
import Foundation
import HTTPTransport
import Synchronization
import TextFormats
import WebText

public final class DataSources: Sendable {
    private struct Answer {
        var bytes: [UInt8]
        var time: TimeInterval
        var tag: String?
    }

    private enum Entry {
        /// Somebody is asking: the others wait.
        case asking
        case answer(Answer)
        case failure(MarketDataError, until: TimeInterval)
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var bytes = 0
    }

    /// Seconds one question may take in all.
    static let patience = 20.0
    /// Seconds a source that failed is left alone, unless it asks for more.
    private static let rest = 30.0
    private static let longestRest = 600.0
    /// Exchanges of one question at once.
    private static let width = 8
    private static let maxEntries = 10_000
    private static let maxBytes = 128 << 20

    private let sources: [DataSource]
    private let outside: HTTPClient
    private let anywhere: HTTPClient
    private let state = Mutex(State())
    private let changed = NSCondition()

    public init(_ sources: [DataSource]) {
        self.sources = sources
        outside = HTTPClient(policy: .publicInternetOnly)
        anywhere = HTTPClient(policy: .anywhere)
    }

    public var isEmpty: Bool { sources.isEmpty }

    private static var now: TimeInterval { ProcessInfo.processInfo.systemUptime }

    // MARK: - Asking

    /// - Returns: what the sources of quotes say about the symbols, and what could not be had.
    public func quotes(
        _ symbols: [String], cancellation: CancellationToken? = nil
    ) -> (pieces: [SourcePiece], problems: [MarketDataError]) {
        ask(.quotes, symbols, cancellation)
    }

    /// What the sources of quotes have said about the symbols before, however long ago. Asks none of them and does not wait.
    public func rememberedQuotes(_ symbols: [String]) -> [SourcePiece] {
        let questions = questions(.quotes, symbols)
        return state.withLock { state in
            questions.compactMap { question in
                guard case .answer(let answer)? = state.entries[question.address] else { return nil }
                return SourcePiece(
                    label: question.source.label, format: question.source.format, bytes: answer.bytes,
                    symbol: question.symbol)
            }
        }
    }

    /// - Parameter symbols: for sources that are asked by symbol.
    public func feeds(
        _ symbols: [String], cancellation: CancellationToken? = nil
    ) -> (items: [FeedItem], problems: [MarketDataError]) {
        var (pieces, problems) = ask(.feeds, symbols, cancellation)
        var items: [FeedItem] = []
        for piece in pieces {
            if piece.format == .feed {
                items += FeedItem.read(feed: piece, &problems)
            } else {
                FeedShelf.read(
                    piece.bytes, file: piece.label, isJSON: piece.format == .json, into: &items, &problems)
            }
        }
        pieces = []
        return (items, problems)
    }

    private func questions(
        _ kind: DataSource.Kind, _ symbols: [String]
    ) -> [(source: DataSource, symbol: String?, address: String)] {
        sources.filter { $0.kind == kind }.flatMap { source in
            (source.isPerSymbol ? symbols.map { Optional($0) } : [nil]).compactMap { symbol in
                source.address(for: symbol).map { (source, symbol, $0) }
            }
        }
    }

    private func ask(
        _ kind: DataSource.Kind, _ symbols: [String], _ cancellation: CancellationToken?
    ) -> ([SourcePiece], [MarketDataError]) {
        let questions = questions(kind, symbols)
        guard !questions.isEmpty else { return ([], []) }
        let deadline = Self.now + Self.patience
        let results = Mutex<[Int: Result<[UInt8], MarketDataError>]>([:])
        let next = Mutex(0)
        DispatchQueue.concurrentPerform(iterations: min(Self.width, questions.count)) { _ in
            while let index = next.withLock({ index -> Int? in
                guard index < questions.count else { return nil }
                defer { index += 1 }
                return index
            }) {
                let question = questions[index]
                let result = answer(question.source, question.address, deadline, cancellation)
                results.withLock { $0[index] = result }
            }
        }
        var pieces: [SourcePiece] = []
        var problems: [MarketDataError] = []
        for (index, question) in questions.enumerated() {
            switch results.withLock({ $0[index] }) {
            case .success(let bytes)?:
                pieces.append(
                    SourcePiece(
                        label: question.source.label, format: question.source.format, bytes: bytes,
                        symbol: question.symbol))
            case .failure(let problem)?: if !problems.contains(problem) { problems.append(problem) }
            case nil: break
            }
        }
        return (pieces, problems)
    }

    // MARK: - One address

    /// From what is known, else by an exchange; of several who ask at once one does it.
    private func answer(
        _ source: DataSource, _ address: String, _ deadline: TimeInterval, _ cancellation: CancellationToken?
    ) -> Result<[UInt8], MarketDataError> {
        var before: Answer?
        while true {
            let entry = state.withLock { state -> Entry? in
                let entry = state.entries[address]
                switch entry {
                case .asking?: return entry
                case .answer(let answer)? where Self.now - answer.time < source.maxAge: return entry
                case .failure(_, let until)? where Self.now < until: return entry
                case .answer(let answer)?: before = answer
                default: break
                }
                state.entries[address] = .asking
                return nil
            }
            switch entry {
            case .answer(let answer)?: return .success(answer.bytes)
            case .failure(let problem, _)?: return .failure(problem)
            case .asking?:
                guard Self.now < deadline, cancellation?.isCancelled != true else {
                    return .failure(Self.problem(source, "did not answer in time"))
                }
                changed.withLock { _ = changed.wait(until: Date(timeIntervalSinceNow: 0.2)) }
            case nil:
                let new = exchange(source, address, before, deadline, cancellation)
                keep(new, at: address)
                changed.withLock { changed.broadcast() }
                switch new {
                case .answer(let answer): return .success(answer.bytes)
                case .failure(let problem, _): return .failure(problem)
                case .asking: return .failure(Self.problem(source, "was not asked"))
                }
            }
        }
    }

    private func keep(_ entry: Entry, at address: String) {
        state.withLock { state in
            if state.entries.count >= Self.maxEntries || state.bytes > Self.maxBytes {
                // Those that are being asked for stay, so that nobody waits for ever.
                state.entries = state.entries.filter { if case .asking = $0.value { true } else { false } }
                state.bytes = 0
            }
            if case .answer(let answer) = entry { state.bytes += answer.bytes.count }
            state.entries[address] = entry
        }
    }

    private func exchange(
        _ source: DataSource, _ address: String, _ before: Answer?, _ deadline: TimeInterval,
        _ cancellation: CancellationToken?
    ) -> Entry {
        guard var headers = source.headers() else {
            return .failure(Self.problem(source, "its key is not set"), until: Self.now + Self.rest)
        }
        let secrets = source.secrets(headers, address)
        if let tag = before?.tag { headers.append((name: "If-None-Match", value: tag)) }
        let seconds = min(source.timeout, deadline - Self.now)
        guard seconds > 0 else { return .failure(Self.problem(source, "there was no time left to ask it"), until: 0) }
        let request = HTTPRequest(
            url: address, headers: headers, deadline: seconds, connectTimeout: min(5, seconds), idleTimeout: seconds,
            maxResponseBytes: DataLimits.fileBytes)
        do throws(TransportError) {
            let response = try (source.allowsPrivate ? anywhere : outside).send(request, cancellation: cancellation)
            if response.status == 304, let before {
                return .answer(Answer(bytes: before.bytes, time: Self.now, tag: before.tag))
            }
            guard response.isSuccess else { return refused(source, response) }
            // A source that repeats its key would bring it into reports and conversations.
            var bytes = secrets.hide(response.body)
            if source.format == .feed {
                bytes = Array(TextDecoding.text(bytes, contentType: response.header("content-type")).utf8)
            }
            do throws(MarketDataError) {
                return .answer(
                    Answer(bytes: try source.records(bytes), time: Self.now, tag: response.header("etag")))
            } catch {
                return .failure(error, until: Self.now + Self.rest)
            }
        } catch {
            let isOver = error.code == .cancelled
            return .failure(Self.problem(source, secrets.hide(error.detail)), until: isOver ? 0 : Self.now + Self.rest)
        }
    }

    private func refused(_ source: DataSource, _ response: HTTPResponse) -> Entry {
        let asked = response.header("retry-after").flatMap(Double.init) ?? Self.rest
        let detail =
            (300..<400).contains(response.status)
            ? "answered \(response.status): configure the address it redirects to" : "answered \(response.status)"
        return .failure(
            Self.problem(source, detail), until: Self.now + min(max(asked, Self.rest), Self.longestRest))
    }

    private static func problem(_ source: DataSource, _ detail: String) -> MarketDataError {
        MarketDataError(code: .unreadable, file: source.label, detail: detail)
    }
}

extension FeedItem {
    /// The entries of an RSS or Atom document.
    static func read(feed piece: SourcePiece, _ problems: inout [MarketDataError]) -> [FeedItem] {
        let text = String(decoding: piece.bytes, as: UTF8.self)
        guard let document = try? FeedDocument(text) else {
            problems.append(MarketDataError(code: .badFormat, file: piece.label, detail: "is no RSS or Atom feed"))
            return []
        }
        return document.entries.compactMap { entry in
            guard let title = ValueReading.text(entry.title) else { return nil }
            var item = FeedItem(
                title: title, source: ValueReading.text(document.title) ?? piece.label, file: piece.label)
            item.link = entry.link.flatMap(FeedShelf.link)
            item.summary = ValueReading.text(entry.summary)
            item.published = entry.published.flatMap { ValueReading.time($0) ?? MailDate.date($0) }
            if let symbol = piece.symbol { item.tags = [symbol] }
            return item
        }
    }
}

/// The dates of RSS (RFC 5322, section 3.3).
enum MailDate {
    static func date(_ text: String) -> Date? {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        for form in [
            "EEE, dd MMM yyyy HH:mm:ss Z", "dd MMM yyyy HH:mm:ss Z", "EEE, dd MMM yyyy HH:mm Z",
            "EEE, dd MMM yyyy HH:mm:ss zzz",
        ] {
            formatter.dateFormat = form
            if let date = formatter.date(from: text.trimmingCharacters(in: .whitespacesAndNewlines)) { return date }
        }
        return nil
    }
}
