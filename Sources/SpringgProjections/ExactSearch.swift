import CSpringg
import Glibc
import SpringgLog

/// The nearest rows by comparing with every one: the oracle, and the search itself while an index is small.
enum ExactSearch {
    struct Candidate {
        var score: Float
        var slot: UInt32
    }

    /// The `k` best rows visible at `moment` that satisfy the predicate, best first; ties by id, ascending.
    ///
    /// - Complexity: one pass over the rows' memory, and a heap operation for each row that is among the best so far.
    static func nearest(
        _ query: UnsafeBufferPointer<Float>,
        k: Int,
        in store: VectorStore,
        at moment: LSN,
        cancellation: Cancellation? = nil,
        accepting predicate: ((UInt32) -> Bool)? = nil
    ) -> [Candidate] {
        guard k > 0 else { return [] }
        return withScorer(query, store) { scorer in
            var best = BoundedHeap(capacity: k)
            store.forEachRun(at: moment, unless: cancellation) { slot, rows, scales, count in
                scorer.offer(slot, rows, scales, count, to: &best, accepting: predicate)
            }
            return best.sorted(in: store)
        }
    }

    /// Calls `body` with what scores rows against the query.
    static func withScorer<R>(
        _ query: UnsafeBufferPointer<Float>,
        _ store: VectorStore,
        _ body: (Scorer) throws -> R
    ) rethrows -> R {
        let layout = store.layout
        return try withUnsafeTemporaryAllocation(of: Float.self, capacity: layout.stride + layout.capacity) { scratch in
            // The padding of the rows is zero, and so is the query's: whole strides are compared.
            let unit = UnsafeMutableBufferPointer(rebasing: scratch[..<layout.stride])
            unit.update(repeating: 0)
            Distance.normalise(query, into: UnsafeMutableBufferPointer(rebasing: unit[..<layout.dimensions]))
            let dots = UnsafeMutableBufferPointer(rebasing: scratch[layout.stride...])
            return try body(Scorer(store: store, unit: UnsafeBufferPointer(unit), dots: dots))
        }
    }

    /// A query of length 1, padded with zeros, and room for the products with a chunk's rows.
    struct Scorer {
        let store: VectorStore
        let unit: UnsafeBufferPointer<Float>
        fileprivate let dots: UnsafeMutableBufferPointer<Float>

        /// Offers the rows of a run of slots.
        func offer(
            _ firstSlot: UInt32,
            _ rows: UnsafePointer<Float>,
            _ scales: UnsafePointer<Float>,
            _ count: Int,
            to best: inout BoundedHeap,
            accepting predicate: ((UInt32) -> Bool)? = nil
        ) {
            let layout = store.layout
            springg_dot_rows(unit.baseAddress, rows, layout.stride, layout.stride, count, dots.baseAddress)
            for row in 0..<count {
                let score = score(dots[row], scales[row], rows + row * layout.stride)
                if score < best.threshold { continue }
                let slot = firstSlot + UInt32(row)
                if let predicate, !predicate(slot) { continue }
                best.offer(Candidate(score: score, slot: slot), in: store)
            }
        }

        /// Offers rows that lie anywhere.
        ///
        /// `rows` are those of `slots`; `products` has room for as many.
        func offer(
            _ slots: UnsafePointer<UInt32>,
            _ rows: UnsafePointer<UnsafeRawPointer?>,
            _ count: Int,
            products: UnsafeMutablePointer<Float>,
            to best: inout BoundedHeap,
            accepting predicate: ((UInt32) -> Bool)? = nil
        ) {
            springg_dots_f32(unit.baseAddress, rows, store.layout.stride, count, products)
            for place in 0..<count {
                guard let row = rows[place]?.assumingMemoryBound(to: Float.self) else { continue }
                let score = score(products[place], store.scale(of: slots[place]).pointee, row)
                if score < best.threshold { continue }
                if let predicate, !predicate(slots[place]) { continue }
                best.offer(Candidate(score: score, slot: slots[place]), in: store)
            }
        }

        /// The similarity of a row whose dot product with the query is known.
        @inline(__always)
        private func score(_ product: Float, _ scale: Float, _ row: UnsafePointer<Float>) -> Float {
            var score = product * scale
            if !score.isFinite {
                score = Distance.extremeSimilarity(UnsafeBufferPointer(rebasing: unit[..<store.layout.dimensions]), row)
            }
            return min(max(score, -1), 1)
        }
    }
}

/// The best `capacity` candidates seen so far, the worst of them on top.
struct BoundedHeap {
    private var items: [ExactSearch.Candidate] = []
    private let capacity: Int
    /// What a score must reach to be among the best; below it an offer is in vain.
    private(set) var threshold = -Float.infinity

    init(capacity: Int) {
        self.capacity = capacity
        items.reserveCapacity(min(capacity, 1024))
    }

    /// How many there are.
    var count: Int { items.count }

    mutating func offer(_ candidate: ExactSearch.Candidate, in store: VectorStore) {
        if items.count < capacity {
            items.append(candidate)
            siftUp(items.count - 1, store)
        } else if isBetter(candidate, items[0], store) {
            items[0] = candidate
            siftDown(0, store)
        } else {
            return
        }
        if items.count == capacity { threshold = items[0].score }
    }

    /// All of them, best first.
    consuming func sorted(in store: VectorStore) -> [ExactSearch.Candidate] {
        items.sort { isBetter($0, $1, store) }
        return items
    }

    /// Higher score first; equal scores in the order of the ids' bytes, so that an answer does not depend on slots.
    private func isBetter(_ a: ExactSearch.Candidate, _ b: ExactSearch.Candidate, _ store: VectorStore) -> Bool {
        a.score != b.score ? a.score > b.score : precedes(store.id(of: a.slot), store.id(of: b.slot))
    }

    private mutating func siftUp(_ start: Int, _ store: VectorStore) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard isBetter(items[parent], items[child], store) else { return }
            items.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int, _ store: VectorStore) {
        var parent = start
        while true {
            var worst = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < items.count {
                if isBetter(items[worst], items[child], store) { worst = child }
            }
            guard worst != parent else { return }
            items.swapAt(parent, worst)
            parent = worst
        }
    }
}

/// Byte order of ids.
func precedes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard let first = a.baseAddress, let second = b.baseAddress else { return a.count < b.count }
    let order = memcmp(first, second, min(a.count, b.count))
    return order != 0 ? order < 0 : a.count < b.count
}
