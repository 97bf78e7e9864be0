import NIOCore
import SpringgProjections

/// `/api/indexes/{name}/vectors…`, one vector at a time.
extension Worker {
    func addVector(_ target: Target, _ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let name = try indexName(target)
        let (vector, id) = try body.withBytes { bytes throws(RequestError) in
            let fields = try decodeBody(bytes) { reader throws(JSONError) in
                try VectorFields(&reader, scratch: scratch)
            }
            let id = try fields.id(scratch)
            return (try fields.prepare(index: name, id: id, scratch: scratch), id)
        }
        submit([.put(vector, mustExist: false)], as: .add(id), ticket)
        return nil
    }

    func updateVector(_ target: Target, _ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let name = try indexName(target)
        let id = try vectorID(target)
        let vector = try body.withBytes { bytes throws(RequestError) in
            let fields = try decodeBody(bytes) { reader throws(JSONError) in
                try VectorFields(&reader, scratch: scratch, readsID: false)
            }
            return try fields.prepare(index: name, id: id, scratch: scratch)
        }
        submit([.put(vector, mustExist: true)], as: .update(id), ticket)
        return nil
    }

    func deleteVector(_ target: Target, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let name = try indexName(target)
        let id = try vectorID(target)
        submit([.delete(index: name, id: id)], as: .delete(id), ticket)
        return nil
    }

    func getVector(_ target: Target, _ items: QueryItems) throws(RequestError) -> Answer {
        let fields = try RowFields(items, else: [.vector, .metadata])
        let index = try self.index(target)
        let id = try vectorID(target)
        let answer = index.withRow(id) { row in
            Stage.json.measured {
                // Numbers of nine digits and their commas are what embeddings mostly are.
                Answer.success(capacity: 256 + row.vector.count * 12 + row.metadata.count) { $0.row(row, fields) }
            }
        }
        guard let answer else {
            throw RequestError(.vectorNotFound(id))
        }
        return answer
    }
}

extension ResponseWriter {
    /// A stored vector: id, numbers as they were sent, metadata if there is any.
    mutating func row(_ row: Row, _ fields: RowFields = [.vector, .metadata]) {
        raw(#"{"id":"#)
        string(row.id)
        if fields.contains(.vector) {
            raw(#","vector":"#)
            floats(row.vector)
        }
        if fields.contains(.metadata) {
            metadata(row.metadata)
        }
        raw("}")
    }

    /// Stored metadata as a further member: its bytes are JSON already.
    mutating func metadata(_ metadata: UnsafeRawBufferPointer) {
        guard !metadata.isEmpty else {
            return
        }
        raw(#","metadata":"#)
        raw(metadata)
    }
}
