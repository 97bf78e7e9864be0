import Logging
import NIOCore
import SpringgCluster

/// What gossip writes to the log: a line for each member that comes and goes; of what others can provoke, one a minute.
struct GossipJournal {
    private let logger: Logger
    private var quietUntil: [String: NIODeadline] = [:]

    init(logger: Logger) { self.logger = logger }

    mutating func refused(_ what: String, from sender: NodeAddress) {
        sayOnce("refused \(sender.address)") {
            $0.warning("Gossip refused \(what)", metadata: ["from": "\(sender)"])
        }
    }

    func seedsNotFound(_ reason: String) {
        logger.warning("Seeds were not found, they are looked up again: \(reason)")
    }

    mutating func note(_ event: MembershipEvent) {
        switch event {
        case .joined(let member):
            logger.info("Member joined", metadata: Self.metadata(member))
            noteProtocols(member)
        case .updated(let member):
            logger.debug("Member changed", metadata: Self.metadata(member))
            noteProtocols(member)
        case .left(let member):
            logger.info("Member left", metadata: Self.metadata(member))
        case .failed(let member):
            logger.warning("Member is gone without a word", metadata: Self.metadata(member))
        case .answered:
            ()
        case .refuted(let incarnation):
            logger.info("Somebody took this node for gone", metadata: ["incarnation": "\(incarnation)"])
        case .nameConflict(let name, let ours, let theirs):
            sayOnce("conflict \(name)") {
                $0.error(
                    "Two nodes have one name: give each its own node_id",
                    metadata: ["name": "\(name)", "known": "\(ours)", "other": "\(theirs)"]
                )
            }
        case .refused(let endpoint, let reason):
            sayOnce("join \(endpoint)") {
                $0.warning("A cluster was not joined: \(reason)", metadata: ["at": "\(endpoint)"])
            }
        }
    }

    private mutating func noteProtocols(_ member: Member) {
        guard let state = member.state, !state.isUnderstood else { return }
        let (theirs, ours) = (state.protocols, NodeState.spokenProtocols)
        sayOnce("protocols \(member.name)") {
            $0.warning(
                """
                Member speaks no protocol that this node speaks: nothing is replicated between the two until the older \
                program has been upgraded
                """,
                metadata: Self.metadata(member).merging([
                    "version": "\(state.version)", "theirs": "\(theirs.lowerBound) to \(theirs.upperBound)",
                    "ours": "\(ours.lowerBound) to \(ours.upperBound)",
                ]) { $1 }
            )
        }
    }

    private static func metadata(_ member: Member) -> Logger.Metadata {
        ["name": "\(member.name)", "address": "\(member.endpoint)"]
    }

    /// Of what others can make us say again and again, one line a minute is enough; and of what they invent, so many.
    private mutating func sayOnce(_ subject: String, _ say: (Logger) -> Void) {
        let now = NIODeadline.now()
        if quietUntil.count >= 1000 { quietUntil = quietUntil.filter { $0.value > now } }
        guard quietUntil.count < 1000, quietUntil[subject].map({ $0 <= now }) ?? true else { return }
        quietUntil[subject] = now + .minutes(1)
        say(logger)
    }
}
