package import SpringgLog

/// Where a node stands in its cluster: who the members are, as far as it knows and as its disk has it, what they have
/// announced, and below what nothing new can come.
///
/// Rosters travel with every question that nodes ask each other and with the answers, and are on disk before an answer is given. What
/// a node promises others is kept by the order in which this is read: first the floor, then the roster on disk, then the heads.
/// An announcement under a roster without a new node so has a floor that is no higher than what that node is told when it asks
/// (`clock`), and the new node writes nothing before it has been told: whatever it writes is above every horizon.
package struct Standing: Sendable {
    /// Of this node.
    package let name: String
    /// Everything that is known.
    package private(set) var roster: Roster
    /// What is on disk of it; what is announced is this.
    package private(set) var kept: Roster
    private var keptHash: UInt64
    /// What each member announced last, in this life of this node.
    private var heard: [String: CausalStability.Announcement] = [:]
    private var stability = CausalStability()
    /// The members that the horizon waits for.
    package private(set) var waitingFor: [String] = []
    private let chance: UInt16

    /// Begins a life of the node.
    ///
    /// - Parameters:
    ///   - name: Of this node.
    ///   - kept: What its disk holds.
    ///   - now: Unix time in milliseconds.
    ///   - chance: A number of chance, so that no two lives are taken for one.
    package init(name: String, kept: Roster, now: UInt64, chance: UInt16) {
        self.chance = chance
        self.name = name
        self.kept = kept
        roster = kept
        roster.begin(name, now: now, chance: chance)
        keptHash = kept.hash
    }

    /// What this node says of itself.
    package var claim: Roster.Claim { roster.claim(of: name) ?? Roster.Claim(name: name, joined: 0, life: 0) }

    /// An operator has said that this node is gone, and it has not joined again.
    package var isForgotten: Bool { roster.isForgotten(name) }

    /// The hash of the roster on disk.
    package var rosterHash: UInt64 { keptHash }

    /// Below what nothing new can come.
    package var horizon: HLC { stability.horizon }

    /// The roster that has to be written to disk; nil when that is done.
    package var unkept: Roster? { roster == kept ? nil : roster }

    /// This roster is on disk.
    package mutating func keep(_ roster: Roster) {
        kept = roster
        keptHash = roster.hash
    }

    /// Takes in what another node knows.
    package mutating func merge(_ other: Roster) {
        let before = claim
        roster.merge(other)
        // Somebody knows of a later life of this node than its own disk does: this one is later still.
        if claim != before, !isForgotten { roster.rejoin(name, now: 0, chance: chance) }
    }

    /// Another node was heard of, by gossip.
    package mutating func saw(_ claim: Roster.Claim) {
        if claim.name != name { roster.saw(claim) }
    }

    /// Somebody says that a node was forgotten at this moment.
    package mutating func heardForgotten(_ name: String, at milliseconds: UInt64) {
        roster.forget(name, at: milliseconds)
    }

    /// An operator says that a node is gone; false when it is no member.
    package mutating func forget(_ name: String, now: UInt64) -> Bool {
        guard roster.contains(name), let joined = roster.claim(of: name)?.joined else { return false }
        return roster.forget(name, at: max(now, joined))
    }

    /// This node holds nothing that the members do not: it may be one of them again.
    package mutating func rejoin(now: UInt64) { roster.rejoin(name, now: now, chance: chance) }

    /// A member has announced this.
    package mutating func heard(_ announcement: CausalStability.Announcement, from name: String) {
        heard[name] = announcement
        if heard.count > Roster.namesMax { heard = heard.filter { roster.contains($0.key) } }
    }

    /// Looks how far the horizon may move, by what this node itself could announce now.
    ///
    /// `peers` are all that it knows of in any way. Before each of them is in its roster, as for a node that is new, it knows
    /// nothing of who the members are, and must not take itself for the only one.
    package mutating func look(floor: HLC, heads: VersionVector, peers: [String]) {
        guard peers.allSatisfy({ kept.contains($0) }) else {
            waitingFor = peers.filter { !kept.contains($0) }.sorted()
            return
        }
        var announced: [String: CausalStability.Announcement?] = [:]
        for member in kept.members {
            announced[member] = .some(
                member == name ? .init(roster: keptHash, floor: floor, heads: heads) : heard[member]
            )
        }
        // Who is no member itself has no part in what the members agree on.
        guard kept.contains(name) else {
            waitingFor = []
            return
        }
        waitingFor = stability.observe(announced, under: keptHash)
    }
}
