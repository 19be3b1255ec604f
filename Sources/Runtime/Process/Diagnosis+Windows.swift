// The windows of the models that the settings name, in the words of `nanobot doctor`. Pure.

import Agent
import Foundation
import Providers

extension NanobotServices {
    /// A window in which some tools and parts of the prompt have no room, in tokens.
    private static let narrow = 12_000

    /// One line for each model that answers without being named by a job.
    var windowDiagnoses: [Diagnosis] {
        var seen: Set<String> = []
        return ([settings.model] + settings.fallbackModels).filter { seen.insert($0).inserted }.compactMap { model in
            let window = factory.window(of: model)
            return window == .unbounded ? nil : Self.diagnosis(of: model, window)
        }
    }

    private static func diagnosis(of model: String, _ window: ModelWindow) -> Diagnosis {
        let name = "window \(model)"
        let words = "\(window.tokens) tokens"
        let narrowness =
            window.tokens < narrow
            ? ": tools and parts of the prompt are left out to make room; a longer conversation is summarised early" : ""
        switch window.source {
        case .configured: return Diagnosis(name, narrowness.isEmpty ? .ok : .warning, "\(words), as context_window says\(narrowness)")
        case .known(let page, let date):
            let most = TurnLimits().contextTokens
            let used = window.inputTokens(most: most) == most ? "; a request uses \(most) of them, more where context_window is set" : ""
            return Diagnosis(name, narrowness.isEmpty ? .ok : .warning, "\(words) (\(page), \(date))\(used)\(narrowness)")
        case .ollamaDefault:
            return Diagnosis(
                name, .warning,
                "\(words), Ollama's default, which it applies without saying so\(narrowness). Give the server more with "
                    + "OLLAMA_CONTEXT_LENGTH, or the model with num_ctx in a Modelfile, and set context_window to the same")
        case .assumed:
            return Diagnosis(
                name, .warning, "\(words) are assumed: the model is not known; set context_window of the provider or of its model")
        }
    }
}
