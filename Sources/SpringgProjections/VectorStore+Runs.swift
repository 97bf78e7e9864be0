import SpringgLog
import Synchronization

/// Rows one after the other, as who compares every row reads them.
extension VectorStore {
    /// Calls `body` for each run of neighbouring slots visible at `moment`: first slot, rows, scales, length of the run.
    func forEachRun(
        at moment: LSN,
        unless cancellation: Cancellation? = nil,
        _ body: (UInt32, UnsafePointer<Float>, UnsafePointer<Float>, Int) -> Void
    ) {
        let slots = slotCount.load(ordering: .acquiring)
        var first = 0
        while first < slots, cancellation?.isCancelled != true {
            let chunk = chunk(first >> layout.shift)
            let end = min(layout.capacity, slots - first)
            var start = 0
            while start < end {
                while start < end, !isVisible(chunk, start, moment) { start += 1 }
                var stop = start
                while stop < end, isVisible(chunk, stop, moment) { stop += 1 }
                if stop > start {
                    body(UInt32(first + start), chunk.rows + start * layout.stride, chunk.scales + start, stop - start)
                }
                start = stop
            }
            first += layout.capacity
        }
    }

    /// Calls `body` for each run of neighbouring slots that are visible at `moment` and not in the graph.
    ///
    /// - Returns: How many rows that were. A row that is being linked meanwhile is among them, or in the graph, or both.
    func forEachUnlinkedRun(
        at moment: LSN,
        unless cancellation: Cancellation? = nil,
        _ body: (UInt32, UnsafePointer<Float>, UnsafePointer<Float>, Int) -> Void
    ) -> Int {
        guard ledger.count(.unlinked) > 0 else { return 0 }
        var rows = 0
        for word in 0..<ledger.words {
            if cancellation?.isCancelled == true { break }
            var bits = ledger.word(.unlinked, word)
            while bits != 0 {
                let first = word * 64 + bits.trailingZeroBitCount
                let chunk = chunk(first >> layout.shift)
                let start = first & layout.mask
                let run = min((~(bits >> UInt64(first & 63))).trailingZeroBitCount, layout.capacity - start)
                // A shift by 64, when the run ends the word, leaves nothing.
                bits &= ~0 << UInt64(first & 63 + run)
                var place = start
                while place < start + run {
                    while place < start + run, !isVisible(chunk, place, moment) { place += 1 }
                    let begin = place
                    while place < start + run, isVisible(chunk, place, moment) { place += 1 }
                    guard place > begin else { continue }
                    rows += place - begin
                    body(
                        UInt32(first + begin - start),
                        chunk.rows + begin * layout.stride,
                        chunk.scales + begin,
                        place - begin
                    )
                }
            }
        }
        return rows
    }

    /// The slots visible at `moment`, in ascending order.
    func slots(at moment: LSN) -> [UInt32] {
        var slots: [UInt32] = []
        forEachRun(at: moment) { first, _, _, count in slots.append(contentsOf: first..<first + UInt32(count)) }
        return slots
    }
}
