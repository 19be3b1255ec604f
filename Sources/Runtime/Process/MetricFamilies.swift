// The metric families that this process counts while it works: their names, kinds and help texts, and the rows that are
// there from the start, so that an alert on an increase sees the first one. Pure; any thread.
//
// Labels come from fixed sets: lanes, outcomes, error codes, the providers and models of the configuration. A user's id, a
// path and free text are never labels.

import Jobs
import Metrics
import Providers
import Scheduler
import Spool

struct MetricFamily: Sendable {
    enum Kind: String, Sendable {
        case counter
        case gauge
        case histogram
    }

    var name: String
    var kind: Kind
    var help: String
    /// Rows that begin at 0; empty: rows appear with their first event.
    var rows: [[(String, String)]] = []

    /// The lines before a family's samples. Help texts escape backslashes and line ends (Prometheus, "Exposition formats").
    var head: String {
        let text = help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        return "# HELP \(name) \(text)\n# TYPE \(name) \(kind.rawValue)\n"
    }
}

extension MetricFamily {
    /// Counted by events, in `MetricsStore`. Every counter and histogram counts since the process started.
    static let counted: [MetricFamily] = [
        MetricFamily(
            name: "nanobot_jobs_finished_total", kind: .counter,
            help: "Attempts of jobs that ended in this process since it started, by lane and outcome.",
            rows: lanes.flatMap { lane in outcomes.map { [lane, ("outcome", $0)] } }),
        MetricFamily(
            name: "nanobot_job_errors_total", kind: .counter,
            help: "Attempts of jobs that did not succeed, since the process started, by error code and outcome."),
        MetricFamily(
            name: "nanobot_job_duration_seconds", kind: .histogram,
            help: "Time an attempt of a job held a worker, by lane.", rows: lanes.map { [$0] }),
        MetricFamily(
            name: "nanobot_job_wait_seconds", kind: .histogram,
            help: "Time from a job's due time, or from the end of its backoff or hold, to the start of an attempt, by lane.",
            rows: lanes.map { [$0] }),
        MetricFamily(
            name: "nanobot_jobs_running", kind: .gauge, help: "Jobs that the workers of this process run now.", rows: [[]]),
        MetricFamily(
            name: "nanobot_model_calls_total", kind: .counter,
            help: "Exchanges with model providers since the process started, each retry for itself, by outcome: ok or an error code."),
        MetricFamily(
            name: "nanobot_model_call_duration_seconds", kind: .histogram,
            help: "Time of an exchange with a model provider, answered or not."),
        MetricFamily(
            name: "nanobot_model_tokens_total", kind: .counter,
            help: "Tokens of answered model calls since the process started, by kind: prompt (not cached), cached_prompt, completion."),
        MetricFamily(
            name: "nanobot_model_cost_usd_total", kind: .counter,
            help: "Cost in US dollars of answered model calls since the process started, by the prices of the configuration."),
        MetricFamily(
            name: "nanobot_scheduler_misfires_total", kind: .counter,
            help: "Fires whose time passed while no scheduler ran, since the process started: submitted late or passed over.",
            rows: ReportScheduler.Misfire.allCases.map { [("result", $0.rawValue)] }),
        MetricFamily(
            name: "nanobot_drops_accepted_total", kind: .counter,
            help: "Files of the drop box that became jobs or named a job that is known, since the process started.",
            rows: [[]]),
        MetricFamily(
            name: "nanobot_drops_rejected_total", kind: .counter,
            help: "Files of the drop box that were rejected since the process started, by error code.",
            rows: ["invalid_json", "invalid_job", "too_large", "user_not_found"].map { [("code", $0)] }),
        MetricFamily(
            name: "nanobot_metrics_overflow_total", kind: .counter,
            help: "Events that were not counted because too many different rows exist; above 0 is a fault of nanobot.",
            rows: [[]]),
    ]

    private static let lanes = Lane.allCases.map { ("lane", $0.rawValue) }
    private static let outcomes = ["completed", "failed", "cancelled", "expired", "retried", "held", "released"]
}

/// Where events of rooms without a metrics library are counted.
enum ServiceEvents {
    /// - Parameter models: the full names that may be a label; others are counted as "other".
    static func count(_ call: ProviderCall, models: Set<String>) {
        let isOffline = call.provider == ProviderFactory.offlineName
        let model =
            isOffline
            ? ProviderFactory.offlineName : models.contains("\(call.provider)/\(call.model)") ? call.model : "other"
        let labels = [("provider", call.provider), ("model", model)]
        Counter(
            label: "nanobot_model_calls_total", dimensions: labels + [("outcome", call.failure?.rawValue ?? "ok")]
        ).increment()
        Metrics.Timer(label: "nanobot_model_call_duration_seconds", dimensions: labels).recordSeconds(call.seconds)
        guard call.failure == nil else { return }
        let cached = max(0, min(call.usage.cachedTokens, call.usage.promptTokens))
        let tokens = [
            ("prompt", max(0, call.usage.promptTokens) - cached), ("cached_prompt", cached),
            ("completion", max(0, call.usage.completionTokens)),
        ]
        for (kind, number) in tokens {
            Counter(label: "nanobot_model_tokens_total", dimensions: labels + [("kind", kind)]).increment(by: Int64(number))
        }
        FloatingPointCounter(label: "nanobot_model_cost_usd_total", dimensions: labels).increment(by: call.usage.costUSD)
    }

    static func count(_ misfire: ReportScheduler.Misfire) {
        Counter(label: "nanobot_scheduler_misfires_total", dimensions: [("result", misfire.rawValue)]).increment()
    }

    static func count(_ notice: DropNotice) {
        switch notice {
        case .accepted: Counter(label: "nanobot_drops_accepted_total").increment()
        case .rejected(_, let code, _):
            Counter(label: "nanobot_drops_rejected_total", dimensions: [("code", code)]).increment()
        case .left, .delayed, .failing: break
        }
    }
}
