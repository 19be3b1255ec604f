// The windows of models that are known by name, from Assets/model-windows.json, embedded in the binary. Parsed once; any
// thread. The table is part of the program: a test reads each row, so a broken one is never built into a release; here it
// would be left out.
import TextFormats

public struct KnownModel: Sendable, Hashable {
    /// A model's name, or the beginning of names with a "*" behind it.
    public var pattern: String
    /// Tokens.
    public var contextWindow: Int
    public var maxOutputTokens: Int
    /// The vendor's page of the figures, and the day they were read.
    public var source: String
    public var date: String

    init?(json: JSON) {
        guard let pattern = json["model"]?.string, let window = json["context_window"]?.int,
            let output = json["max_output_tokens"]?.int, let source = json["source"]?.string, let date = json["date"]?.string
        else { return nil }
        self.pattern = pattern
        contextWindow = window
        maxOutputTokens = output
        self.source = source
        self.date = date
    }

    static let rows: [JSON] = {
        // See above: the test `ModelWindowTests.table` stands for what is ignored here.
        let table = try? JSON.parse(PackageResources.model_windows_json, limits: .lenient)
        return table?["models"]?.array ?? []
    }()

    public static let all: [KnownModel] = rows.compactMap(KnownModel.init(json:))

    private static let exact = Dictionary(
        all.filter { !$0.pattern.hasSuffix("*") }.map { ($0.pattern, $0) }, uniquingKeysWith: { first, _ in first })
    /// The longest first.
    private static let families = all.filter { $0.pattern.hasSuffix("*") }.sorted { $0.pattern.count > $1.pattern.count }

    /// - Parameter name: as an account has it: "gpt-4o-mini", "meta-llama/llama-3.3-70b-instruct:free".
    /// - Returns: the row with the name itself, else the one with the longest beginning of it.
    public static func named(_ name: String) -> KnownModel? {
        let last = name.lowercased().split(separator: "/").last ?? ""
        let plain = String(last.split(separator: ":").first ?? "")
        // OpenRouter writes versions with a dot, Anthropic with a hyphen.
        let dashed = plain.hasPrefix("claude") ? plain.map { $0 == "." ? "-" : String($0) }.joined() : plain
        return exact[dashed] ?? families.first { dashed.hasPrefix($0.pattern.dropLast()) }
    }
}
