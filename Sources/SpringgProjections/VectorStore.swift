import CSpringg
import Glibc
import SpringgLog
import Synchronization

/// The visible rows of one index: id ↔ slot, vectors in large aligned chunks, metadata as bytes.
///
/// One writer, any number of readers, neither waiting for the other: a replaced row gets a new slot, and the old one
/// lives until no reader can see it (`ReadEpochs`). Only the table of ids is behind a lock, held for a look-up.
final class VectorStore: @unchecked Sendable {
    // Why @unchecked: what readers touch is atomic (`directory`, `slotCount`, lifespans), behind `shared`'s lock, or
    // immutable while they can see it (rows between birth and reclamation). The other fields are the writer's alone.

    let layout: RowChunk.Layout
    let codesLayout: RowCodes.Layout
    private let epochs: ReadEpochs
    let memory: MemoryAccount

    /// Pointers to the chunks; replaced by a larger copy when it is full.
    private let directory: Atomic<UnsafeMutablePointer<RowChunk>?>
    /// Slots that have ever been used; readers look at no others.
    let slotCount = Atomic<Int>(0)

    struct Shared {
        var table = IDTable()
        var digest = StateDigest()
    }

    let shared = Mutex(Shared())

    /// How the slots stand with the graph.
    let ledger = LinkLedger()

    /// Chunks that have codes.
    let codedChunks = Atomic<Int>(0)
    /// Codes whose linker ended while a search may still have read them.
    let retiredCodes = Mutex<[RetiredCodes]>([])

    // The writer's own.
    private var chunkCount = 0
    /// Of all chunks but the first `chunksAlone`.
    ///
    /// In huge pages while a start or a tool fills the store, which takes half of the time that small ones do. Not once there are
    /// clients: it is the writer that touches a chunk first, and they wait for it.
    private var arena = PageArena(isHuge: false)
    /// A store of fewer chunks would take noticeably more memory than it fills.
    private static let chunksInSmallPages = 16
    /// A small index need not take more than it fills.
    private static let chunksAlone = 4
    private var directoryCapacity = 16
    private var retiredDirectories: [UnsafeMutablePointer<RowChunk>] = []
    private var freeSlots: [UInt32] = []
    private var endedSlots: [(slot: UInt32, died: LSN)] = []
    /// Slots that nobody sees and the graph has not let go of.
    private var slotsInGraph = 0
    /// Bytes of ids and metadata, with what the allocator adds to each.
    private var textBytes = 0

    init(dimensions: Int, epochs: ReadEpochs, memory: MemoryAccount) {
        layout = RowChunk.Layout(dimensions: dimensions)
        codesLayout = RowCodes.Layout(layout)
        self.epochs = epochs
        self.memory = memory
        directory = Atomic(.allocate(capacity: directoryCapacity))
        memory.add(shared.withLock { $0.table.bytes })
    }

    deinit {
        memory.add(-bytes)
        guard let chunks = directory.load(ordering: .relaxed) else { return }
        for chunk in 0..<chunkCount {
            chunks[chunk].destroy(layout)
            if chunk < VectorStore.chunksAlone { UnsafeMutableRawPointer(chunks[chunk].rows).deallocate() }
        }
        chunks.deallocate()
        for old in retiredDirectories { old.deallocate() }
        retiredCodes.withLock { for codes in $0 { codes.base.deallocate() } }
    }

    // MARK: - Reading, from any thread

    /// Slots that have ever been used.
    var slotsUsed: Int { slotCount.load(ordering: .acquiring) }

    /// Rows that are visible now.
    var count: Int { shared.withLock { $0.table.count } }

    /// Bytes held: chunks, ids and metadata, the table of ids.
    var bytes: Int {
        memoryOfChunks.load(ordering: .relaxed) + shared.withLock { $0.table.bytes }
    }
    private let memoryOfChunks = Atomic<Int>(0)

