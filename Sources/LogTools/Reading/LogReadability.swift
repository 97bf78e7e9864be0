package import SpringgLog

/// What of a damaged log can be read, and what cannot.
package struct LogReadability {
    /// A place whose bytes are not what was written.
    package struct Damage: Sendable {
        package var damage: LogDamage
        package var bytes: Range<Int>
    }

    /// The first places; `damageCount` counts all.
    package private(set) var damages: [Damage] = []
    package private(set) var damageCount = 0
    /// Runs of records that can be read.
    package private(set) var ranges: [ClosedRange<UInt64>] = []
    package private(set) var rangeCount = 0
    /// LSNs that are missing.
    package private(set) var missing: [LogLoss] = []
    package private(set) var records: UInt64 = 0
    package private(set) var bytes: UInt64 = 0
    package private(set) var segments = 0

    /// Places and ranges that are kept, so that memory does not grow with the damage.
    package static let listMax = 1000

    package init() {}

    /// Takes what a walk met.
    package mutating func take(_ step: LogWalk.Step) {
        switch step {
        case .segment:
            segments += 1
        case .record(let record):
            records += 1
            bytes += UInt64(record.recordBytes)
            let lsn = record.lsn.rawValue
            if let last = ranges.last, last.upperBound == lsn - 1 {
                ranges[ranges.count - 1] = last.lowerBound...lsn
            } else {
                rangeCount += 1
                if ranges.count < LogReadability.listMax { ranges.append(lsn...lsn) }
            }
        case .damage(let damage, let bytes):
            note(damage, bytes)
        case .missing(let after, let before, let isKnown):
            if !isKnown, missing.count < LogReadability.listMax {
                missing.append(LogLoss(after: after, before: before))
            }
        case .caughtUp:
            break
        }
    }

    /// Adds what only the whole log can tell, unless it is known already.
    package mutating func add(_ damage: LogDamage) {
        if !damages.contains(where: { $0.damage.segment == damage.segment && $0.damage.offset == damage.offset }) {
            damages.insert(Damage(damage: damage, bytes: damage.offset..<damage.offset), at: 0)
            damageCount += 1
        }
    }

    private mutating func note(_ damage: LogDamage, _ bytes: Range<Int>) {
        damageCount += 1
        if damages.count < LogReadability.listMax { damages.append(Damage(damage: damage, bytes: bytes)) }
    }
}
