public import SpringgLog

/// One part of an index's rows, by a hash of their ids.
public struct DigestBucket: Equatable, Sendable {
    /// Of its rows, as of an index.
    public var digest = StateDigest()
    /// How many they are.
    public var rows = 0
}

extension VectorIndex {
    /// The digests of 2 to the power of `bits` buckets at one moment; together they make the digest of the index.
    ///
    /// Reads the id and version of every row: some 50 ns each.
    public func buckets(bits: Int) -> [DigestBucket] {
        var buckets = [DigestBucket](repeating: DigestBucket(), count: 1 << bits)
        resources.epochs.withSnapshot { moment in
            store.forEachRun(at: moment) { first, _, _, count in
                for slot in first..<first + UInt32(count) {
                    let id = store.id(of: slot)
                    let number = VectorIndex.bucket(of: id, bits: bits)
                    buckets[number].digest.insert(id: id, version: store.version(of: slot))
                    buckets[number].rows += 1
                }
            }
        }
        return buckets
    }

    /// Calls `body` for each row of a bucket with its version, in the order of ids, until it returns false; returns whether it
    /// never did.
    public func forEachRow(inBucket bucket: Int, bits: Int, _ body: (Row, EventVersion) -> Bool) -> Bool {
        resources.epochs.withSnapshot { moment in
            var slots: [UInt32] = []
            store.forEachRun(at: moment) { first, _, _, count in
                for slot in first..<first + UInt32(count)
                where VectorIndex.bucket(of: store.id(of: slot), bits: bits) == bucket {
                    slots.append(slot)
                }
            }
            slots.sort { store.id(of: $0).lexicographicallyPrecedes(store.id(of: $1)) }
            return slots.allSatisfy { slot in
                let row = Row(
                    id: store.id(of: slot),
                    vector: store.vector(of: slot),
                    metadata: store.metadata(of: slot)
                )
                return body(row, store.version(of: slot))
            }
        }
    }

    private static func bucket(of id: UnsafeRawBufferPointer, bits: Int) -> Int {
        bits == 0 ? 0 : Int(Checksum.hash64(id) >> UInt64(64 - bits))
    }
}
