// `context_window`, `max_output_tokens`, `temperature` and `extra` of an account and of its models, from config.json. Pure;
// called at start. Failure: FieldError that names the key.

import Foundation
import Providers
import TextFormats

extension ModelOptions {
    static let windowRange = 1_024...100_000_000
    static let outputRange = 16...10_000_000
    static let temperatureRange = 0.0...2.0
    /// Models of one account that have settings of their own.
    static let maximumModels = 256

    /// Reads the four members where they are written; what is not written stays.
    mutating func read(_ reader: inout ObjectReader) throws(FieldError) {
        contextWindow = try reader.int("context_window", in: Self.windowRange) ?? contextWindow
        maxOutputTokens = try reader.int("max_output_tokens", in: Self.outputRange) ?? maxOutputTokens
        temperature = try reader.double("temperature", in: Self.temperatureRange) ?? temperature
        if let window = contextWindow, let output = maxOutputTokens, output > window / 2 {
            throw reader.error("max_output_tokens", "must be at most half of context_window (\(window / 2))")
        }
        guard let members = try reader.object("extra")?.members else { return }
        if let name = members.keys.first(where: Self.reservedMembers.contains) {
            throw reader.error("extra.\(name)", Self.remedy(name))
        }
        extra = members
    }

    private static func remedy(_ name: String) -> String {
        switch name {
        case "max_tokens", "max_completion_tokens": "is set by max_output_tokens, beside extra"
        case "temperature": "is set by temperature, beside extra"
        case "thinking": "is set by thinking_tokens of the provider"
        default: "is made by nanobot for each request and cannot be set"
        }
    }

    /// `models` of an account: by the name behind the account's slash.
    static func models(_ reader: inout ObjectReader) throws(FieldError) -> [String: ModelOptions] {
        guard let entries = try reader.object("models") else { return [:] }
        guard entries.members.count <= maximumModels else {
            throw reader.error("models", "must have at most \(maximumModels) members")
        }
        var models: [String: ModelOptions] = [:]
        for (name, entry) in entries.members {
            var one = try ObjectReader(entry, path: entries.name(name))
            var options = ModelOptions()
            try options.read(&one)
            try one.finish()
            models[name] = options
        }
        return models
    }
}
