package import SpringgLog

/// Which writes of this node have got how far, and who waits for that.
///
/// A pure core. What comes in: writes that wait, what each peer holds on its disk, what the archive holds, the time. What
/// goes out: who is to be answered, and with which level. A level that is reported was reached; one that was not in time
/// is not an error, since the write is stored.
///
/// For each origin a level has one mark: the sequence up to which it is reached. A node writes under one origin at a time, and
/// takes a new one rarely, so there is hardly ever more than one.
package struct WriteConcern: Sendable {
    /// Who is to be answered, and what was reached.
    package struct Verdict: Equatable, Sendable {
        /// The number that `wait` was given.
        package let waiter: UInt64
        /// What was asked for, or else the highest below it that was reached.
        package let reached: AckLevel

        package init(waiter: UInt64, reached: AckLevel) {
            self.waiter = waiter
            self.reached = reached
        }
    }

    /// Waiters that have one mark in common, in the order of their sequences, which is that of their deadlines.
    private struct Lane: Hashable, Sendable {
        let level: AckLevel
        let origin: OriginID
    }

    private struct Waiter: Sendable {
        let number: UInt64
        let sequence: SpringgLog.Sequence
        let deadline: Duration
    }

    /// Writes that may wait at once; one more is answered with what it has.
    package static let waitersMax = 100_000
    /// Peers whose vectors are kept, as many as a cluster may have members.
    package static let peersMax = 10_000

    /// What each peer holds.
    private var held: [String: VersionVector] = [:]
    private var archived = VersionVector()
    private var members = 1
    private var lanes: [Lane: [Waiter]] = [:]
    private var count = 0

    /// Whether there can be peers at all; without, nobody waits for them.
    package var hasPeers = false
    /// Whether there is an archive.
    package var hasArchive = false

    /// Nothing is known yet.
    package init() {}

    // MARK: What comes in

    /// A write waits until `level` is reached, at most until `deadline`.
    ///
    /// - Returns: What to answer now, when there is nothing to wait for; nil when `number` will be in a verdict.
    package mutating func wait(
        _ number: UInt64,
        for origin: OriginID,
        _ sequence: SpringgLog.Sequence,
        _ level: AckLevel,
        until deadline: Duration
    ) -> AckLevel? {
        let canCome =
            switch level {
            case .local: true
            case .peer, .quorum: hasPeers
            case .s3: hasArchive
            }
        let lane = Lane(level: level, origin: origin)
        guard canCome, count < Self.waitersMax, sequence > mark(lane) else { return reached(sequence, lane) }
        lanes[lane, default: []].append(Waiter(number: number, sequence: sequence, deadline: deadline))
        count += 1
        return nil
    }

    /// A peer holds these events on its disk, of the same history as ours: whoever reports that has compared the chains.
    ///
    /// A vector that holds less than an earlier one counts: the peer may have lost its disk.
    package mutating func peer(_ name: String, holds vector: VersionVector) -> [Verdict] {
        guard held[name] != nil || held.count < Self.peersMax else { return [] }
        held[name] = vector
        return settle()
    }

    /// A peer is no member any more.
    package mutating func forget(_ name: String) { held[name] = nil }

    /// The archive holds these events; never less than before.
    package mutating func archiveHolds(_ vector: VersionVector) -> [Verdict] {
        if vector.covers(archived) { archived = vector }
        return settle()
    }

    /// The cluster has so many members, those that are away included.
    package mutating func setMembers(_ count: Int) -> [Verdict] {
        members = max(1, count)
        return settle()
    }

    /// Answers those whose time is over.
    package mutating func expire(_ now: Duration) -> [Verdict] {
        takeOut { waiter, _ in waiter.deadline <= now }
    }

    /// Answers everybody with what there is: the node stops.
    package mutating func end() -> [Verdict] { takeOut { _, _ in true } }

    // MARK: The rule

    /// The sequence up to which a level is reached.
    private func mark(_ lane: Lane) -> SpringgLog.Sequence {
        switch lane.level {
        case .local: return SpringgLog.Sequence(.max)
        case .peer: return held.values.map { $0[lane.origin].sequence }.max() ?? SpringgLog.Sequence(0)
        case .quorum:
            // This node is one of the majority.
            let others = members / 2
            guard others > 0 else { return SpringgLog.Sequence(.max) }
            let sorted = held.values.map { $0[lane.origin].sequence }.sorted(by: >)
            return sorted.count >= others ? sorted[others - 1] : SpringgLog.Sequence(0)
        case .s3: return archived[lane.origin].sequence
        }
    }

    /// What was asked for, or else the highest below it that is reached.
    private func reached(_ sequence: SpringgLog.Sequence, _ lane: Lane) -> AckLevel {
        AckLevel.allCases.last { level in
            level <= lane.level && sequence <= mark(Lane(level: level, origin: lane.origin))
        } ?? .local
    }

    private mutating func settle() -> [Verdict] {
        takeOut { waiter, mark in waiter.sequence <= mark }
    }

    /// Takes waiters from the front of each lane as long as they are done.
    private mutating func takeOut(while isDone: (Waiter, SpringgLog.Sequence) -> Bool) -> [Verdict] {
        guard count > 0 else { return [] }
        var verdicts: [Verdict] = []
        for (lane, queue) in lanes {
            let mark = mark(lane)
            let done = queue.prefix { isDone($0, mark) }
            guard !done.isEmpty else { continue }
            verdicts += done.map { Verdict(waiter: $0.number, reached: reached($0.sequence, lane)) }
            lanes[lane] = done.count == queue.count ? nil : Array(queue.dropFirst(done.count))
            count -= done.count
        }
        return verdicts
    }
}
