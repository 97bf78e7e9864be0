import Glibc
public import SpringgLog
public import SpringgProjections
import Synchronization

/// Why an import stopped; what was written before stays, and the same import goes on from there.
public enum ImportError: Error, Sendable, CustomStringConvertible {
    /// A file could not be read.
    case unreadable(FileSystemError)
    /// The database refused a write.
    case refused(SourcePlace, CommandError)
    /// The index could not be made.
    case noIndex(IndexName, CommandError)
    /// There is an index of that name, and it is another.
    case otherDimensions(IndexName, expected: Int, found: Int)
    /// A limit would be passed.
    case beyondLimit(String)
    /// The files are not what they were when they were checked.
    case changed(path: String)

    /// What happened, and what to do.
    public var description: String {
        switch self {
        case .unreadable(let error): "\(error)"
        case .refused(let place, let error): "row at byte \(place.offset) of \(place.path): \(error)"
        case .noIndex(let name, let error): "index \(name): \(error)"
        case .otherDimensions(let name, let expected, let found):
            "index \(name) has \(found) dimensions, the files have \(expected). Choose another name with --index."
        case .beyondLimit(let text): text
        case .changed(let path): "\(path) has changed since it was checked. Run the import again."
        }
    }
}

/// What an import did.
public struct ImportOutcome: Sendable, Equatable {
    /// Rows that were not there before.
    public internal(set) var added = 0
    /// Rows that stood there with another vector or other metadata.
    public internal(set) var replaced = 0
    /// Rows that stood there already, byte for byte: nothing was written.
    public internal(set) var unchanged = 0

    /// What was done to how many rows.
    public init(added: Int = 0, replaced: Int = 0, unchanged: Int = 0) {
        self.added = added
        self.replaced = replaced
        self.unchanged = unchanged
    }
}

/// Writes the rows of a checked source into a database, as any client's bulk writes.
///
/// An import that is repeated writes nothing twice: a row that stands there byte for byte is left alone. So one that was
/// interrupted, by whatever, goes on when it is run again, and needs no record of how far it was.
public struct Importer {
    private let database: Database
    private let name: IndexName
    private let options: IndexOptions

    /// Prepares to write to an index, which is made with these options if it does not exist.
    public init(_ database: Database, index: IndexName, options: IndexOptions = IndexOptions()) {
        self.database = database
        self.name = index
        self.options = options
    }

    /// Bytes of vectors and metadata in a batch: large enough that a sync costs little.
    private static let batchBytes = 2 << 20
    /// Rows in a batch, so that short ones come to an end too.
    private static let batchRowsMax = 4096
    /// Batches that wait for the log: one is written while the next gathers and a third is read.
    private static let batchesInFlightMax = 3

    /// Refuses before anything is written what could not be finished.
    ///
    /// `limits` are those the database was opened with.
    public func admit(
        _ check: ImportCheck,
        limits: DatabaseOptions,
        _ source: () throws(FileSystemError) -> any RowSource
    ) throws(ImportError) {
        let standing = database.index(name)
        if let standing, let dimensions = check.dimensions, dimensions != standing.dimensions {
            throw .otherDimensions(name, expected: dimensions, found: standing.dimensions)
        }
        var added = check.rows
        if let standing, standing.count > 0 { added = try newRows(source, in: standing) }
        let total = (standing?.count ?? 0) + added
        if limits.maxVectorsPerIndex > 0, total > limits.maxVectorsPerIndex {
            throw .beyondLimit(
                "index \(name) would have \(total) vectors, and max_vectors_per_index is \(limits.maxVectorsPerIndex). "
                    + "Raise it with --max-vectors-per-index, here and for the server."
            )
        }
        // At the least: what ids and metadata take comes on top, and is refused when it is too much.
        let bytes = added * (check.dimensions ?? 0) * 4
        let memory = database.memory
        if memory.limitBytes > 0, memory.totalBytes + bytes > memory.limitBytes {
            throw .beyondLimit(
                "\(added) vectors take \(bytes >> 20) MB beside the \(memory.totalBytes >> 20) MB in use, and "
                    + "max_memory_mb is \(memory.limitBytes >> 20). Raise it with --max-memory-mb, here and for the server."
            )
        }
    }

    private func newRows(
        _ source: () throws(FileSystemError) -> any RowSource,
        in index: VectorIndex
    ) throws(ImportError) -> Int {
        do throws(FileSystemError) {
            let rows = CheckedRows(try source(), dimensions: index.dimensions)
            var count = 0
            while true {
                switch try rows.next() {
                case .row(let row): if VectorID(utf8: row.id).map(index.contains) == false { count += 1 }
                case .flaw: continue
                case .end: return count
                }
            }
        } catch {
            throw .unreadable(error)
        }
    }

