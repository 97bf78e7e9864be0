import NIOHTTP1
import SpringgProjections

/// The JSON body of `/internal/replicate`: one operation, or with the header X-Batch-Size a list of them.
struct ReplicationMessage {
    private enum Operation {
        case put
        case delete
        case createIndex
        case deleteIndex
        case unknown(String)
    }

    private var operation = Operation.unknown("")
    private var indexName = ""
    private var dimensions = 0
    private var fields = VectorFields()

    init(_ reader: inout JSONReader, scratch: DecodeScratch) throws(JSONError) {
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if key.isNamed("vector") {
                try fields.readVector(&reader, scratch)
            } else if key.isNamed("vector_id") {
                try fields.readID(&reader, scratch)
            } else if key.isNamed("metadata") {
                fields.metadata = try MetadataFields(&reader)
            } else if key.isNamed("operation") {
                operation = try Self.operation(&reader)
            } else if key.isNamed("index_name") {
                indexName = try reader.shortString()
            } else if key.isNamed("dimensions") {
                dimensions = try reader.takeNull() ? 0 : reader.integer()
            } else {
                try reader.skip()
            }
        }
    }

    private static func operation(_ reader: inout JSONReader) throws(JSONError) -> Operation {
        switch try reader.shortString() {
        // A peer's update says what a vector is now: whether it was there before matters no more.
        case "add", "update": .put
        case "delete": .delete
        case "create_index": .createIndex
        case "delete_index": .deleteIndex
        case let other: .unknown(other)
        }
    }

    /// What an error of this message is listed under.
    func subject(_ scratch: DecodeScratch) -> String {
        guard (1...vectorIDBytesMax).contains(fields.idLength) else {
            return indexName
        }
        return String(decoding: scratch.id[..<fields.idLength], as: UTF8.self)
    }

    func command(_ scratch: DecodeScratch) throws(RequestError) -> Command {
        if case .unknown(let name) = operation {
            throw RequestError(.internalServerError, "unknown operation: \(name)")
        }
        guard let index = IndexName(indexName) else {
            throw .invalidIndexName(indexName)
        }
        switch operation {
        case .put, .unknown:
            let id = try fields.id(scratch)
            return .put(try fields.prepare(index: index, id: id, scratch: scratch), mustExist: false)
        case .delete:
            return .delete(index: index, id: try fields.id(scratch))
        case .createIndex:
            guard (1...PreparedVector.dimensionsMax).contains(dimensions) else {
                throw .badRequest("Dimensions must be positive and at most \(PreparedVector.dimensionsMax)")
            }
            return .createIndex(name: index, dimensions: dimensions)
        case .deleteIndex:
            return .deleteIndex(name: index)
        }
    }
}

/// What the answer to a replication request needs besides the results of its commands.
struct ReplicationPlan: Sendable {
    private struct Entry {
        /// What an error of this command is listed under.
        let subject: String
        let isIndexDeletion: Bool
    }

    private var entries: [Entry] = []
    /// `subject: text` of the messages that became no command.
    private var errors: [String] = []

    /// Decodes a message into a command, or notes why it is none.
    mutating func command(_ message: ReplicationMessage, _ scratch: DecodeScratch) -> Command? {
        let subject = message.subject(scratch)
        do throws(RequestError) {
            let command = try message.command(scratch)
            add(command, subject: subject)
            return command
        } catch {
            errors.append("\(subject): \(error.text)")
            return nil
        }
    }

    mutating func add(_ command: Command, subject: String) {
        var isIndexDeletion = false
        if case .deleteIndex = command {
            isIndexDeletion = true
        }
        entries.append(Entry(subject: subject, isIndexDeletion: isIndexDeletion))
    }

    /// What went wrong with a replicated command, in the words that peers know; nil when what it wanted is so.
    ///
    /// Creating what is there and deleting what is not are fine: a message may come twice.
    private static func failure(_ result: Result<Receipt, CommandError>, of entry: Entry) -> RequestError? {
        guard case .failure(let error) = result else {
            return nil
        }
        switch error {
        case .indexExists, .vectorNotFound:
            return nil
        case .indexNotFound(let name):
            return entry.isIndexDeletion
                ? nil : RequestError(.internalServerError, "index not found: index \(name) not found")
        default:
            // To a peer every refusal is the receiver's: it only knows 200, 500 and 503.
            let status = RequestError(error).status
            return RequestError(status.code < 500 ? .internalServerError : status, error.description)
        }
    }

    /// The answer to a single message.
    func answer(_ results: [Result<Receipt, CommandError>]) -> Answer {
        for (result, entry) in zip(results, entries) {
            if let error = Self.failure(result, of: entry) {
                return .failure(error)
            }
        }
        return .success { $0.raw(#"{"replicated":true}"#) }
    }

    /// The answer to a batch: how many messages came through, and what became of the others.
    func batchAnswer(_ results: [Result<Receipt, CommandError>]) -> Answer {
        var errors = self.errors
        var replicated = 0
        for (result, entry) in zip(results, entries) {
            if let error = Self.failure(result, of: entry) {
                errors.append("\(entry.subject): \(error.text)")
            } else {
                replicated += 1
            }
        }
        return .success { body in
            body.raw(#"{"replicated":"#)
            body.integer(replicated)
            if !errors.isEmpty {
                body.raw(#","errors":["#)
                for (place, error) in errors.enumerated() {
                    if place > 0 {
                        body.raw(",")
                    }
                    body.string(error)
                }
                body.raw("]")
            }
            body.raw("}")
        }
    }
}
