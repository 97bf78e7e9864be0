import SpringgProjections
import SpringgTestKit
import Testing

/// When the writer waits for others before it commits, with clients and a disk of virtual time.
@Suite("Waiting for those just answered")
struct GatherWindowTests {
    /// A writer whose commits take a fifth of a millisecond and 4 µs a write, and the clients that write to it.
    private struct Writer {
        var window = GatherWindow()
        private var now: UInt64 = 0
        /// Moments of writes that have not been taken, in order; those in the future are on their way.
        private var coming: [UInt64] = []
        private var taken = 0
        /// The size of each commit, and how long each write of it took.
        private(set) var batches: [Int] = []
        private(set) var latencies: [UInt64] = []

        /// Writes that come whatever is answered.
        mutating func send(_ moments: [UInt64]) { coming = (coming + moments.map { now + $0 }).sorted() }

        var isIdle: Bool { coming.isEmpty }

        private func come(by moment: UInt64) -> Int { coming.prefix { $0 <= moment }.count }

        /// One round; each write of it is followed by another after so long, and 15 µs that the server
        /// takes for each.
        mutating func round(returnsAfter delay: UInt64?) {
            guard let first = coming.first else { return }
            let wanted = max(1, come(by: now) + window.lastBatch)
            now = max(now, first)
            if come(by: now) < wanted, window.nanoseconds > 0 {
                let last = wanted <= coming.count ? coming[wanted - 1] : .max
                now = min(max(now, last), now + window.nanoseconds)
            }
            let batch = Array(coming.prefix { $0 <= now })
            window.took(submissions: taken + batch.count, now: now)
            coming.removeFirst(batch.count)
            taken += batch.count
            let begun = now
            now += 200_000 + UInt64(batch.count) * 4000
            window.committed(submissions: taken + come(by: now), now: now)
            batches.append(batch.count)
            latencies += batch.map { now - $0 }
            if let delay { send(batch.indices.map { delay + UInt64($0) * 15_000 }) }
            now += UInt64(batch.count) * 1000
            window.answered(batch.count, nanoseconds: now - begun)
        }
    }

    private static func mean(_ numbers: some Collection<Int>) -> Double {
        Double(numbers.reduce(0, +)) / Double(max(numbers.count, 1))
    }

    /// Moments of writes at random, so many microseconds apart.
    private static func moments(_ count: Int, every microseconds: Double, _ random: inout SeededRandom) -> [UInt64] {
        var moment = 0.0
        return (0..<count).map { _ in
            // Between none and twice as long.
            moment += microseconds * 2000 * Double(random.next() >> 11) / Double(UInt64(1) << 53)
            return UInt64(moment)
        }
    }

    @Test("Clients that write again once they are answered share a commit", arguments: [4, 16, 64])
    func closedLoop(clients: Int) {
        var writer = Writer()
        // Two groups.
        writer.send((0..<clients).map { $0 % 2 == 0 ? 0 : 100_000 })
        for _ in 0..<2000 { writer.round(returnsAfter: 100_000) }
        #expect(Self.mean(writer.batches[500...]) > 0.9 * Double(clients))
    }

    @Test("Writes that come when they come hardly wait for others", arguments: zip([500.0, 125, 60], [1.8, 2.5, 2.5]))
    func openLoop(microseconds: Double, commits: Double) {
        var random = SeededRandom.fromEnvironment(#function)
        var writer = Writer()
        writer.send(Self.moments(20_000, every: microseconds, &random))
        while writer.latencies.count < 20_000 { writer.round(returnsAfter: nil) }
        // One commit of its own, and half of the one before it; a few are waited with.
        #expect(Self.mean(writer.latencies.map { Int($0) }) < 200_000 * commits)
    }

    @Test("A closed loop after an open one is found out, and an open one after it")
    func turns() {
        var random = SeededRandom.fromEnvironment(#function)
        var writer = Writer()
        for _ in 0..<3 {
            writer.send(Self.moments(5000, every: 200, &random))
            let before = writer.latencies.count
            while writer.latencies.count < before + 5000 { writer.round(returnsAfter: nil) }
            #expect(Self.mean(writer.latencies[(before + 1000)...].map { Int($0) }) < 200_000 * 2.5)
            writer.send((0..<32).map { UInt64($0) * 10_000 })
            let first = writer.batches.count
            for _ in 0..<2000 { writer.round(returnsAfter: 100_000) }
            #expect(Self.mean(writer.batches[(first + 1000)...]) > 0.9 * 32)
            while !writer.isIdle { writer.round(returnsAfter: nil) }
        }
    }
}
