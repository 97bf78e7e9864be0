import Synchronization

/// Numbers that one thread at a time adds to and any thread reads.
///
/// An addition is a load and a store, neither of which waits for other cores: about a nanosecond. Readers see each
/// number as it was a moment ago, and not all of them at one moment.
package final class Counters: @unchecked Sendable {
    // Why @unchecked: the pointer is set once by the initialiser, and what it points to are atomics.
    private let cells: UnsafeMutablePointer<Atomic<Int>>
    package let count: Int

    /// - Parameter count: How many numbers there are; all begin at 0.
    package init(count: Int) {
        self.count = count
        cells = .allocate(capacity: count)
        for place in 0..<count { (cells + place).initialize(to: Atomic(0)) }
    }

    deinit {
        cells.deinitialize(count: count)
        cells.deallocate()
    }

    /// Adds to a number; for the one thread that these belong to.
    @inline(__always)
    package func add(_ amount: Int, to place: Int) {
        precondition(place >= 0 && place < count, "counter \(place) of \(count)")
        let cell = cells + place
        cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    package subscript(place: Int) -> Int {
        precondition(place >= 0 && place < count, "counter \(place) of \(count)")
        return (cells + place).pointee.load(ordering: .relaxed)
    }
}

/// Some histograms with the same bounds, written like `Counters`.
package final class Histograms: Sendable {
    private let bounds: [Int]
    /// For each histogram one number a bound, one for what is beyond the last, and the sum.
    private let counters: Counters
    private let stride: Int

    /// - Parameters:
    ///   - bounds: The highest value of each bucket but the last, ascending.
    ///   - count: How many histograms there are.
    package init(bounds: [Int], count: Int = 1) {
        self.bounds = bounds
        stride = bounds.count + 2
        counters = Counters(count: stride * count)
    }

    /// Adds a value; for the one thread that these belong to.
    @inline(__always)
    package func record(_ value: Int, in number: Int = 0) {
        var bucket = 0
        while bucket < bounds.count, value > bounds[bucket] { bucket &+= 1 }
        counters.add(1, to: number * stride + bucket)
        counters.add(value, to: number * stride + stride - 1)
    }

    /// What was recorded so far in one of them.
    package func snapshot(_ number: Int = 0) -> HistogramSnapshot {
        let first = number * stride
        return HistogramSnapshot(
            bounds: bounds,
            counts: (first...first + bounds.count).map { counters[$0] },
            sum: counters[first + stride - 1]
        )
    }
}

/// A histogram as it was at a moment.
package struct HistogramSnapshot: Sendable, Equatable {
    /// The highest value of each bucket but the last, ascending.
    package let bounds: [Int]
    /// Values in each bucket.
    package private(set) var counts: [Int]
    /// All values together.
    package private(set) var sum: Int

    /// How many values there are.
    package var count: Int { counts.reduce(0, +) }

    /// Adds what another with the same bounds holds.
    package mutating func merge(_ other: HistogramSnapshot) {
        precondition(other.bounds == bounds, "histograms of different bounds")
        for place in counts.indices { counts[place] += other.counts[place] }
        sum += other.sum
    }

    package init(bounds: [Int], counts: [Int], sum: Int) {
        self.bounds = bounds
        self.counts = counts
        self.sum = sum
    }
}
