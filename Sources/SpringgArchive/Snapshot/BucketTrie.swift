/// One bucket of rows: those whose id's hash begins with these bits.
package struct Bucket: Equatable, Sendable, CustomStringConvertible {
    /// The bits, from the top of the word; the others are 0.
    let bits: UInt64
    /// How many bits there are, 0 to 64.
    let depth: Int

    /// Everything.
    static let root = Bucket(bits: 0, depth: 0)

    /// Whether a hash begins with the bits.
    func holds(_ hash: UInt64) -> Bool { depth == 0 || (hash ^ bits) >> UInt64(64 - depth) == 0 }

    /// The half whose next bit is 0, or 1.
    func half(_ bit: UInt64) -> Bucket {
        Bucket(bits: bits | bit << UInt64(63 - depth), depth: depth + 1)
    }

    /// The bits as `0` and `1`; empty for the root.
    package var description: String {
        String((0..<depth).map { bits >> UInt64(63 - $0) & 1 == 0 ? "0" : "1" })
    }

    init(bits: UInt64, depth: Int) {
        self.bits = bits
        self.depth = depth
    }

    /// Reads what `description` prints.
    init?(_ text: String) {
        guard text.utf8.count <= 64 else { return nil }
        var bits: UInt64 = 0
        for (place, digit) in text.utf8.enumerated() {
            guard digit == 0x30 || digit == 0x31 else { return nil }
            bits |= UInt64(digit & 1) << UInt64(63 - place)
        }
        self.init(bits: bits, depth: text.utf8.count)
    }
}

/// Divides rows into buckets by the hash of their ids, each of a bounded number of bytes.
///
/// Extendible hashing (Fagin et al., 1979) without its memory of the past: a bucket is halved if, and only if, its rows
/// have more bytes than the bound. So the division is a function of the rows alone and the same on every node; a changed
/// row touches its own bucket, one row more halves at most the bucket it goes to, and never all of them, as a number of
/// buckets chosen from the number of rows would.
enum BucketTrie {
    /// A bucket and the rows in it, as a range of the given order.
    struct Leaf: Equatable {
        var bucket: Bucket
        var range: Range<Int>
    }

    /// The buckets that are not empty, in ascending order of their bits.
    ///
    /// `hashes` ascend; `bytes` are those of the rows before each place, from 0 for the first to all behind the last. A
    /// bucket has at most `bytesMax`, unless it has one row.
    static func leaves(hashes: [UInt64], bytes: [Int], bytesMax: Int) -> [Leaf] {
        var leaves: [Leaf] = []
        var pending = [Leaf(bucket: .root, range: 0..<hashes.count)]
        while let next = pending.popLast() {
            let (bucket, range) = (next.bucket, next.range)
            guard !range.isEmpty else { continue }
            let size = bytes[range.upperBound] - bytes[range.lowerBound]
            if size <= bytesMax || range.count == 1 || bucket.depth == 64 {
                leaves.append(next)
                continue
            }
            let middle = firstWithNextBit(hashes, range, bucket)
            pending.append(Leaf(bucket: bucket.half(1), range: middle..<range.upperBound))
            pending.append(Leaf(bucket: bucket.half(0), range: range.lowerBound..<middle))
        }
        return leaves
    }

    /// The first place whose hash has the bit behind the bucket's set, by bisection.
    private static func firstWithNextBit(_ hashes: [UInt64], _ range: Range<Int>, _ bucket: Bucket) -> Int {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if hashes[middle] >> UInt64(63 - bucket.depth) & 1 == 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
