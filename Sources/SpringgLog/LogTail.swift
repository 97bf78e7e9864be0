import Synchronization

/// The newest records in memory, for readers that keep up: what has just been written need not be read and checked again.
///
/// Chunks of bytes as they stand in the segments, in ascending order and without a gap. The writer appends behind what readers may look
/// at; a reader holds the chunk that it reads, however old that gets.
final class LogTail: Sendable {
    /// Records one behind the other.
    ///
    /// Append-only.
    final class Chunk: @unchecked Sendable {
        // Why @unchecked: bytes below `filled` are never written again; the log's writer alone writes those above and moves it on
        // (release), and readers look no further than it (acquire).
        private let storage: UnsafeMutableRawBufferPointer
        private let filled = Atomic<Int>(0)
        /// The first record in it.
        let firstLSN: LSN

        init(firstLSN: LSN, bytes: Int) {
            self.firstLSN = firstLSN
            storage = .allocate(byteCount: bytes, alignment: 64)
        }

        deinit { storage.deallocate() }

        /// The records so far.
        var records: UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(storage).part(0, filled.load(ordering: .acquiring))
        }

        /// Bytes of memory.
        var capacity: Int { storage.count }

        /// False when there is no room.
        func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
            let end = filled.load(ordering: .relaxed)
            guard end + bytes.count <= storage.count else { return false }
            storage.store(bytes, at: end)
            filled.store(end + bytes.count, ordering: .releasing)
            return true
        }
    }

    private struct State {
        var chunks: [Chunk] = []
        var bytesMax = 0
    }

    private let state = Mutex(State())

    /// Room of a chunk; a larger batch gets one of its own.
    private static let chunkBytes = 1 << 20

    /// Keeps so many bytes, and one chunk more, from the next record on.
    func keep(bytesMax: Int) { state.withLock { $0.bytesMax = bytesMax } }

    /// Takes a batch that is in the log; `first` is its first record.
    func append(_ batch: UnsafeRawBufferPointer, first: LSN) {
        state.withLock { state in
            guard state.bytesMax > 0 else { return }
            if let chunk = state.chunks.last, chunk.append(batch) { return }
            let chunk = Chunk(firstLSN: first, bytes: max(LogTail.chunkBytes, batch.count))
            _ = chunk.append(batch)
            state.chunks.append(chunk)
            var held = state.chunks.reduce(0) { $0 + $1.capacity }
            while held - state.chunks[0].capacity >= state.bytesMax { held -= state.chunks.removeFirst().capacity }
        }
    }

    /// The chunk that holds a record, or will; nil when none that is kept reaches back to it.
    func chunk(holding lsn: LSN) -> Chunk? {
        state.withLock { state in state.chunks.last { $0.firstLSN <= lsn } }
    }
}

/// A reader's place in the tail.
struct TailPlace {
    private let chunk: LogTail.Chunk
    /// The record that stands at `offset`, or will.
    private var lsn: LSN
    private var offset = 0

    init(_ chunk: LogTail.Chunk) {
        self.chunk = chunk
        lsn = chunk.firstLSN
    }

    /// The record `wanted`, which is no earlier than the place; nil when the chunk ends before it.
    ///
    /// The views are valid as long as the place.
    mutating func next(_ wanted: LSN) -> LogRecord? {
        let records = chunk.records
        while offset < records.count {
            // These are the bytes that this process wrote.
            guard let frame = Frame(decoding: records.part(offset, Frame.headerBytes)), frame.lsn == lsn else {
                preconditionFailure("the tail holds no record \(lsn) at \(offset)")
            }
            let bytes = records.part(offset, frame.recordBytes)
            offset += bytes.count
            lsn = lsn.next
            guard frame.lsn == wanted else { continue }
            let envelope = Envelope(checked: bytes.part(Frame.headerBytes, bytes.count - Frame.headerBytes))
            return LogRecord(lsn: frame.lsn, offset: 0, envelope: envelope, frame: frame, bytes: bytes)
        }
        return nil
    }
}
