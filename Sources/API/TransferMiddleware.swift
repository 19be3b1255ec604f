// Leases the memory of a request's body and of its answer from the TransferBudget before the bytes are there. Around every route, inside
// of AccessMiddleware, so that the bytes' user is known. Runs on the request's task. Failure: ProblemDetails of the TransferBudget.

import HTTPTypes
import Hummingbird
import Identity
import NIOCore
import ServiceLifecycle
import Synchronization
import Tenants

struct TransferMiddleware: RouterMiddleware {
    typealias Context = APIContext

    /// Bytes of a body that are not counted, of a request and of an answer: most have fewer, and connections are bounded.
    static let uncounted = 16 << 10

    /// How long a download goes on when the service shuts down.
    private static let shutdownGrace = TimeAmount.seconds(10)

    let budget: TransferBudget
    /// Seconds one piece of an answer may take.
    let writeTimeout: Int64

    func handle(
        _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let intake = Intake(request, context, budget)
        var request = request
        if let intake { request.body = RequestBody(asyncSequence: CountedBody(base: request.body, intake: intake)) }
        var response = try await next(request, context)
        withExtendedLifetime(intake) {}
        // The answer to HEAD loses its body further out.
        if request.method != .head { try pace(&response, of: request, context) }
        return response
    }

    /// A large body goes out piece by piece. A route that makes its body while it is sent has leased that already; for a body that
    /// is there as a whole the client is not made to wait: it is sent, or given up, unless the call has changed something.
    private func pace(_ response: inout Response, of request: Request, _ context: APIContext) throws {
        var lease = context.notes.takeLease()
        if let size = response.body.contentLength, size <= Self.uncounted { return }
        if lease == nil {
            guard let size = response.body.contentLength else { return }
            let user = context.caller.user
            lease = request.method == .get ? try budget.takeNow(size, for: user) : budget.takeAnyway(size, for: user)
        }
        let (body, channel, seconds, held) = (response.body, context.channel, writeTimeout, lease)
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            defer { withExtendedLifetime(held) {} }
            let paced = PacedWriter(channel: channel, seconds: seconds, parent: writer)
            try await withGracefulShutdownHandler {
                try await body.write(paced)
            } onGracefulShutdown: {
                channel.eventLoop.scheduleTask(in: Self.shutdownGrace) { channel.close(promise: nil) }
            }
        }
    }
}

/// The leases of one request's body.
final class Intake: Sendable {
    private let channel: any Channel
    private let budget: TransferBudget
    private let user: UserID?
    /// nil: not said.
    private let declared: Int?
    private let isExpecting: Bool
    /// A file is in memory until it is written; other bodies are read and gone when the last byte is there, while their call may
    /// wait for a job.
    private let isKept: Bool
    private struct State {
        var leases: [TransferBudget.Lease] = []
        var leased = TransferMiddleware.uncounted
        var received = 0
        var hasBegun = false
        /// For leases, in all.
        var waited = TimeAmount.zero
    }
    private let state = Mutex(State())

    /// nil: nothing of the request's body needs to be counted.
    init?(_ request: Request, _ context: APIContext, _ budget: TransferBudget) {
        declared = request.headers[.contentLength].flatMap { Int($0) }
        isExpecting = request.headers[.expect] != nil
        guard isExpecting || request.headers[.transferEncoding] != nil || declared ?? 0 > TransferMiddleware.uncounted
        else { return nil }
        isKept = request.method == .put
        channel = context.channel
        user = context.caller.user
        self.budget = budget
    }

    /// Before the body is asked for. A body whose size was said is leased at once, or is left with the client.
    func begin() async throws {
        let hasBegun = state.withLock { state in
            defer { state.hasBegun = true }
            return state.hasBegun
        }
        guard !hasBegun else { return }
        if let declared, declared > TransferMiddleware.uncounted { try await lease(declared) }
        if isExpecting { try await channel.triggerUserOutboundEvent(ExpectContinue.Proceed()).get() }
    }

    /// - Parameter count: bytes that came. A body whose size was not said is leased by doubling.
    func received(_ count: Int) async throws {
        let missing = state.withLock { state in
            state.received += count
            return state.received > state.leased ? max(state.leased, state.received - state.leased) : 0
        }
        if missing > 0 { try await lease(missing) }
    }

    func ended() {
        guard !isKept else { return }
        let leases = state.withLock { state in
            defer { state.leases = [] }
            return state.leases
        }
        withExtendedLifetime(leases) {}
    }

    private func lease(_ bytes: Int) async throws {
        let begin = NIODeadline.now()
        let lease = try await budget.take(bytes, for: user, on: channel, waited: state.withLock(\.waited))
        state.withLock { state in
            state.waited = state.waited + (NIODeadline.now() - begin)
            state.leases.append(lease)
            state.leased += bytes
        }
    }
}

/// A request's body that is leased while it is read.
struct CountedBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let base: RequestBody
    let intake: Intake

    struct AsyncIterator: AsyncIteratorProtocol {
        var base: RequestBody.AsyncIterator
        let intake: Intake

        mutating func next() async throws -> ByteBuffer? {
            try await intake.begin()
            guard let buffer = try await base.next() else {
                intake.ended()
                return nil
            }
            try await intake.received(buffer.readableBytes)
            return buffer
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: base.makeAsyncIterator(), intake: intake) }
}

extension HTTPField.Name {
    static let expect = HTTPField.Name("Expect")!
}
