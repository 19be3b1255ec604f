// The HTTP side of nanobot: puts routes, middleware and bounds together into one Hummingbird application.
// Made and run by Runtime inside its ServiceGroup; nothing here blocks an event loop.

import Foundation
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import WireTypes

/// The HTTP API as an application that a ServiceGroup can run.
///
/// On graceful shutdown it takes no new connections, lets requests in progress finish, and ends long polls and event
/// streams at once: their clients reconnect and resume.
public struct APIServer: Sendable {
    private let options: APIOptions
    private let services: APIServices
    private let logger: Logger

    /// - Throws: ProblemDetails `binding_refused` when `options.host` may not be bound, see `BindingPolicy`.
    public init(options: APIOptions, services: APIServices, logger: Logger) throws(ProblemDetails) {
        let isClosed = options.adminToken?.isEmpty == false || options.jwt != nil || options.hasTokens
        if let refusal = BindingPolicy.check(host: options.host, isClosed: isClosed) {
            throw ProblemDetails(status: 500, code: "binding_refused", detail: refusal)
        }
        self.options = options
        self.services = services
        self.logger = logger
    }

    /// The application; make and run one per server.
    /// - Throws: ProblemDetails `tls` when the certificate or its key cannot be used.
    public func makeApplication() throws(ProblemDetails) -> some ApplicationProtocol {
        let room = ConnectionRoom(limit: options.maxConnections)
        let bridge = BlockingBridge(threads: options.blockingThreads, limit: options.maxBlockingCalls)
        let meter = RequestMeter(room: room)
        let slots = StreamSlots(limit: options.maxStreams, userLimit: options.maxStreamsOfUser)
        let budget = TransferBudget(
            limit: options.transferBytes, userLimit: options.transferBytesOfUser, patience: .seconds(options.transferWait))
        let directory = directory(bridge, meter, slots, budget)
        let router = Router(context: APIContext.self, options: .autoGenerateHeadEndpoints)
        router.add(
            middleware: EnvelopeMiddleware(
                routes: directory, meter: meter, origins: policy.origins, trusted: options.trustedProxies, audit: options.audit,
                now: options.now
            ))
        let rates = RequestRates(perMinute: options.requestsPerMinute, now: options.now)
        router.add(middleware: AccessMiddleware(policy: policy, bridge: bridge, rates: rates))
        router.add(middleware: TransferMiddleware(budget: budget, writeTimeout: options.writeTimeout))
        for route in directory.routes {
            router.on(RouterPath(route.path), method: route.method) { try await route.handler($0, $1) }
        }

        // Literal IPv6 addresses are bound without the brackets they have in a URL.
        let host = options.host.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        let counts = ConnectionCounts(limit: options.connectionsPerAddress, exempt: options.trustedProxies)
        let channel = HTTP1Channel.Configuration(
            additionalChannelHandlers: [
                ConnectionShare(counts: counts), ConnectionPlace(room: room), FramingGuard.Installer(),
                BodyDeadline(seconds: options.bodyTimeout), ClientDeparture(), MalformedRequest(), ExpectContinue(),
            ],
            idleTimeout: .seconds(options.idleTimeout))
        return Application(
            router: router, server: try server(channel),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: options.port), serverName: nil, backlog: 1_024,
                availableConnectionsDelegate: .maximum(options.maxConnections, logger: logger)),
            services: [bridge],
            onServerRunning: { [options] channel in options.onRunning(channel.localAddress?.port ?? options.port) },
            logger: logger)
    }

    private var policy: AccessPolicy {
        AccessPolicy(
            adminToken: options.adminToken, tokens: services.tokens, jwt: options.jwt,
            origins: CrossOrigin(options.corsOrigins))
    }

    private func server(_ channel: HTTP1Channel.Configuration) throws(ProblemDetails) -> HTTPServerBuilder {
        guard let files = options.tls else { return .http1(configuration: channel) }
        do {
            let certificate = try ServerCertificate(files)
            return try .tls(.http1(configuration: channel), tlsConfiguration: certificate.configuration())
        } catch {
            let detail = "\(files.certificate) and \(files.key) cannot be used as certificate and key: \(error)"
            throw ProblemDetails(status: 500, code: "tls", detail: detail)
        }
    }

    /// Every call there is.
    func directory(
        _ bridge: BlockingBridge, _ meter: RequestMeter, _ slots: StreamSlots, _ budget: TransferBudget
    ) -> RouteDirectory {
        RouteDirectory(groups(bridge, meter, slots, budget).flatMap(\.routes))
    }

    private func groups(
        _ bridge: BlockingBridge, _ meter: RequestMeter, _ slots: StreamSlots, _ budget: TransferBudget
    ) -> [any RouteGroup] {
        let waiter = JobWaiter(
            jobs: services.jobs, watcher: services.watcher, bridge: bridge, safetyInterval: options.safetyInterval)
        let streams = EventStream(
            waiter: waiter, slots: slots, heartbeatInterval: options.heartbeatInterval,
            writeTimeout: options.writeTimeout)
        let endings = JobEndings(budgets: services.budgets, bridge: bridge, now: options.now)
        let clientAnswers = ClientAnswers(
            options: options, services: services, bridge: bridge, waiter: waiter, endings: endings)
        return [
            ServiceRoutes(
                options: options, status: services.status, bridge: bridge, meter: meter, slots: slots, budget: budget),
            DocumentationRoutes(assets: DocumentationAssets(read: options.documentationAsset), bridge: bridge),
            UserRoutes(options: options, services: services, bridge: bridge),
            AccountRoutes(options: options, services: services, bridge: bridge),
            TokenRoutes(options: options, services: services, bridge: bridge),
            TicketRoutes(
                options: options, services: services, bridge: bridge, waiter: waiter, conditions: policy.conditions),
            ChatRoutes(
                options: options, jobs: services.jobs, bridge: bridge, waiter: waiter, streams: streams,
                endings: endings),
            ReportRoutes(
                options: options, services: services, bridge: bridge, budget: budget, waiter: waiter,
                answers: ReportAnswers(jobs: services.jobs, reports: services.reports), endings: endings),
            ScheduleRoutes(options: options, services: services, bridge: bridge),
            FileRoutes(options: options, services: services, bridge: bridge, budget: budget),
            SessionRoutes(options: options, services: services, bridge: bridge, budget: budget),
            SkillRoutes(services: services, bridge: bridge),
            JobRoutes(options: options, services: services, bridge: bridge, waiter: waiter, streams: streams),
            QueueRoutes(jobs: services.jobs, bridge: bridge),
            OpenAIRoutes(answers: clientAnswers, streams: streams),
            AnthropicRoutes(answers: clientAnswers, streams: streams),
        ]
    }
}
