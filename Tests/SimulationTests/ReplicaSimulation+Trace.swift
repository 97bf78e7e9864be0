import Glibc
import SpringgCluster
import SpringgLog
import SpringgProjections

/// For whoever looks into a seed: `SPRINGG_TRACE=1` prints what happens to nodes and where events go.
extension ReplicaSimulation {
    private static let isTraced = getenv("SPRINGG_TRACE") != nil

    func trace(_ text: @autoclosure () -> String) {
        if Self.isTraced { print("\(now): \(text())") }
    }

    func trace(_ text: @autoclosure () -> String, _ message: EventsMessage, _ outcome: ReceiveOutcome) {
        guard Self.isTraced else { return }
        let events = (0..<message.events.count).map { place in
            let event = message.events[place]
            return "\(Self.short(event.origin)):\(event.sequence) (\(event.version.hlc))"
        }
        print("\(now): \(text()) \(events), \(outcome.appended) are new, refused \(outcome.refusals)")
    }

    /// How all nodes stand.
    var picture: String {
        nodes.map { node in
            "\(node.name): \(node.running.map(picture) ?? "down")\(node.isOutOfReach ? ", out of reach" : "")"
        }.joined(separator: " | ") + lastFailure
    }

    func picture(_ running: ReplicaNode.Running) -> String {
        let vector = running.log.versionVector
        let heads = vector.origins.map { "\(Self.short($0)):\(vector[$0].sequence)" }.joined(separator: " ")
        return "\(running.core.phase)\(running.isHolding ? ", holds" : ""), members \(running.standing.kept.members) "
            + "\(running.standing.rosterHash % 1000), writes \(Self.short(running.log.origin)), \(heads)"
    }

    private static func short(_ origin: OriginID) -> String { String(origin.description.prefix(4)) }
}