    @inline(__always)
    func chunk(_ number: Int) -> RowChunk {
        // Never nil after the initialiser; a chunk's pointer is there before a slot in it is published.
        directory.load(ordering: .acquiring).unsafelyUnwrapped[number]
    }

    /// The slot of an id, if it is visible.
    func slot(of id: UnsafeRawBufferPointer) -> UInt32? {
        let hash = IDTable.hash(id)
        return shared.withLock { $0.table.find(hash) { self.id(of: $0) == id } }
    }

    func id(of slot: UInt32) -> UnsafeRawBufferPointer {
        let details = chunk(Int(slot) >> layout.shift).details[Int(slot) & layout.mask]
        return UnsafeRawBufferPointer(start: details.text, count: Int(details.idBytes))
    }

    func metadata(of slot: UInt32) -> UnsafeRawBufferPointer {
        let details = chunk(Int(slot) >> layout.shift).details[Int(slot) & layout.mask]
        return UnsafeRawBufferPointer(
            start: details.text.map { $0 + Int(details.idBytes) },
            count: Int(details.metadataBytes)
        )
    }

    func vector(of slot: UInt32) -> UnsafeBufferPointer<Float> {
        let chunk = chunk(Int(slot) >> layout.shift)
        return UnsafeBufferPointer(
            start: chunk.rows + (Int(slot) & layout.mask) * layout.stride,
            count: layout.dimensions
        )
    }

    /// 1 / length of the vector; see `Distance.scale`.
    @inline(__always)
    func scale(of slot: UInt32) -> UnsafePointer<Float> {
        UnsafePointer(chunk(Int(slot) >> layout.shift).scales + (Int(slot) & layout.mask))
    }

    /// Asks for what tells whether a row is visible, and its scale, ahead of their use.
    @inline(__always)
    func prefetch(_ slot: UInt32) {
        let chunk = chunk(Int(slot) >> layout.shift)
        let place = Int(slot) & layout.mask
        springg_prefetch(chunk.lifespans + place)
        springg_prefetch(chunk.scales + place)
    }

    /// Asks for what tells where the id and the metadata of a row lie.
    @inline(__always)
    func prefetchDetails(_ slot: UInt32) {
        springg_prefetch(chunk(Int(slot) >> layout.shift).details + (Int(slot) & layout.mask))
    }

    func version(of slot: UInt32) -> EventVersion {
        chunk(Int(slot) >> layout.shift).details[Int(slot) & layout.mask].version
    }

    /// When a visible row became so: no other row in its slot has the same.
    @inline(__always)
    func born(_ slot: UInt32) -> UInt64 {
        chunk(Int(slot) >> layout.shift).lifespans[Int(slot) & layout.mask].born.load(ordering: .relaxed)
    }

    /// Whether a row is seen at `moment`.
    @inline(__always)
    func isVisible(_ slot: UInt32, at moment: LSN) -> Bool {
        isVisible(chunk(Int(slot) >> layout.shift), Int(slot) & layout.mask, moment)
    }

    /// `died` is read before `born`: a slot that is being reused shows its reset birth once its reset death is seen.
    @inline(__always)
    func isVisible(_ chunk: RowChunk, _ place: Int, _ moment: LSN) -> Bool {
        let died = chunk.lifespans[place].died.load(ordering: .acquiring)
        let born = chunk.lifespans[place].born.load(ordering: .acquiring)
        return born <= moment.rawValue && moment.rawValue < died
    }

    // MARK: - Writing, by the writer's thread alone

