// The parameters of OpenAI's interface that ask for something the service cannot do. Pure. Failure: ProblemDetails that names the
// parameter.

import TextFormats
import WireTypes

extension ClientCall {
    /// A parameter is refused where the answer would silently lack it. Sampling parameters and
    /// bounds of the answer are the operator's, and passed over.
    func refuseUnsupportedOfOpenAI() throws {
        for name in ["tools", "functions"] where value(name)?.array?.isEmpty == false {
            throw unsupported(name, "the assistant works with its own tools; a caller's cannot be called")
        }
        if let choice = value("tool_choice"), !Self.isEmpty(choice), !["auto", "none"].contains(choice.string) {
            throw unsupported("tool_choice", "there are no tools to choose from")
        }
        if let count = value("n"), count.int != 1 { throw unsupported("n", "one answer is given, not \(count.text())") }
        for name in ["logprobs", "top_logprobs"] {
            guard let value = value(name), !Self.isEmpty(value), value != false, value.int != 0 else { continue }
            throw unsupported(name, "probabilities of tokens are not known")
        }
        for name in ["audio", "stop", "prediction", "prompt", "web_search_options"] {
            if let value = value(name), !Self.isEmpty(value) { throw unsupported(name, "is not supported") }
        }
        if let kinds = value("modalities"), !Self.isEmpty(kinds), kinds != ["text"] {
            throw unsupported("modalities", "answers are text")
        }
        for (name, format) in [
            ("response_format", value("response_format")), ("text.format", value("text")?["format"]),
        ] {
            guard let format, !Self.isEmpty(format), format["type"]?.string != "text" else { continue }
            throw unsupported(name, "answers are text: structured output cannot be promised")
        }
    }
}
