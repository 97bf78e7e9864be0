import SpringgConfiguration
import SpringgNet
import SpringgProjections

/// The digests of an index on one node, cut into buckets by a hash of the id: where two nodes differ they differ in these.
struct BucketDigests {
    /// Of the whole index.
    let rows: Int
    /// Of each bucket that has rows.
    private let digests: [Int: String]

    /// Rows of a bucket, about: few enough that a difference of one row costs little, so many that buckets are few.
    private static let bucketRows = 64
    private static let bitsMax = 16

    /// How finely an index of so many rows is to be cut.
    static func bits(rows: Int) -> Int { (0...bitsMax).first { rows >> $0 <= bucketRows } ?? bitsMax }

    /// Asks a node; without bits for the index as a whole.
    init(_ index: String, of node: RunningNode, bits: Int = 0) throws {
        let answer = try node.send("GET", "/internal/digest/\(index)/\(bits)")
        rows = Int(clamping: answer.member("rows")?.integer ?? 0)
        guard case .array(let buckets)? = answer.member("buckets") else {
            digests = [:]
            return
        }
        let pairs = buckets.compactMap { bucket -> (Int, String)? in
            guard let number = bucket.member("bucket")?.integer, let digest = bucket.member("digest")?.string else {
                return nil
            }
            return (Int(clamping: number), digest)
        }
        digests = Dictionary(pairs) { first, _ in first }
    }

    /// Reads an index of this process.
    init(_ index: VectorIndex, bits: Int) {
        let buckets = index.buckets(bits: bits)
        rows = buckets.reduce(0) { $0 + $1.rows }
        let pairs = buckets.enumerated().filter { $0.element.rows > 0 }.map {
            ($0.offset, $0.element.digest.description)
        }
        digests = Dictionary(pairs) { first, _ in first }
    }

    /// The buckets that are not the same, in order.
    func differing(from other: BucketDigests) -> [Int] {
        Set(digests.keys).union(other.digests.keys).filter { digests[$0] != other.digests[$0] }.sorted()
    }
}
