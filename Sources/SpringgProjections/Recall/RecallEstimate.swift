/// What the last probes found, as plain numbers.
public struct RecallReport: Sendable, Equatable {
    /// The share of the nearest rows that searches returned, over the last probes; nil before the first.
    public internal(set) var recall: Double?
    /// Probes that `recall` is made of.
    public internal(set) var samples = 0
    /// Probes since the program started.
    public internal(set) var total = 0
    /// Probes that were given up, because they took too long or memory became scarce.
    public internal(set) var abandoned = 0
}

/// Counts probes, and what the last of them found.
struct RecallEstimate: Sendable {
    private var last: [ProbeOutcome] = []
    private var total = 0
    private var abandoned = 0

    /// Probes that count: enough for an error of a few thousandths, few enough to follow a graph that changes.
    private static let window = 256

    /// Counts a probe; nil: it was given up.
    mutating func record(_ outcome: ProbeOutcome?) {
        guard let outcome else {
            abandoned += 1
            return
        }
        // No rows, no recall.
        guard outcome.wanted > 0 else { return }
        if last.count < RecallEstimate.window {
            last.append(outcome)
        } else {
            last[total % RecallEstimate.window] = outcome
        }
        total += 1
    }

    var report: RecallReport {
        let wanted = last.reduce(0) { $0 + $1.wanted }
        let found = last.reduce(0) { $0 + $1.found }
        return RecallReport(
            recall: wanted > 0 ? Double(found) / Double(wanted) : nil,
            samples: last.count,
            total: total,
            abandoned: abandoned
        )
    }
}

/// What one probe found.
package struct ProbeOutcome: Sendable, Equatable {
    /// Rows that the search returned and that belong to the nearest.
    package var found: Int
    /// Rows that it should have returned.
    package var wanted: Int

    /// Compares the scores of two answers, best first, to the same query at the same moment.
    ///
    /// Scores, not rows: of rows with equal scores either belongs to the nearest.
    package init(scores: [Float], exact: [Float]) {
        let last = exact.last ?? .infinity
        found = scores.prefix(exact.count).count { $0 >= last }
        wanted = exact.count
    }
}
