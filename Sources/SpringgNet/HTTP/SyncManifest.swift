import NIOHTTP1
import SpringgProjections

/// An index cut into blocks of rows in byte order of their ids, each with a hash, so that a peer fetches only the
/// blocks that differ.
struct SyncManifest {
    /// Rows of a block; peers count with it.
    static let blockRows = 1000
    /// Bytes reserved for a block before its size is known.
    private static let blockCapacityMax = 16 << 20

    private struct Block {
        let hash: String
        let firstKey: [UInt8]
        let lastKey: [UInt8]
        let rows: Int
    }

    /// Builds the answer to a manifest request: reads every row, so it belongs on a thread of the pool.
    static func answer(_ index: VectorIndex) -> Answer {
        let blocks = self.blocks(of: index)
        let total = blocks.reduce(0) { $0 + $1.rows }
        return .success(capacity: 128 + blocks.count * 256) { body in
            body.raw(#"{"index_name":"#)
            body.string(index.name.description)
            body.raw(#","total_count":"#)
            body.integer(total)
            body.raw(#","block_size":"#)
            body.integer(blockRows)
            body.raw(#","blocks":["#)
            for (number, block) in blocks.enumerated() {
                write(block, number: number, to: &body)
            }
            body.raw("]}")
        }
    }

    private static func write(_ block: Block, number: Int, to body: inout ResponseWriter) {
        body.raw(number == 0 ? #"{"block_index":"# : #",{"block_index":"#)
        body.integer(number)
        body.raw(#","start_id":"#)
        body.integer(number * blockRows)
        body.raw(#","end_id":"#)
        body.integer(number * blockRows + block.rows)
        body.raw(#","hash":"#)
        body.string(block.hash)
        body.raw(#","first_key":"#)
        block.firstKey.withUnsafeBytes { body.string($0) }
        body.raw(#","last_key":"#)
        block.lastKey.withUnsafeBytes { body.string($0) }
        body.raw("}")
    }

    /// A block's hash covers, for each row, the bytes of the id, the numbers as float32 little-endian and the metadata.
    private static func blocks(of index: VectorIndex) -> [Block] {
        var blocks: [Block] = []
        var hasher = SHA256Hasher()
        var rows = 0
        var firstKey: [UInt8] = []
        var lastKey: [UInt8] = []
        func finishBlock() {
            blocks.append(Block(hash: hasher.finishAsHex(), firstKey: firstKey, lastKey: lastKey, rows: rows))
            rows = 0
        }
        index.forEachRowInIDOrder { row in
            lastKey = Array(row.id)
            if rows == 0 {
                firstKey = lastKey
            }
            hasher.update(row.id)
            // Rows lie in memory as the hash wants them: every processor that this runs on is little-endian.
            hasher.update(UnsafeRawBufferPointer(row.vector))
            hasher.update(row.metadata)
            rows += 1
            if rows == blockRows {
                finishBlock()
            }
            return true
        }
        if rows > 0 {
            finishBlock()
        }
        return blocks
    }

    /// Builds the answer to a block request.
    static func blockAnswer(_ index: VectorIndex, number: Int) throws(RequestError) -> Answer {
        let (first, overflow) = number.multipliedReportingOverflow(by: blockRows)
        guard !overflow, first < index.count else {
            throw .badRequest("block index out of range")
        }
        var position = 0
        var isTooLarge = false
        var written = 0
        let estimate = blockRows * (64 + index.dimensions * 12)
        var body = ResponseWriter(capacity: min(estimate, blockCapacityMax))
        body.raw(#"{"status":"success","data":{"block_index":"#)
        body.integer(number)
        body.raw(#","vectors":["#)
        index.forEachRowInIDOrder { row in
            defer { position += 1 }
            guard position >= first else {
                return true
            }
            // The most that a number takes, so that the bound holds before the row is written.
            guard body.count + row.vector.count * 16 + row.metadata.count <= responseBytesMax else {
                isTooLarge = true
                return false
            }
            if written > 0 {
                body.raw(",")
            }
            body.row(row)
            written += 1
            return written < blockRows
        }
        guard !isTooLarge else {
            throw RequestError(.internalServerError, "block is larger than \(responseBytesMax) bytes")
        }
        // Rows may have gone since they were counted.
        guard written > 0 else {
            throw .badRequest("block index out of range")
        }
        body.raw("]}}\n")
        return Answer(.ok, contentType: .json, body: body)
    }
}