    /// Writes a row that becomes visible with `lsn`, replacing the one of the same id.
    func put(
        id: UnsafeRawBufferPointer,
        vector: UnsafeRawBufferPointer,
        metadata: UnsafeRawBufferPointer,
        version: EventVersion,
        lsn: LSN
    ) {
        precondition(
            vector.count == layout.dimensions * 4,
            "vector of \(vector.count) bytes in \(layout.dimensions) dimensions"
        )
        let slot = takeSlot()
        let chunk = chunk(Int(slot) >> layout.shift)
        let place = Int(slot) & layout.mask

        let row = chunk.rows + place * layout.stride
        UnsafeMutableRawPointer(row).copyMemory(from: vector.baseAddress.unsafelyUnwrapped, byteCount: vector.count)
        for index in layout.dimensions..<layout.stride { row[index] = 0 }
        let scale = Distance.scale(UnsafeBufferPointer(start: row, count: layout.dimensions))
        chunk.scales[place] = scale
        ledger.insert(.unlinked, slot)
        if VectorStore.hasDirection(scale) { ledger.insert(.queued, slot) }

        let text = VectorStore.allocateText(id, metadata)
        countText(text.bytes)
        chunk.details[place] = RowChunk.Details(
            text: text.start,
            idBytes: UInt32(id.count),
            metadataBytes: UInt32(metadata.count),
            version: version
        )
        chunk.lifespans[place].born.store(lsn.rawValue, ordering: .releasing)

        let hash = IDTable.hash(id)
        shared.withLock { shared in
            let old = shared.table.find(hash) { self.id(of: $0) == id }
            if let old {
                shared.digest.remove(id: id, version: self.version(of: old))
                _ = shared.table.replace(hash, with: slot) { $0 == old }
                end(old, lsn)
            } else {
                let before = shared.table.bytes
                shared.table.insert(hash, slot)
                memory.add(shared.table.bytes - before)
            }
            shared.digest.insert(id: id, version: version)
        }
    }

    /// Ends a row with `lsn`.
    func remove(id: UnsafeRawBufferPointer, lsn: LSN) {
        let hash = IDTable.hash(id)
        shared.withLock { shared in
            guard let slot = shared.table.find(hash, { self.id(of: $0) == id }) else { return }
            shared.digest.remove(id: id, version: self.version(of: slot))
            shared.table.remove(hash) { $0 == slot }
            end(slot, lsn)
        }
    }

    /// Whether rows have ended that are not reclaimed yet.
    var hasRowsToReclaim: Bool { !endedSlots.isEmpty || slotsInGraph > 0 }

    /// Whether a row's direction can be told, which is what the graph is made of.
    static func hasDirection(_ scale: Float) -> Bool { scale > 0 }

    /// Takes back the slots that no reader can see any more, once the graph has let go of them too.
    func reclaim() {
        ledger.forEach(.released) { slot in
            ledger.remove(.released, slot)
            slotsInGraph -= 1
            freeSlot(slot)
            return true
        }
        guard !endedSlots.isEmpty else { return }
        let horizon = epochs.reclaimable()
        var kept = 0
        for ended in endedSlots {
            guard ended.died <= horizon else {
                endedSlots[kept] = ended
                kept += 1
                continue
            }
            let isLinkable = VectorStore.hasDirection(scale(of: ended.slot).pointee)
            if isLinkable, !ledger.remove(.queued, ended.slot) {
                slotsInGraph += 1
                ledger.insert(.dead, ended.slot)
            } else {
                ledger.remove(.unlinked, ended.slot)
                freeSlot(ended.slot)
            }
        }
        endedSlots.removeSubrange(kept...)
    }

    private func freeSlot(_ slot: UInt32) {
        let chunk = chunk(Int(slot) >> layout.shift)
        let place = Int(slot) & layout.mask
        let details = chunk.details[place]
        Glibc.free(details.text)
        countText(-VectorStore.textBytes(Int(details.idBytes) + Int(details.metadataBytes)))
        chunk.details[place] = RowChunk.Details()
        // Birth before death: see `isVisible`.
        chunk.lifespans[place].born.store(.max, ordering: .releasing)
        chunk.lifespans[place].died.store(.max, ordering: .releasing)
        freeSlots.append(slot)
    }

    private func end(_ slot: UInt32, _ lsn: LSN) {
        let chunk = chunk(Int(slot) >> layout.shift)
        chunk.lifespans[Int(slot) & layout.mask].died.store(lsn.rawValue, ordering: .releasing)
        endedSlots.append((slot, lsn))
    }

