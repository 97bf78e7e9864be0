/// Who is of the cluster, whether there or not: everybody who was ever seen and has not been forgotten.
///
/// Gossip forgets the dead; a majority must not. A member counts from the moment at which it says something of itself, until
/// an operator forgets it; what it says after that makes it a member again. Both are moments, and the later one wins: so the
/// rosters of all nodes become one, in whatever order they hear of things.
package struct Roster: Equatable, Sendable {
    private struct Entry: Equatable, Sendable {
        /// Unix time in milliseconds at which it spoke, as it says; not the last time, but one after it was forgotten.
        var spoke: UInt64 = 0
        /// Unix time in milliseconds at which it was forgotten; 0 for never.
        var forgotten: UInt64 = 0

        var isMember: Bool { spoke > forgotten }
    }

    /// Names that are kept, as many as a cluster may have members; beyond that new ones are not taken.
    package static let namesMax = 10_000

    private var entries: [String: Entry] = [:]

    package init() {}

    /// The members, in order.
    package var members: [String] { entries.filter { $0.value.isMember }.keys.sorted() }

    /// Who was forgotten, and when.
    package var forgotten: [String: UInt64] {
        entries.filter { !$0.value.isMember && $0.value.forgotten > 0 }.mapValues(\.forgotten)
    }

    package func contains(_ name: String) -> Bool { entries[name]?.isMember ?? false }

    /// A node said something of itself at `milliseconds`; true when that made it a member.
    @discardableResult
    package mutating func saw(_ name: String, at milliseconds: UInt64) -> Bool {
        let known = entries[name] ?? Entry()
        guard !known.isMember, milliseconds > known.forgotten, isTaken(name) else { return false }
        entries[name] = Entry(spoke: milliseconds, forgotten: known.forgotten)
        return true
    }

    /// A node is not expected back; true when that is news.
    ///
    /// `milliseconds` must not lie before what the node said last.
    @discardableResult
    package mutating func forget(_ name: String, at milliseconds: UInt64) -> Bool {
        let known = entries[name] ?? Entry()
        guard milliseconds > known.forgotten, isTaken(name) else { return false }
        entries[name] = Entry(spoke: known.spoke, forgotten: milliseconds)
        return true
    }

    private func isTaken(_ name: String) -> Bool {
        !name.isEmpty && !name.utf8.contains(0x0A) && (entries[name] != nil || entries.count < Self.namesMax)
    }

    // MARK: As a file

    // springg-members 1
    // SPOKE FORGOTTEN NAME          a line for each, in order of name; both Unix times in milliseconds
    // end NUMBER                    of lines in between
    private static let heading = "springg-members 1"

    /// The roster as text.
    package var text: String {
        let lines = entries.sorted { $0.key < $1.key }.map { "\($0.value.spoke) \($0.value.forgotten) \($0.key)\n" }
        return Self.heading + "\n" + lines.joined() + "end \(lines.count)\n"
    }

    /// Reads it; nil for anything else than what `text` gives.
    package init?(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 3, lines[0] == Self.heading, lines.last == "",
            lines[lines.count - 2] == "end \(lines.count - 3)"
        else { return nil }
        for line in lines[1..<lines.count - 2] {
            let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, let spoke = UInt64(parts[0]), let forgotten = UInt64(parts[1]), !parts[2].isEmpty
            else {
                return nil
            }
            entries[String(parts[2])] = Entry(spoke: spoke, forgotten: forgotten)
        }
    }
}
