import CSpringg

/// How an index's graph is built and searched; nil where whoever made the index left it to the program.
///
/// Kept as JSON in the event that made the index: `{"m":16,"ef_construction":200,"ef":64,"quantization":"int4"}`, and no
/// text at all when everything is left to the program.
public struct IndexOptions: Sendable, Equatable {
    /// `M`: links of a row on each level but the lowest, which has twice as many.
    public var m: Int?
    /// `efConstruction`: candidates that are kept while a row's place is sought.
    public var efConstruction: Int?
    /// `ef`: candidates that are kept during a search.
    public var ef: Int?

    /// `quantization`: how vectors are written beside the graph, for searches to read.
    public var quantization: Quantization?
    /// The name that leaves the quantization to the program.
    public static let automatic = "auto"

    /// What `m` may be: below 4 a graph falls apart, above 64 links cost more than they lead.
    public static let mRange = 4...64
    /// What `efConstruction` and `ef` may be: a candidate more than the answer needs, and as many as pay.
    public static let efRange = 10...2000

    /// Everything as the program thinks best, or as said.
    public init(m: Int? = nil, efConstruction: Int? = nil, ef: Int? = nil, quantization: Quantization? = nil) {
        self.m = m
        self.efConstruction = efConstruction
        self.ef = ef
        self.quantization = quantization
    }

    /// Why these options cannot be; nil when they can.
    public var refusal: String? {
        func check(_ name: String, _ value: Int?, _ range: ClosedRange<Int>) -> String? {
            guard let value, !range.contains(value) else { return nil }
            return "\(name) must be between \(range.lowerBound) and \(range.upperBound), got \(value)"
        }
        return check("m", m, IndexOptions.mRange)
            ?? check("ef_construction", efConstruction, IndexOptions.efRange)
            ?? check("ef", ef, IndexOptions.efRange)
    }

    /// The text that the event keeps.
    var json: [UInt8] {
        var members = [("m", m), ("ef_construction", efConstruction), ("ef", ef)].compactMap { name, value in
            value.map { "\"\(name)\":\($0)" }
        }
        if let quantization { members.append("\"quantization\":\"\(quantization.rawValue)\"") }
        return members.isEmpty ? [] : Array("{\(members.joined(separator: ","))}".utf8)
    }

    /// Reads the text of an event.
    ///
    /// What is not known, out of range or no JSON at all counts as left to the program: an event in the log can always
    /// be replayed.
    package init(json: [UInt8]) {
        self.init()
        var read = IndexOptions()
        let isWhole = json.withUnsafeBytes { bytes in
            var reader = springg_json()
            springg_json_start(&reader, bytes.baseAddress, bytes.count)
            guard springg_json_object_begin(&reader) == SPRINGG_JSON_OK else { return false }
            while true {
                var more = false
                var key = springg_json_slice()
                guard springg_json_object_next(&reader, &more, &key) == SPRINGG_JSON_OK else { return false }
                guard more else { return true }
                var raw = springg_json_slice()
                guard springg_json_skip(&reader, &raw) == SPRINGG_JSON_OK else { return false }
                let text = String(decoding: UnsafeBufferPointer(start: raw.start, count: raw.length), as: UTF8.self)
                if springg_json_key_is(key, "m") { read.m = Int(text) }
                if springg_json_key_is(key, "ef_construction") { read.efConstruction = Int(text) }
                if springg_json_key_is(key, "ef") { read.ef = Int(text) }
                if springg_json_key_is(key, "quantization") {
                    read.quantization = Quantization.allCases.first { text == "\"\($0.rawValue)\"" }
                }
            }
        }
        guard isWhole, read.refusal == nil else { return }
        self = read
    }
}
