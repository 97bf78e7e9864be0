/// Messages about members that are still to be spread, each a bounded number of times.
///
/// The least often sent go first, among them the longest, so that the small ones fill the gaps, then the newest. A newer
/// message about a member takes the place of the older one.
package struct BroadcastQueue: Sendable {
    /// What the order is by; no two are equal.
    private struct Rank: Comparable, Sendable {
        var sent: Int
        let length: Int
        let number: UInt64

        static func < (a: Rank, b: Rank) -> Bool { (a.sent, b.length, b.number) < (b.sent, a.length, a.number) }
    }

    private struct Entry: Sendable {
        var rank: Rank
        let subject: String
        let message: [UInt8]
    }

    /// In order of rank.
    private var entries: [Entry] = []
    /// The rank of the message about each subject.
    private var ranks: [String: Rank] = [:]
    private var nextNumber: UInt64 = 0

    package var isEmpty: Bool { entries.isEmpty }

    func contains(subject: String) -> Bool { ranks[subject] != nil }

    mutating func add(_ message: [UInt8], about subject: String) {
        if let older = ranks[subject] { entries.remove(at: position(of: older)) }
        insert(
            Entry(rank: Rank(sent: 0, length: message.count, number: nextNumber), subject: subject, message: message)
        )
        nextNumber += 1
    }

    /// The messages for one packet of `bytesMax`, in which each costs `overhead` more than its bytes.
    ///
    /// A message that has been taken `limit` times is dropped.
    mutating func take(bytesMax: Int, overhead: Int, countMax: Int, limit: Int) -> [[UInt8]] {
        var positions: [Int] = []
        var room = bytesMax
        for (position, entry) in entries.enumerated() where entry.message.count + overhead <= room {
            guard positions.count < countMax else { break }
            room -= entry.message.count + overhead
            positions.append(position)
        }
        let taken = positions.map { entries[$0] }
        for position in positions.reversed() { entries.remove(at: position) }
        for var entry in taken {
            entry.rank.sent += 1
            if entry.rank.sent < limit { insert(entry) } else { ranks[entry.subject] = nil }
        }
        return taken.map(\.message)
    }

    private mutating func insert(_ entry: Entry) {
        ranks[entry.subject] = entry.rank
        entries.insert(entry, at: position(of: entry.rank))
    }

    /// Where an entry of that rank is, or belongs.
    private func position(of rank: Rank) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].rank < rank { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
