import SpringgConfiguration
import SpringgLog

// How the facts of logs stand in the documents of the archive; everything is checked, nothing assumed.

extension JSONValue {
    /// A number that is never negative; beyond 63 bits as a text.
    static func count(_ value: UInt64) -> JSONValue {
        Int64(exactly: value).map { .integer($0) } ?? .string(String(value))
    }

    /// The same.
    static func count(_ value: Int) -> JSONValue { .count(UInt64(value)) }

    /// `[[origin, sequence, chain as 16 hex digits], …]`.
    static func heads(_ heads: VersionVector) -> JSONValue {
        .array(
            heads.origins.map { origin in
                let head = heads[origin]
                return .array([
                    .string("\(origin)"), .count(head.sequence.rawValue), .string(hexadecimal(head.chain)),
                ])
            }
        )
    }

    var count: UInt64? {
        switch self {
        case .integer(let value): UInt64(exactly: value)
        case .string(let text): UInt64(text)
        default: nil
        }
    }

    var int: Int? { count.flatMap { Int(exactly: $0) } }

    var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    var array: [JSONValue]? {
        if case .array(let items) = self { items } else { nil }
    }

    var object: [String: JSONValue]? {
        if case .object(let members) = self { members } else { nil }
    }

    /// Sixteen hexadecimal digits.
    var chain: UInt64? {
        guard let digits = string, digits.utf8.count == 16 else { return nil }
        return UInt64(digits, radix: 16)
    }

    /// Reads `heads`; nil also when the sequences add up to `eventsMax`, or an origin comes twice.
    func heads(eventsMax: UInt64) -> VersionVector? {
        guard let items = array else { return nil }
        var heads = VersionVector()
        var total: UInt64 = 0
        for item in items {
            guard let parts = item.array, parts.count == 3, let origin = parts[0].string.flatMap(OriginID.init),
                let sequence = parts[1].count, let chain = parts[2].chain, heads[origin] == .start
            else { return nil }
            heads[origin] = .init(sequence: Sequence(sequence), chain: chain)
            total += min(sequence, eventsMax)
            guard total < eventsMax else { return nil }
        }
        return heads
    }
}
