import SpringgCluster
import SpringgLog
import SpringgProjections

/// Where the links, the log and callers leave what the loop has to know.
final class ReplicationInbox: @unchecked Sendable {
    // Why @unchecked: the fields are only touched while `doorbell` is locked.

    enum Item: Sendable {
        case ended(Exchange, ExchangeOutcome)
        case originated(OriginID?)
        /// No commands are taken any more, and none is on its way into the log.
        case held
        case durable
        case hurry
        /// The members are others than before, perhaps.
        case look
        /// A peer that was not reached was heard of.
        case heard(String)
        case stop
    }

    private let doorbell = Doorbell()
    private var items: [Item] = []

    func post(_ item: Item) {
        let wasEmpty = doorbell.withLock {
            items.append(item)
            return items.count == 1
        }
        if wasEmpty { doorbell.ring() }
    }

    /// What has come, at the latest after so long.
    func take(nanoseconds: UInt64) -> [Item] {
        doorbell.withLock {
            if items.isEmpty { doorbell.wait(nanoseconds: nanoseconds) }
            defer { items = [] }
            return items
        }
    }
}
