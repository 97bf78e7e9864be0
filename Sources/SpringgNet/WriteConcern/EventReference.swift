import SpringgLog

/// An event that a client has a receipt for: `ORIGIN:SEQUENCE`, as `X-Springg-After` names it.
struct EventReference: Equatable, Sendable {
    let origin: OriginID
    let sequence: SpringgLog.Sequence

    /// Events that one request may name.
    static let countMax = 16

    /// Reads a list, separated by commas; nil when it is none.
    static func list(_ text: String) -> [EventReference]? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count <= Self.countMax else { return nil }
        let events = parts.compactMap { Self($0) }
        return events.count == parts.count ? events : nil
    }

    private init?(_ text: Substring) {
        let trimmed = text.drop { $0 == " " }
        let end = trimmed.lastIndex { $0 != " " }.map { trimmed.index(after: $0) } ?? trimmed.endIndex
        let parts = trimmed[..<end].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let origin = OriginID(String(parts[0])),
            !parts[1].isEmpty, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt64(parts[1])
        else { return nil }
        self.origin = origin
        sequence = SpringgLog.Sequence(number)
    }
}
