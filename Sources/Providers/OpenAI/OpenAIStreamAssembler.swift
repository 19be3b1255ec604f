// Puts a streamed completion together from its events. A pure value: feed events, take text, finish.
import HTTPTransport
import TextFormats

/// Collects the chunks of one streamed completion.
struct OpenAIStreamAssembler {
    private var completion = OpenAICompletion()
    /// The server's index of each call; nil where it gives none.
    private var indices: [Int?] = []
    private var sawChoice = false
    private var ended = false

    /// The last chunk said why the model stopped and added nothing, or told the usage behind one that did.
    private var isComplete = false

    var progress: StreamProgress { ended ? .over : isComplete ? .complete : .open }

    /// Takes one event and returns the text it adds.
    mutating func take(
        _ event: ServerSentEvent, endpoint: ModelEndpoint, headers: [HTTPRequest.Header]
    ) throws(ProviderError) -> String {
        if event.data == "[DONE]" {
            ended = true
            return ""
        }
        if event.data.isEmpty { return "" }
        let chunk: JSON
        do throws(JSONError) {
            chunk = try JSON.parse(event.data, limits: .streamed)
        } catch {
            throw endpoint.badResponse("an event that is no JSON (\(error.detail))")
        }
        if let complaint = ProviderComplaint(json: chunk) { throw endpoint.reported(complaint, headers: headers) }
        if event.name == "error" {
            throw endpoint.reported(ProviderComplaint(message: event.data), headers: headers)
        }
        if let choice = chunk["choices"]?[0], let complaint = OpenAICompletion.complaint(in: choice) {
            throw endpoint.reported(complaint, headers: headers)
        }
        return take(chunk)
    }

    private mutating func take(_ chunk: JSON) -> String {
        // Servers that report usage in every chunk count up: the last one is the whole.
        if let usage = OpenAICompletion.usage(chunk) { completion.usage = usage }
        if let model = chunk["model"]?.string, !model.isEmpty { completion.model = model }
        guard let choice = chunk["choices"]?[0] else {
            isComplete = completion.finishReason != nil
            return ""
        }
        sawChoice = true
        // Servers have been seen to send an empty reason, "null" or even "stop" with every piece: only one that nothing follows
        // and that comes with nothing says that the answer is whole.
        let reason = OpenAICompletion.reason(choice["finish_reason"])
        let adds = Self.addsSomething(Self.delta(of: choice))
        if reason != nil || adds { completion.finishReason = reason }
        isComplete = completion.finishReason != nil && !adds
        // Some gateways put a whole completion into one event.
        guard let delta = Self.delta(of: choice) else { return "" }
        completion.takeReasoning(delta)
        for fragment in delta["tool_calls"]?.array ?? [] { take(fragment: fragment) }
        if let call = delta["function_call"], call.object != nil { take(fragment: ["index": 0, "function": call]) }
        let text = OpenAICompletion.text(delta["content"])
        completion.content += text
        return text + completion.take(refusal: delta["refusal"]?.string)
    }

    private static func delta(of choice: JSON) -> JSON? {
        if let delta = choice["delta"], !delta.isNull { return delta }
        return choice["message"]
    }

    private static func addsSomething(_ delta: JSON?) -> Bool {
        guard let delta else { return false }
        let texts = [delta["content"], delta["refusal"], delta["reasoning_content"], delta["reasoning"]]
        return texts.contains { !OpenAICompletion.text($0).isEmpty } || delta["tool_calls"]?.array?.isEmpty == false
            || delta["function_call"]?.object != nil
    }

    private mutating func take(fragment: JSON) {
        let id = fragment["id"]?.string ?? ""
        let name = fragment["function"]?["name"]?.string ?? ""
        let index = fragment["index"]?.int ?? fragment["index"]?.string.flatMap { Int($0) }
        var place = place(index: index, id: id, name: name)
        // One above the limit is kept, so that `finish` sees that it was passed.
        if place == nil, completion.calls.count <= OpenAICompletion.maxCalls {
            completion.calls.append(OpenAICompletion.Call())
            indices.append(index)
            place = completion.calls.indices.last
        }
        guard let place else { return }
        if completion.calls[place].id.isEmpty { completion.calls[place].id = id }
        if completion.calls[place].name.isEmpty { completion.calls[place].name = name }
        if let extra = fragment["extra_content"], !extra.isNull { completion.calls[place].extra = extra }
        completion.calls[place].add(arguments: OpenAICompletion.arguments(fragment["function"]?["arguments"]))
    }

    /// The call a fragment belongs to; nil: it begins one.
    ///
    /// The index is the key. Deviations in use: no index at all (then the id is the key), one index for all calls (then another
    /// id with a name begins a call), and ids that change with every piece of a call (those pieces have no name).
    private func place(index: Int?, id: String, name: String) -> Int? {
        let known: Int?
        if let index {
            known = indices.lastIndex { $0 == index }
        } else if !id.isEmpty, let same = completion.calls.lastIndex(where: { $0.id == id }) {
            known = same
        } else {
            known = indices.indices.last
        }
        guard let known, !name.isEmpty else { return known }
        let call = completion.calls[known]
        if !id.isEmpty, id == call.id { return known }
        // Without a new id a name begins a call only where the protocol's index is missing.
        if id.isEmpty || call.id.isEmpty, index != nil { return known }
        return call.name == name && call.isOpen ? known : nil
    }

    /// The completion, once the stream has ended. A stream that said neither why the model stopped nor `[DONE]` was
    /// cut.
    /// - Parameter isFramed: the transport said where the body ends: then a completion with content is whole without an end mark.
    func finish(endpoint: ModelEndpoint, isFramed: Bool) throws(ProviderError) -> OpenAICompletion {
        guard ended || completion.finishReason != nil || isFramed && completion.hasWholeContent else {
            throw endpoint.cutShort()
        }
        guard sawChoice else { throw endpoint.badResponse("the stream held no choices") }
        return completion
    }
}
