package import SpringgLog

/// Below which clock reading nothing new can come: tombstones there are needed by nobody any more.
///
/// A tombstone guards against an older write that arrives late. None can, once every member has promised to give out no
/// reading below it (its HLC floor), and holds every event below it. Time alone is never the reason: a member that says
/// nothing holds the horizon where it is, until an operator forgets it.
///
/// Members are always a little behind each other, so asking that all of them hold everything *now* would never be so while
/// writes go on. Instead a goal is set, the lowest floor and all that was held anywhere when all floors had been heard; once
/// every member holds the goal, the horizon moves to that floor, and the next goal is set.
///
/// Who the members are has to be agreed: what is announced under another roster than this node's counts as not heard. So
/// one member that knows of somebody more, or of somebody less, is enough to hold every horizon where it is.
package struct CausalStability: Sendable {
    /// What a member announces: all events that it has written below its floor are within its heads.
    ///
    /// The floor is read first, then the roster, then the heads: see `Standing`.
    package struct Announcement: Equatable, Sendable {
        /// The hash of the roster that it has on its disk.
        package var roster: UInt64
        /// It will give out no reading below this.
        package var floor: HLC
        /// All heads, none left out.
        package var heads: VersionVector

        package init(roster: UInt64, floor: HLC, heads: VersionVector) {
            self.roster = roster
            self.floor = floor
            self.heads = heads
        }
    }

    private struct Goal: Sendable {
        var roster: UInt64
        var floor: HLC
        var heads: VersionVector
    }

    private var goal: Goal?
    /// Everything up to here is held by every member, and nothing below it will be written any more.
    ///
    /// Invariant: never goes back.
    package private(set) var horizon = HLC(0)

    package init() {}

    /// Looks at what the members of `roster` announce; nil for one that has not been heard.
    ///
    /// - Returns: The members that the horizon waits for.
    @discardableResult
    package mutating func observe(_ members: [String: Announcement?], under roster: UInt64) -> [String] {
        let heard = members.compactMapValues { $0 }.filter { $0.value.roster == roster }
        guard heard.count == members.count, !heard.isEmpty else {
            // Who is not heard now may write below the goal's floor when it is heard again under another promise.
            goal = nil
            return members.keys.filter { heard[$0] == nil }.sorted()
        }
        let floor = heard.values.map(\.floor).min() ?? HLC(0)
        if let goal, goal.roster == roster, floor >= goal.floor {
            let behind = heard.filter { !$0.value.heads.covers(goal.heads) }.keys
            guard behind.isEmpty else { return behind.sorted() }
            horizon = max(horizon, goal.floor)
        }
        var heads = VersionVector()
        for announcement in heard.values {
            for origin in announcement.heads.origins where heads[origin].sequence < announcement.heads[origin].sequence
            {
                heads[origin] = announcement.heads[origin]
            }
        }
        goal = Goal(roster: roster, floor: floor, heads: heads)
        return []
    }
}
