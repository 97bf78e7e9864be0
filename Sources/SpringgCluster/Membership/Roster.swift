import SpringgLog

/// Who is of the cluster, whether there or not: everybody who was ever seen and has not been forgotten.
///
/// Gossip forgets the dead; a majority must not, nor the horizon below which tombstones go. A node joins once; it is a member
/// until an operator forgets it, and when it comes back all the same, it knows of that before it joins anew. Each start of a
/// node is a life of its own: what it promised in an earlier one, its disk may have lost.
///
/// Joining, being forgotten and the newest life are moments, and of each the later one counts: so the rosters of all nodes
/// become one, in whatever order they hear of things.
package struct Roster: Equatable, Sendable {
    private struct Entry: Equatable, Sendable {
        /// Unix time in milliseconds at which it joined; 0 when it has not been heard of.
        var joined: UInt64 = 0
        /// Unix time in milliseconds at which it was forgotten; 0 for never.
        var forgotten: UInt64 = 0
        /// Which life it is in: the later the higher, and no two alike.
        ///
        /// Unix milliseconds of its start, or more where clocks went back, and 16 bits of chance: an older disk does
        /// not know which lives came after it.
        var life: UInt64 = 0

        var isMember: Bool { joined > forgotten }

        mutating func live(_ now: UInt64, _ chance: UInt16) {
            life = max(life >> 16 + 1, min(now, Roster.momentMax >> 16)) << 16 | UInt64(chance)
        }
    }

    /// What a node says of itself.
    package struct Claim: Equatable, Sendable {
        package let name: String
        package let joined: UInt64
        package let life: UInt64

        package init(name: String, joined: UInt64, life: UInt64) {
            self.name = name
            self.joined = joined
            self.life = life
        }
    }

    /// Names that are kept, as many as a cluster may have members; beyond that new ones are not taken.
    package static let namesMax = 10_000
    /// Ten thousand names of the longest kind.
    package static let bytesMax = 4 << 20

    private var entries: [String: Entry] = [:]

    package init() {}

    /// The members, in order.
    package var members: [String] { entries.filter { $0.value.isMember }.keys.sorted() }

    /// Everybody who was ever heard of.
    package var count: Int { entries.count }

    /// Who was forgotten and has not joined again, and when.
    package var forgotten: [String: UInt64] {
        entries.filter { !$0.value.isMember && $0.value.forgotten > 0 }.mapValues(\.forgotten)
    }

    package func contains(_ name: String) -> Bool { entries[name]?.isMember ?? false }

    /// It was forgotten, and is no member again.
    package func isForgotten(_ name: String) -> Bool {
        entries[name].map { !$0.isMember && $0.forgotten > 0 } ?? false
    }

    /// What is known of a node; nil for one that was never heard of.
    package func claim(of name: String) -> Claim? {
        entries[name].map { Claim(name: name, joined: $0.joined, life: $0.life) }
    }

    /// Whether the node counts here in the life that it says it is in.
    package func knows(_ claim: Claim) -> Bool {
        guard let entry = entries[claim.name] else { return false }
        return entry.isMember && entry.joined >= claim.joined && entry.life == claim.life
    }

    /// A hash of all of it: two nodes that announce the same count the same members, in the same lives.
    package var hash: UInt64 { Array(text.utf8).withUnsafeBytes { Checksum.hash64($0) } }

    // MARK: Changes; each returns true when it is news

    /// A node says this of itself, or somebody says that it did.
    @discardableResult
    package mutating func saw(_ claim: Claim) -> Bool {
        change(claim.name) { entry in
            entry.joined = max(entry.joined, claim.joined)
            entry.life = max(entry.life, claim.life)
        }
    }

    /// A node is not expected back.
    ///
    /// `milliseconds` must not lie before the moment at which it joined.
    @discardableResult
    package mutating func forget(_ name: String, at milliseconds: UInt64) -> Bool {
        change(name) { $0.forgotten = max($0.forgotten, milliseconds) }
    }

    /// Takes in what another roster knows.
    @discardableResult
    package mutating func merge(_ other: Roster) -> Bool {
        var isNews = false
        // Should there be no room for all of them, then for the same on every node.
        for (name, theirs) in other.entries.sorted(by: { $0.key < $1.key }) {
            let changed = change(name) { entry in
                entry.joined = max(entry.joined, theirs.joined)
                entry.forgotten = max(entry.forgotten, theirs.forgotten)
                entry.life = max(entry.life, theirs.life)
            }
            isNews = isNews || changed
        }
        return isNews
    }

    /// A node begins a life at `now`: its first, or one in which it is what it was.
    ///
    /// `chance` is unlike that of any other life.
    package mutating func begin(_ name: String, now: UInt64, chance: UInt16) {
        change(name) { entry in
            if entry.joined == 0 { entry.joined = max(1, now) }
            entry.live(now, chance)
        }
    }

    /// A node that was forgotten joins again, at `now` or later, in a new life.
    package mutating func rejoin(_ name: String, now: UInt64, chance: UInt16) {
        change(name) { entry in
            if !entry.isMember { entry.joined = max(entry.forgotten + 1, now) }
            entry.live(now, chance)
        }
    }

    @discardableResult
    private mutating func change(_ name: String, _ body: (inout Entry) -> Void) -> Bool {
        let isTaken =
            !name.isEmpty && !name.utf8.contains(0x0A) && (entries[name] != nil || entries.count < Roster.namesMax)
        guard isTaken else { return false }
        let before = entries[name]
        var after = before ?? Entry()
        body(&after)
        guard after != before, after != Entry() else { return false }
        entries[name] = after
        return true
    }

    // MARK: As text, in a file and in messages

    // springg-members 2
    // JOINED FORGOTTEN LIFE NAME    a line for each, in order of name; Unix times in milliseconds, the last shifted by 16 bits
    // end NUMBER                    of lines in between
    private static let heading = "springg-members 2"
    /// Moments lie below this, so that there is always a later one.
    fileprivate static let momentMax: UInt64 = 1 << 62

    /// The roster as text.
    package var text: String {
        let lines = entries.sorted { $0.key < $1.key }.map { name, entry in
            "\(entry.joined) \(entry.forgotten) \(entry.life) \(name)\n"
        }
        return Self.heading + "\n" + lines.joined() + "end \(lines.count)\n"
    }

    /// Reads it; nil for anything else than what `text` gives.
    package init?(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 3, lines.count <= Roster.namesMax + 3, lines[0] == Self.heading, lines.last == "",
            lines[lines.count - 2] == "end \(lines.count - 3)"
        else { return nil }
        for line in lines[1..<lines.count - 2] {
            let parts = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
            guard parts.count == 4, !parts[3].isEmpty else { return nil }
            let moments = parts[..<3].compactMap { UInt64($0) }
            guard moments.count == 3, moments.allSatisfy({ $0 < Roster.momentMax }) else { return nil }
            entries[String(parts[3])] = Entry(joined: moments[0], forgotten: moments[1], life: moments[2])
        }
    }
}
