// Limits in money and models without a price, in the settings: what does not start, and what `doctor` says.

import Accounts
import DurableFiles
import Foundation
import Jobs
import Logging
import Providers
import Tenants
import TestSupport
import Testing
import TextFormats

@testable import Runtime

@Suite struct ModelPricingTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var settings: String
        /// What is refused, as "place model"; empty: it starts.
        var refused: [String] = []
        var limit = ""
    }

    private static let priced = #""prices": {"acme/priced": {"input": 1, "output": 2}, "acme/free": {"input": 0, "output": 0}}"#

    static let rows: [Row] = [
        Row(testDescription: "no limit in money", settings: #"{"model": "acme/new"}"#),
        Row(testDescription: "offline", settings: #"{"limits": {"user": {"cost_per_month": 1}}}"#),
        Row(
            testDescription: "an account that asks no model",
            settings: #"{"model": "built/in", "providers": {"built": {"type": "offline"}}, "limits": {"user": {"cost_per_month": 1}}}"#),
        Row(
            testDescription: "a price, also of 0",
            settings: #"{"model": "acme/priced", "fallback_models": ["acme/free"], \#(priced), "limits": {"user": {"cost_per_month": 1}}}"#),
        Row(
            testDescription: "the default model",
            settings: #"{"model": "acme/new", \#(priced), "limits": {"user": {"cost_per_month": 1}}}"#,
            refused: ["model acme/new"], limit: "limits.user.cost_per_month"),
        Row(
            testDescription: "the whole service's limit",
            settings: #"{"model": "acme/new", \#(priced), "limits": {"service": {"cost_per_month": 1}}}"#,
            refused: ["model acme/new"], limit: "limits.service.cost_per_month"),
        Row(
            testDescription: "a fallback model",
            settings: #"{"model": "acme/priced", "fallback_models": ["acme/free", "acme/new"], \#(priced), "limits": {"user": {"cost_per_month": 1}}}"#,
            refused: ["fallback_models acme/new"], limit: "limits.user.cost_per_month"),
        Row(
            testDescription: "a fallback model for a job's own model, though the default is offline",
            settings: #"{"fallback_models": ["acme/new"], \#(priced), "limits": {"user": {"cost_per_month": 1}}}"#,
            refused: ["fallback_models acme/new"], limit: "limits.user.cost_per_month"),
        Row(
            testDescription: "a plan's model, and its own limit",
            settings: #"{"plans": {"pro": {"cost_per_month": 5, "models": ["offline", "acme/new"]}}}"#,
            refused: ["plans.pro.models acme/new"], limit: "plans.pro.cost_per_month"),
        Row(
            testDescription: "a plan's model, and everybody's limit",
            settings: #"{\#(priced), "limits": {"user": {"cost_per_month": 1}}, "plans": {"pro": {"models": ["acme/new"]}}}"#,
            refused: ["plans.pro.models acme/new"], limit: "plans.pro.cost_per_month"),
        Row(
            testDescription: "a plan without a limit in money",
            settings: #"{\#(priced), "limits": {"user": {"cost_per_month": 1}}, "plans": {"pro": {"cost_per_month": 0, "models": ["acme/new"]}}}"#),
        Row(
            testDescription: "a plan without a limit in money, under the whole service's",
            settings: #"{\#(priced), "limits": {"service": {"cost_per_month": 1}}, "plans": {"pro": {"models": ["acme/new"]}}}"#,
            refused: ["plans.pro.models acme/new"], limit: "limits.service.cost_per_month"),
        Row(
            testDescription: "a plan that does not have the default model",
            settings: #"{"model": "acme/new", \#(priced), "plans": {"pro": {"cost_per_month": 5, "models": ["acme/priced"]}}}"#),
        Row(
            testDescription: "a pattern of which one model has a price: others are refused when they are asked for",
            settings: #"{\#(priced), "plans": {"pro": {"cost_per_month": 5, "models": ["offline", "acme/*"]}}}"#),
        Row(
            testDescription: "a pattern of which no model has a price",
            settings: #"{\#(priced), "plans": {"pro": {"cost_per_month": 5, "models": ["offline", "other/*"]}}}"#,
            refused: ["plans.pro.models other/*"], limit: "plans.pro.cost_per_month"),
        Row(
            testDescription: "any model: those without a price are refused when they are asked for",
            settings: #"{"plans": {"pro": {"cost_per_month": 5, "models": ["*"]}}}"#),
    ]

    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func home(_ settings: String) throws -> (TemporaryDirectory, NanobotHome) {
        let folder = try TemporaryDirectory()
        try LinuxFileSystem().replaceFile(folder.path + "/config.json", Array(settings.utf8))
        return (folder, NanobotHome(path: folder.path))
    }

    @Test("a model without a price under a limit in money does not start, and doctor says which", arguments: rows)
    func start(row: Row) throws {
        let (folder, home) = try home(row.settings)
        let services = try NanobotServices.open(home: home, environment: [:], logger: Self.quiet)
        let found = services.settings.unpricedModels
        #expect(found.map { "\($0.place) \($0.model)" } == row.refused)
        #expect(Set(found.map(\.limit)).subtracting([row.limit]).isEmpty)
        let diagnoses = services.priceDiagnoses
        #expect(diagnoses.filter { $0.verdict == .failure }.map(\.detail) == found.map(\.description))
        #expect(found.allSatisfy { $0.description.contains($0.model) && $0.description.contains($0.limit) })
        guard let first = found.first else {
            _ = try NanobotServices.open(home: home, environment: [:], logger: Self.quiet, isServer: true)
            return
        }
        do {
            _ = try NanobotServices.open(home: home, environment: [:], logger: Self.quiet, isServer: true)
            Issue.record("it started")
        } catch let error as SettingsError {
            #expect(error.detail == first.description && error.place == folder.path + "/config.json")
        }
    }

    @Test("the environment's model counts, too")
    func environment() throws {
        let (folder, home) = try home(#"{"limits": {"user": {"cost_per_month": 1}}}"#)
        defer { _ = folder }
        #expect(throws: SettingsError.self) {
            try NanobotServices.open(
                home: home, environment: ["NANOBOT_MODEL": "acme/new"], logger: Self.quiet, isServer: true)
        }
    }

    @Test("a job's own model without a price is not taken in, whichever way it comes", arguments: [JobSource.api, .cli, .drop])
    func admission(source: JobSource) throws {
        let bench = try RuntimeBench(settings: "{\(Self.priced), \"limits\": {\"user\": {\"cost_per_month\": 1}}}")
        try bench.services.accounts.create(try UserID("demo"))
        func submit(_ model: String) throws {
            let request = try JobRequest.parse(
                ["kind": "chat", "user_id": "demo", "message": "hi", "model": .string(model)], now: Date())
            _ = try bench.services.client.submit(request, source: source)
        }
        do {
            try submit("acme/new")
            Issue.record("it was taken in")
        } catch let error as JobError {
            #expect(error.kind == .modelUnpriced && error.code == "model_unpriced" && error.field == "model")
            #expect(error.detail.contains("acme/new") && !error.isPassing)
        }
        for model in ["acme/priced", "acme/free", "offline"] { try submit(model) }
    }
}
