import Glibc

/// The time that a suspect has to say that it lives: long at first, shorter with each further accuser.
///
/// Lifeguard, section 4.2: one accuser may be the one that hears badly; several that agree are probably right.
package struct Suspicion: Equatable, Sendable {
    private let began: Duration
    private let shortest: Duration
    private let longest: Duration
    /// Accusers beside the first after which nothing is left to wait for.
    private let confirmationsNeeded: Int
    private var accusers: Set<String>

    /// Begins with the first accuser, who does not count as a confirmation.
    ///
    /// `members` are all that are known, self and the dead included.
    init(began: Duration, members: Int, options: MembershipOptions, accuser: String) {
        let wanted = options.suspicionMultiplier - 2
        // In a small cluster there are not enough others to confirm.
        confirmationsNeeded = members - 2 < wanted ? 0 : wanted
        // Rounded to thousandths as the agents do, so that all of a cluster wait alike.
        let magnitude = max(1, (log10(Double(max(1, members))) * 1000).rounded(.down) / 1000)
        shortest = options.probeInterval * (Double(options.suspicionMultiplier) * magnitude)
        longest = confirmationsNeeded == 0 ? shortest : shortest * Double(options.suspicionMaxMultiplier)
        accusers = [accuser]
        self.began = began
    }

    /// Counts an accuser; false when it is known or no more are needed.
    mutating func confirm(_ accuser: String) -> Bool {
        guard accusers.count - 1 < confirmationsNeeded else { return false }
        return accusers.insert(accuser).inserted
    }

    /// When the suspect is taken for dead, as things stand.
    var deadline: Duration {
        guard confirmationsNeeded > 0 else { return began + shortest }
        let confirmations = Double(accusers.count - 1)
        let share = log(confirmations + 1) / log(Double(confirmationsNeeded) + 1)
        return began + max(shortest, longest - (longest - shortest) * share)
    }
}
