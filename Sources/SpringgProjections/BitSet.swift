/// A growing set of small numbers, for one thread.
struct BitSet {
    private(set) var words: [UInt64] = []

    func contains(_ member: Int) -> Bool {
        member >> 6 < words.count && words[member >> 6] & (1 << UInt64(member & 63)) != 0
    }

    mutating func insert(_ member: Int) {
        if member >> 6 >= words.count {
            words.append(contentsOf: repeatElement(0, count: max(member >> 6 + 1 - words.count, words.count)))
        }
        words[member >> 6] |= 1 << UInt64(member & 63)
    }

    mutating func remove(_ member: Int) {
        if member >> 6 < words.count { words[member >> 6] &= ~(1 << UInt64(member & 63)) }
    }

    /// Calls `body` with each member, ascending.
    func forEach(_ body: (UInt32) -> Void) { forEach(inWords: words.indices, body) }

    /// Calls `body` with each member in some of the words, 64 numbers each, ascending.
    func forEach(inWords part: Range<Int>, _ body: (UInt32) -> Void) {
        for number in part {
            var bits = words[number]
            while bits != 0 {
                body(UInt32(number * 64 + bits.trailingZeroBitCount))
                bits &= bits - 1
            }
        }
    }
}
