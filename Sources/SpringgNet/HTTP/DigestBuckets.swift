import NIOHTTP1
import SpringgLog
import SpringgProjections

/// An index cut into buckets by a hash of the id, each with the digest of its rows: two nodes that show different things
/// find out where by fetching the rows of a few buckets.
///
/// Computed when asked, by one pass over ids and versions, and kept nowhere: it is asked for when something is wrong.
struct DigestBuckets {
    /// What may be asked for: 2 to the power of these.
    static let bits = 0...16

    /// `bits` of a path.
    static func bits(_ digits: [UInt8]) throws(RequestError) -> Int {
        guard let bits = number(digits), self.bits.contains(bits) else {
            throw .badRequest("the bits of a bucket's number must be 0 to \(self.bits.upperBound)")
        }
        return bits
    }

    /// A bucket's number in a path.
    static func bucket(_ digits: [UInt8], bits: Int) throws(RequestError) -> Int {
        guard let bucket = number(digits), bucket < 1 << bits else {
            throw .badRequest("there is no such bucket: with \(bits) bits the last is \((1 << bits) - 1)")
        }
        return bucket
    }

    /// Digits and nothing else: `0junk`, `+1` and ` 1` are no numbers.
    private static func number(_ digits: [UInt8]) -> Int? {
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(String(decoding: digits, as: UTF8.self))
    }

    /// The digest of each bucket that has rows: reads every id, so it belongs on a thread of the pool.
    static func answer(_ index: VectorIndex, bits: Int) -> Answer {
        let buckets = index.buckets(bits: bits)
        let filled = buckets.indices.filter { buckets[$0].rows > 0 }
        return .success(capacity: 256 + filled.count * 64) { body in
            body.raw(#"{"index_name":"#)
            body.string(index.name.description)
            body.raw(#","bits":"#)
            body.integer(bits)
            body.raw(#","rows":"#)
            body.integer(filled.reduce(0) { $0 + buckets[$1].rows })
            body.raw(#","buckets":["#)
            for (place, number) in filled.enumerated() {
                body.raw(place == 0 ? #"{"bucket":"# : #",{"bucket":"#)
                body.integer(number)
                body.raw(#","rows":"#)
                body.integer(buckets[number].rows)
                body.raw(#","digest":"#)
                body.string(buckets[number].digest.description)
                body.raw("}")
            }
            body.raw("]}")
        }
    }

    /// The rows of one bucket in the order of their ids, each with its version.
    static func rowsAnswer(_ index: VectorIndex, bits: Int, bucket: Int) throws(RequestError) -> Answer {
        var body = ResponseWriter(capacity: 64 << 10)
        body.raw(#"{"status":"success","data":{"bucket":"#)
        body.integer(bucket)
        body.raw(#","vectors":["#)
        var isFirst = true
        let isWhole = index.forEachRow(inBucket: bucket, bits: bits) { row, version in
            // The most that a number takes, so that the bound holds before the row is written.
            guard body.count + row.vector.count * 16 + row.metadata.count <= responseBytesMax else { return false }
            body.raw(isFirst ? #"{"version":"# : #",{"version":"#)
            isFirst = false
            body.string(version.description)
            body.raw(#","row":"#)
            body.row(row)
            body.raw("}")
            return true
        }
        guard isWhole else {
            throw .badRequest("the bucket is larger than \(responseBytesMax) bytes: ask with more bits")
        }
        body.raw("]}}\n")
        return Answer(.ok, contentType: .json, body: body)
    }
}
