// Puts a streamed message together from its events. A pure value: feed events, take text, finish.
import HTTPTransport
import TextFormats

/// Collects the events of one streamed message.
struct AnthropicStreamAssembler {
    private var message = AnthropicMessage()
    /// The block at each index the stream has named.
    private var places: [Int: Int] = [:]
    private var ended = false

    var progress: StreamProgress { ended ? .over : message.stopReason == nil ? .open : .complete }

    /// Takes one event and returns the text it adds.
    mutating func take(
        _ event: ServerSentEvent, endpoint: ModelEndpoint, headers: [HTTPRequest.Header]
    ) throws(ProviderError) -> String {
        if event.data.isEmpty { return "" }
        let json: JSON
        do throws(JSONError) {
            json = try JSON.parse(event.data, limits: .streamed)
        } catch {
            throw endpoint.badResponse("an event that is no JSON (\(error.detail))")
        }
        switch json["type"]?.string ?? event.name {
        case "error":
            let complaint = ProviderComplaint(json: json) ?? ProviderComplaint(message: event.data)
            throw endpoint.reported(complaint, headers: headers)
        case "message_start":
            message.model = json["message"]?["model"]?.string
            message.usage.take(json["message"]?["usage"])
        case "content_block_start": return try start(json, endpoint: endpoint)
        case "content_block_delta": return extend(json)
        case "message_delta":
            if let reason = json["delta"]?["stop_reason"]?.string { message.stopReason = reason }
            message.usage.take(json["usage"])
        case "message_stop": ended = true
        // ping, content_block_stop, and events that came later than this code.
        default: break
        }
        return ""
    }

    private mutating func start(_ json: JSON, endpoint: ModelEndpoint) throws(ProviderError) -> String {
        guard let index = json["index"]?.int, let content = json["content_block"] else { return "" }
        guard message.blocks.count < AnthropicMessage.maxBlocks else {
            throw endpoint.badResponse("more than \(AnthropicMessage.maxBlocks) content blocks")
        }
        let block = AnthropicMessage.Block(json: content)
        places[index] = message.blocks.count
        message.blocks.append(block)
        if case .text(let text) = block { return text }
        return ""
    }

    private mutating func extend(_ json: JSON) -> String {
        guard let place = json["index"]?.int.flatMap({ places[$0] }), let delta = json["delta"] else { return "" }
        switch (message.blocks[place], delta["type"]?.string) {
        case (.text(let text), "text_delta"?):
            let piece = delta["text"]?.string ?? ""
            message.blocks[place] = .text(text + piece)
            return piece
        case (.toolUse(let id, let name, let input), "input_json_delta"?):
            message.blocks[place] = .toolUse(
                id: id, name: name, input: input + (delta["partial_json"]?.string ?? ""))
        case (.thinking(let text, let signature), "thinking_delta"?):
            message.blocks[place] = .thinking(text: text + (delta["thinking"]?.string ?? ""), signature: signature)
        case (.thinking(let text, let signature), "signature_delta"?):
            message.blocks[place] = .thinking(text: text, signature: signature + (delta["signature"]?.string ?? ""))
        default: break
        }
        return ""
    }

    /// The message, once the stream has ended. Without a stop reason or `message_stop` the stream was cut.
    /// - Parameter isFramed: the transport said where the body ends: then a message with content is whole without an end mark.
    func finish(endpoint: ModelEndpoint, isFramed: Bool) throws(ProviderError) -> AnthropicMessage {
        guard ended || message.stopReason != nil || isFramed && message.hasWholeContent else { throw endpoint.cutShort() }
        return message
    }
}