    /// Writes every row that can be stored.
    ///
    /// Blocking. On return each of them is as durable as the database promises.
    public func write(
        _ source: any RowSource,
        checked check: ImportCheck,
        progress: (TransferProgress) -> Void = { _ in }
    ) throws(ImportError) -> ImportOutcome {
        var outcome = ImportOutcome()
        guard let dimensions = check.dimensions else { return outcome }
        let index = try makeIndex(dimensions)
        let rows = CheckedRows(source, dimensions: dimensions)
        let flight = Flight(database, batchesMax: Self.batchesInFlightMax)
        var batch = Flight.Batch()
        var flaws = 0
        do throws(FileSystemError) {
            reading: while !flight.hasFailed {
                switch try rows.next() {
                case .row(let row):
                    guard let id = VectorID(utf8: row.id) else { continue }
                    switch standing(row, id, in: index) {
                    case .equal:
                        outcome.unchanged += 1
                    case let standing:
                        if case .other = standing { outcome.replaced += 1 } else { outcome.added += 1 }
                        batch.append(row, id, to: name)
                        if batch.bytes >= Self.batchBytes || batch.commands.count >= Self.batchRowsMax {
                            flight.submit(&batch)
                        }
                    }
                    let done = outcome.added + outcome.replaced + outcome.unchanged
                    if done % TransferProgress.rowsBetween == 0 {
                        progress(TransferProgress(bytesDone: source.bytesDone, bytesTotal: check.bytes, rows: done))
                    }
                case .flaw:
                    flaws += 1
                case .end:
                    break reading
                }
            }
        } catch {
            flight.submit(&batch)
            _ = flight.finish()
            throw .unreadable(error)
        }
        flight.submit(&batch)
        if let (place, error) = flight.finish() { throw .refused(place, error) }
        guard flaws == check.flawCount, outcome.added + outcome.replaced + outcome.unchanged == check.rows else {
            throw .changed(path: source.path)
        }
        return outcome
    }

    private func makeIndex(_ dimensions: Int) throws(ImportError) -> VectorIndex {
        if let index = database.index(name) { return index }
        let flight = Flight(database, batchesMax: 1)
        var batch = Flight.Batch()
        batch.append(.createIndex(name: name, dimensions: dimensions, options: options))
        flight.submit(&batch)
        if let (_, error) = flight.finish() { throw .noIndex(name, error) }
        guard let index = database.index(name) else { throw .noIndex(name, .indexNotFound(name)) }
        return index
    }

    private enum Standing {
        case none
        case equal
        case other
    }

    private func standing(_ row: SourceRow, _ id: VectorID, in index: VectorIndex) -> Standing {
        guard index.count > 0 else { return .none }
        let isEqual = index.withRow(id) { standing in
            areEqual(UnsafeRawBufferPointer(standing.vector), UnsafeRawBufferPointer(row.vector))
                && areEqual(standing.metadata, row.metadata)
        }
        return isEqual.map { $0 ? .equal : .other } ?? .none
    }
}

/// Byte for byte: 0 and -0 are different values of a row.
private func areEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count, let first = a.baseAddress, let second = b.baseAddress else { return a.count == b.count }
    return memcmp(first, second, a.count) == 0
}

/// Batches on their way through the log, and the first thing that went wrong.
private final class Flight: Sendable {
    struct Batch {
        private(set) var commands: [Command] = []
        private(set) var places: [SourcePlace] = []
        private(set) var bytes = 0

        mutating func append(_ row: SourceRow, _ id: VectorID, to index: IndexName) {
            let vector = PreparedVector(index: index, id: id, vector: row.vector, metadata: row.metadata)
            commands.append(.put(vector, mustExist: false))
            places.append(row.place)
            bytes += row.vector.count * 4 + row.metadata.count
        }

        mutating func append(_ command: Command) { commands.append(command) }
    }

    private struct State {
        var inFlight = 0
        var failure: (SourcePlace, CommandError)?
    }

    private let database: Database
    private let batchesMax: Int
    private let bell = Doorbell()
    private let state = Mutex(State())

    init(_ database: Database, batchesMax: Int) {
        self.database = database
        self.batchesMax = batchesMax
    }

    var hasFailed: Bool { state.withLock { $0.failure != nil } }

    /// Hands a batch over, when there is room for one, and begins the next.
    func submit(_ batch: inout Batch) {
        guard !batch.commands.isEmpty else { return }
        wait(forAtMost: batchesMax - 1)
        state.withLock { $0.inFlight += 1 }
        let places = batch.places
        database.submit(batch.commands) { [self] results in
            bell.withLock {
                state.withLock { state in
                    state.inFlight -= 1
                    for (number, result) in results.enumerated() where state.failure == nil {
                        guard case .failure(let error) = result else { continue }
                        let place = number < places.count ? places[number] : SourcePlace(path: "", offset: 0, line: nil)
                        state.failure = (place, error)
                    }
                }
            }
            bell.ring()
        }
        batch = Batch()
    }

    /// Waits for all of them; returns the first failure.
    func finish() -> (SourcePlace, CommandError)? {
        wait(forAtMost: 0)
        return state.withLock { $0.failure }
    }

    private func wait(forAtMost count: Int) {
        bell.withLock {
            while state.withLock({ $0.inFlight }) > count { bell.wait(nanoseconds: nil) }
        }
    }
}
