import NIOCore
import SpringgProjections

/// `/api/indexes/{name}/vectors…`, one vector at a time.
extension Worker {
    func addVector(_ target: Target, _ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let name = try self.indexName(target)
        let (vector, id) = try body.withBytes { bytes throws(RequestError) in
            let fields = try decodeBody(bytes) { reader throws(JSONError) in
                try VectorFields(&reader, scratch: self.scratch)
            }
            let id = try fields.id(self.scratch)
            return (try fields.prepare(index: name, id: id, scratch: self.scratch), id)
        }
        self.submit([.put(vector, mustExist: false)], as: .add(id), ticket)
        return nil
    }

    func updateVector(_ target: Target, _ body: ByteBuffer, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let name = try self.indexName(target)
        let id = try self.vectorID(target)
        let vector = try body.withBytes { bytes throws(RequestError) in
            let fields = try decodeBody(bytes) { reader throws(JSONError) in
                try VectorFields(&reader, scratch: self.scratch, readsID: false)
            }
            return try fields.prepare(index: name, id: id, scratch: self.scratch)
        }
        self.submit([.put(vector, mustExist: true)], as: .update(id), ticket)
        return nil
    }

    func deleteVector(_ target: Target, _ ticket: Ticket) throws(RequestError) -> Answer? {
        let name = try self.indexName(target)
        let id = try self.vectorID(target)
        self.submit([.delete(index: name, id: id)], as: .delete(id), ticket)
        return nil
    }

    func getVector(_ target: Target, _ items: QueryItems) throws(RequestError) -> Answer {
        let fields = try RowFields(items, else: [.vector, .metadata])
        let index = try self.index(target)
        let id = try self.vectorID(target)
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
        self.raw(#"{"id":"#)
        self.string(row.id)
        if fields.contains(.vector) {
            self.raw(#","vector":"#)
            self.floats(row.vector)
        }
        if fields.contains(.metadata) {
            self.metadata(row.metadata)
        }
        self.raw("}")
    }

    /// Stored metadata as a further member: its bytes are JSON already.
    mutating func metadata(_ metadata: UnsafeRawBufferPointer) {
        guard !metadata.isEmpty else {
            return
        }
        self.raw(#","metadata":"#)
        self.raw(metadata)
    }
}
