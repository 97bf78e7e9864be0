package import SpringgLog

/// A moment, as people name it.
package enum RestoreTarget: Equatable, Sendable, CustomStringConvertible {
    /// Everything there is.
    case latest
    /// Unix time in milliseconds: what every clock of the cluster had stamped by then.
    case time(milliseconds: UInt64)
    /// A reading of the hybrid clock.
    case reading(HLC)
    /// An event: what is not above its version.
    case event(OriginID, Sequence)
    /// The event of a mark.
    case mark(String)

    /// Reads `latest`, an RFC 3339 time, `milliseconds.counter`, `origin:sequence` or the name of a mark.
    ///
    /// The forms exclude each other: a mark begins with a letter and holds no colon, and an origin has 32 digits.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        if text == "latest" {
            self = .latest
        } else if let milliseconds = CivilTime.milliseconds(text), milliseconds < 1 << 48 {
            self = .time(milliseconds: milliseconds)
        } else if let reading = HLC(text) {
            self = .reading(reading)
        } else if parts.count == 2, let origin = OriginID(String(parts[0])), let number = UInt64(parts[1]), number > 0 {
            self = .event(origin, Sequence(number))
        } else if RestoreTarget.isMark(text) {
            self = .mark(text)
        } else {
            return nil
        }
    }

    /// The forms, for error texts.
    package static let rule =
        "latest, a time (2026-11-22T15:00:00.123Z), an HLC (milliseconds.counter), an event (ORIGIN:SEQUENCE) or a mark"

    private static func isMark(_ text: String) -> Bool {
        guard let first = text.utf8.first, (0x61...0x7A).contains(first | 0x20) else { return false }
        return text.utf8.count <= EventLimits.indexNameBytesMax
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0 | 0x20) || (0x30...0x39).contains($0) || [0x5F, 0x2E, 0x2D].contains($0)
            }
    }

    /// The text that `init` reads.
    package var description: String {
        switch self {
        case .latest: "latest"
        case .time(let milliseconds): CivilTime.rfc3339(milliseconds: milliseconds)
        case .reading(let reading): "\(reading)"
        case .event(let origin, let sequence): "\(origin):\(sequence)"
        case .mark(let name): name
        }
    }

    /// The events of the moment, where no log has to be asked for it.
    package func bound(excluding: Bool) -> VersionBound? {
        switch self {
        case .latest: .everything
        case .time(let milliseconds):
            excluding
                ? .below(HLC(milliseconds: milliseconds, counter: 0))
                : .upTo(HLC(milliseconds: milliseconds, counter: .max))
        case .reading(let reading): excluding ? .below(reading) : .upTo(reading)
        case .event, .mark: nil
        }
    }
}

/// Which events belong to a moment: those up to a version, or below it.
///
/// Versions order the events of all origins, and those of one origin as they were written; so what belongs is always a
/// beginning of every origin's history.
package struct VersionBound: Equatable, Sendable {
    /// The last version that belongs, or the first that does not.
    package let version: EventVersion
    /// Whether `version` itself belongs.
    package let includesVersion: Bool

    package init(version: EventVersion, includesVersion: Bool) {
        self.version = version
        self.includesVersion = includesVersion
    }

    /// Every event.
    package static let everything = upTo(HLC(.max))

    /// The events of all origins with at most this reading.
    package static func upTo(_ hlc: HLC) -> VersionBound {
        VersionBound(version: EventVersion(hlc: hlc, origin: .last), includesVersion: true)
    }

    /// The events of all origins with a lower reading.
    package static func below(_ hlc: HLC) -> VersionBound {
        VersionBound(version: EventVersion(hlc: hlc, origin: .none), includesVersion: false)
    }

    package func holds(_ version: EventVersion) -> Bool {
        includesVersion ? version <= self.version : version < self.version
    }

    /// Whether every event up to a base belongs, as far as the base can tell.
    package func holdsAll(of base: LogBase) -> Bool { holds(base.newestBound) }
}

extension OriginID {
    /// Above every origin.
    static let last = OriginID(high: .max, low: .max)
}

extension LogBase {
    /// No event of the base has a higher version.
    ///
    /// A base knows the highest clock reading, not whose it was, unless there is one origin only.
    package var newestBound: EventVersion {
        let origins = heads.origins
        return EventVersion(hlc: highestHLC, origin: origins.count == 1 ? origins[0] : .last)
    }
}
