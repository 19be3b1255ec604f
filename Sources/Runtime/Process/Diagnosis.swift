// What keeps an installation from working, or will: `nanobot doctor`. Looks and asks, changes nothing but a lock file of its
// own in the spool. Blocking, up to some seconds for each account that does not answer. Any thread.

import Agent
import DurableFiles
import Foundation
import HTTPTransport
import MCP
import Providers
import Spool
import Subprocesses
import Tenants
import TextFormats
import Workers

/// One thing that was looked at.
public struct Diagnosis: Sendable, Hashable {
    public enum Verdict: String, Sendable { case ok, warning, failure }

    /// Stable, snake_case.
    public var name: String
    public var verdict: Verdict
    /// What was found, and what to do about it.
    public var detail: String

    public init(_ name: String, _ verdict: Verdict, _ detail: String) {
        self.name = name
        self.verdict = verdict
        self.detail = detail
    }
}

extension NanobotServices {
    /// Seconds an account or the service itself may take to answer.
    static let patience = 5.0

    /// Opening the services has shown already that config.json is right and that locks work in the spool.
    public func diagnose() -> [Diagnosis] {
        [
            Diagnosis("settings", .ok, "config.json and the environment are read"),
            folders, space, timeZones, descriptors, secrets, model,
        ] + windowDiagnoses + priceDiagnoses + accountDiagnoses + [exec].compactMap { $0 } + mcpDiagnoses + users
            + serviceDiagnoses
    }

    /// Users whose files have to be repaired by hand, one line each; one line when there are none.
    private var users: [Diagnosis] {
        do throws(TenantError) {
            let all = try workspaces.list()
            var found: [Diagnosis] = []
            for user in all {
                found += try workspaces.damages(of: user).map { damage in
                    Diagnosis("user \(user)", damage.isBlocking ? .failure : .warning, damage.detail)
                }
            }
            guard found.isEmpty else { return found }
            return [Diagnosis("users", .ok, "the settings of \(all.count) can be read")]
        } catch {
            return [Diagnosis("users", .failure, error.detail)]
        }
    }

    private var folders: Diagnosis {
        do throws(SpoolError) {
            let closed = try spool.closedFolders().map(\.rawValue)
            guard closed.isEmpty else {
                return Diagnosis(
                    "spool", .failure,
                    "\(spool.layout.root): may not look into \(closed.joined(separator: ", ")): give the owner the rights back")
            }
        } catch {
            return Diagnosis("spool", .failure, error.detail)
        }
        return Diagnosis(
            "spool", .ok, "\(spool.layout.root): locks work (\(spool.files.isShared ? "a shared" : "a local") file system)")
    }

    private var space: Diagnosis {
        do throws(FileError) {
            let (free, total) = try spool.files.space(spool.layout.root)
            let words = "\(free >> 20) of \(total >> 20) MiB are free in the spool"
            if free < SpoolProbe.minimumFreeSpace { return Diagnosis("disk", .failure, words + ": nothing is accepted; make room") }
            return Diagnosis("disk", free < 1 << 30 ? .warning : .ok, words)
        } catch {
            return Diagnosis("disk", .failure, "\(error)")
        }
    }

    private var timeZones: Diagnosis {
        guard TimeZone(identifier: "Europe/Berlin") != nil, TimeZone(identifier: settings.defaultTimezone) != nil else {
            return Diagnosis("time_zones", .failure, "the system has no time zones: install tzdata")
        }
        return Diagnosis("time_zones", .ok, "known; the default is \(settings.defaultTimezone)")
    }

    private var descriptors: Diagnosis {
        if let problem = WorkerPool.descriptorProblem(workers: settings.workers) {
            return Diagnosis("open_files", .failure, problem.detail)
        }
        return Diagnosis("open_files", .ok, "enough for \(settings.workers) workers")
    }

    private var secrets: Diagnosis {
        let exposed = exposedFiles()
        guard exposed.isEmpty else {
            return Diagnosis("secrets", .warning, exposed.map(\.words).joined(separator: "; "))
        }
        return Diagnosis("secrets", .ok, "the files that hold keys and tokens are their owner's alone")
    }

    private var model: Diagnosis {
        do throws(ProviderError) {
            return Diagnosis("model", .ok, "jobs that name no model use \(try factory.resolve().fullName)")
        } catch {
            return Diagnosis("model", .failure, error.detail)
        }
    }

    /// Nothing where no limit counts money.
    var priceDiagnoses: [Diagnosis] {
        let limits = [settings.userLimits.usage, settings.serviceLimits] + settings.plans.values
        guard limits.contains(where: { $0.costPerMonth > 0 }) else { return [] }
        let unpriced = settings.unpricedModels
        guard unpriced.isEmpty else { return unpriced.map { Diagnosis("prices", .failure, $0.description) } }
        return [Diagnosis("prices", .ok, "every model that the settings name under a limit in USD has a price")]
    }

    // MARK: - Accounts

    /// Those that the settings speak of. Of the built-in ones only what has a key: the others nobody uses.
    private var accountDiagnoses: [Diagnosis] {
        let used = Set(([settings.model] + settings.fallbackModels).compactMap { $0.split(separator: "/").first.map(String.init) })
        return factory.configured.filter { $0.type != .offline }.compactMap { account in
            let key: String?
            do throws(ProviderError) {
                key = try account.apiKey()
            } catch {
                return Diagnosis("account \(account.name)", .failure, error.detail)
            }
            let isMeant = used.contains(account.name) || Settings.ProviderEntry.builtIn[account.name] == nil
            guard isMeant || key?.isEmpty == false else { return nil }
            return reach(account)
        }
    }

    /// Any answer will do: whether the key is right only a call that costs something would show.
    private func reach(_ account: ProviderSettings) -> Diagnosis {
        let name = "account \(account.name)"
        let request = HTTPRequest(
            method: "GET", url: account.effectiveBaseURL, deadline: Self.patience, connectTimeout: Self.patience,
            idleTimeout: Self.patience)
        do throws(TransportError) {
            let answer = try HTTPClient(policy: .anywhere).send(request)
            return Diagnosis(name, .ok, "\(account.effectiveBaseURL) answers (\(answer.status)); the key was not tried")
        } catch {
            return Diagnosis(name, .failure, "\(account.effectiveBaseURL): \(error.detail)")
        }
    }

    // MARK: - What else is there

    private var exec: Diagnosis? {
        guard let options = settings.exec else { return nil }
        if let problem = Bubblewrap(program: options.program, bounds: options.bounds).check() {
            return Diagnosis("exec", .failure, "the tool is not offered: \(problem)")
        }
        return Diagnosis("exec", .ok, "commands run in a box of bubblewrap")
    }

    /// Each server is started, or asked, for the list of its tools.
    private var mcpDiagnoses: [Diagnosis] {
        let configured = settings.mcpServers.compactMap { $0.settings(environment) }
        let servers = MCPServers(configured, startSeconds: max(Self.patience, settings.mcpWait))
        defer { servers.close() }
        _ = servers.offers(waiting: max(Self.patience, settings.mcpWait) + 1)
        return servers.report().map { server, tools, problem in
            let name = "mcp \(server)"
            guard let tools else {
                return Diagnosis(name, .failure, problem ?? "it did not answer in time; its tools are missing")
            }
            return Diagnosis(name, problem == nil ? .ok : .warning, "\(tools) tools" + (problem.map { "; \($0)" } ?? ""))
        }
    }
}