    private func takeSlot() -> UInt32 {
        if let slot = freeSlots.popLast() { return slot }
        let slot = slotCount.load(ordering: .relaxed)
        precondition(slot < Int(UInt32.max), "an index holds at most \(UInt32.max) rows")
        if slot >> layout.shift == chunkCount { addChunk() }
        let ledgerBytes = ledger.reserve(UInt32(slot))
        if ledgerBytes > 0 { count(ledgerBytes) }
        slotCount.store(slot + 1, ordering: .releasing)
        return UInt32(slot)
    }

    private func addChunk() {
        // Never nil after the initialiser.
        var chunks = directory.load(ordering: .relaxed).unsafelyUnwrapped
        if chunkCount == directoryCapacity {
            let larger = UnsafeMutablePointer<RowChunk>.allocate(capacity: directoryCapacity * 2)
            larger.initialize(from: chunks, count: chunkCount)
            // A reader may still hold the old one. All old ones together are smaller than the new one: kept to the end.
            retiredDirectories.append(chunks)
            directoryCapacity *= 2
            chunks = larger
        }
        (chunks + chunkCount).initialize(to: layout.make(at: chunkMemory()))
        directory.store(chunks, ordering: .releasing)
        chunkCount += 1
        count(layout.bytes)
    }

    /// Clients are going to wait for the writer.
    func goLive() { arena.setHuge(false) }

    private func chunkMemory() -> UnsafeMutableRawPointer {
        guard chunkCount >= VectorStore.chunksAlone else { return .allocate(byteCount: layout.bytes, alignment: 4096) }
        arena.setHuge(chunkCount >= VectorStore.chunksInSmallPages && !memory.hasClients.load(ordering: .relaxed))
        guard let memory = arena.take(layout.bytes) else {
            fatalError("out of memory for \(layout.bytes) bytes of rows")
        }
        return memory
    }

    private static func allocateText(
        _ id: UnsafeRawBufferPointer,
        _ metadata: UnsafeRawBufferPointer
    ) -> (start: UnsafeMutableRawPointer, bytes: Int) {
        let count = id.count + metadata.count
        guard let start = malloc(count) else { fatalError("out of memory for \(count) bytes of id and metadata") }
        let text = UnsafeMutableRawBufferPointer(start: start, count: count)
        text.store(metadata, at: text.store(id, at: 0))
        return (start, textBytes(count))
    }

    /// What the allocator takes for `count` bytes: eight bytes of its own, in steps of sixteen.
    private static func textBytes(_ count: Int) -> Int { max(32, (count + 8 + 15) & ~15) }

    private func countText(_ bytes: Int) { count(bytes) }

    func count(_ bytes: Int) {
        memoryOfChunks.wrappingAdd(bytes, ordering: .relaxed)
        memory.add(bytes)
    }

    /// Bytes that one more row would take, when `pending` others have been admitted and not yet written.
    func bytesForRow(textBytes: Int, pending: Int) -> Int {
        let room = freeSlots.count + (chunkCount << layout.shift) - slotCount.load(ordering: .relaxed)
        return VectorStore.bytesForRow(textBytes: textBytes, layout, room: room, pending: pending)
    }

    /// The same for a store that does not exist yet.
    static func bytesForRow(textBytes: Int, dimensions: Int, pending: Int) -> Int {
        bytesForRow(textBytes: textBytes, RowChunk.Layout(dimensions: dimensions), room: 0, pending: pending)
    }

    /// A row needs its text, and a chunk if it is the first of one.
    private static func bytesForRow(textBytes: Int, _ layout: RowChunk.Layout, room: Int, pending: Int) -> Int {
        let beyond = pending - room
        let startsChunk = beyond >= 0 && beyond & layout.mask == 0
        return VectorStore.textBytes(textBytes) + (startsChunk ? layout.bytes : 0)
    }
}

func == (a: UnsafeRawBufferPointer, b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let first = a.baseAddress, let second = b.baseAddress else { return true }
    return memcmp(first, second, a.count) == 0
}
