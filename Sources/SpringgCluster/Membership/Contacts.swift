/// Addresses that are tried when nobody alive is known there: the seeds, and where members were before they died.
///
/// Gossip alone never joins the halves of a split that lasted longer than the dead are remembered. So every node keeps
/// trying, for ever, with a pause that doubles up to a bound.
package struct Contacts: Sendable {
    private struct Contact: Sendable {
        var isSeed: Bool
        var failures = 0
        var due: Duration
    }

    private var contacts: [NodeAddress: Contact] = [:]
    private let base: Duration
    private let longest: Duration
    private let rememberedMax: Int

    init(options: MembershipOptions) {
        base = options.rejoinInterval
        longest = options.rejoinBackoffMax
        rememberedMax = options.rememberedMax
    }

    var isEmpty: Bool { contacts.isEmpty }

    /// Replaces the seeds; what was remembered stays.
    mutating func setSeeds(_ seeds: [NodeAddress], now: Duration) {
        for (endpoint, contact) in contacts where contact.isSeed && !seeds.contains(endpoint) {
            contacts[endpoint] = nil
        }
        for seed in seeds { contacts[seed, default: Contact(isSeed: true, due: now)].isSeed = true }
    }

    /// Remembers where a member was that is taken for dead.
    mutating func remember(_ endpoint: NodeAddress, now: Duration) {
        guard contacts[endpoint] == nil else { return }
        let remembered = contacts.filter { !$0.value.isSeed }
        if remembered.count >= rememberedMax,
            let worst = remembered.max(by: { ($0.value.failures, "\($0.key)") < ($1.value.failures, "\($1.key)") })
        {
            contacts[worst.key] = nil
        }
        contacts[endpoint] = Contact(isSeed: false, due: now + base)
    }

    /// A member left on purpose: only a seed is tried again.
    mutating func forget(_ endpoint: NodeAddress) {
        if contacts[endpoint]?.isSeed == false { contacts[endpoint] = nil }
    }

    /// The contact that has been due for longest, its next turn set as if this attempt failed.
    ///
    /// `excluded` are the addresses of the living, and one's own.
    mutating func next(now: Duration, excluding excluded: Set<NodeAddress>) -> NodeAddress? {
        let candidates = contacts.filter { $0.value.due <= now && !excluded.contains($0.key) }
        // In a fixed order, so that a run with the same seed repeats itself.
        let oldest = candidates.min { ($0.value.due, "\($0.key)") < ($1.value.due, "\($1.key)") }
        guard let endpoint = oldest?.key, let failures = oldest?.value.failures else { return nil }
        contacts[endpoint]?.due = now + min(longest, base * (1 << min(failures, 10)))
        contacts[endpoint]?.failures = min(failures + 1, 1000)
        return endpoint
    }

    /// Somebody answered there.
    mutating func succeeded(_ endpoint: NodeAddress, now: Duration) {
        contacts[endpoint]?.failures = 0
        contacts[endpoint]?.due = now + base
    }
}
