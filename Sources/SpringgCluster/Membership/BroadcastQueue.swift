/// Messages about members that are still to be spread, each a bounded number of times.
///
/// The least often sent go first, among them the longest, so that the small ones fill the gaps, then the newest. A newer
/// message about a member takes the place of the older one.
package struct BroadcastQueue: Sendable {
    private struct Entry: Sendable {
        let subject: String
        let message: [UInt8]
        let number: UInt64
        var sent = 0
    }

    private var entries: [Entry] = []
    private var nextNumber: UInt64 = 0

    package var isEmpty: Bool { entries.isEmpty }

    func contains(subject: String) -> Bool { entries.contains { $0.subject == subject } }

    mutating func add(_ message: [UInt8], about subject: String) {
        entries.removeAll { $0.subject == subject }
        entries.append(Entry(subject: subject, message: message, number: nextNumber))
        nextNumber += 1
    }

    /// The messages for one packet.
    /// - Parameters:
    ///   - bytesMax: Room, in which each message costs `overhead` more than its bytes.
    ///   - limit: A message that has been taken so often is dropped.
    mutating func take(bytesMax: Int, overhead: Int, countMax: Int, limit: Int) -> [[UInt8]] {
        guard !entries.isEmpty else { return [] }
        entries.sort { a, b in
            (a.sent, b.message.count, b.number) < (b.sent, a.message.count, a.number)
        }
        var taken: [[UInt8]] = []
        var room = bytesMax
        for position in entries.indices where taken.count < countMax {
            let cost = entries[position].message.count + overhead
            guard cost <= room else { continue }
            room -= cost
            taken.append(entries[position].message)
            entries[position].sent += 1
        }
        entries.removeAll { $0.sent >= limit }
        return taken
    }
}
