import SpringgNet
import SpringgTestKit
import Testing

@Suite struct WorkQueueTests {
    @Test func whatWaitsTimesWhatItTakesIsTheWait() {
        let queue = WorkQueue(threads: 4)
        #expect(queue.expectedWaitNanoseconds == 0)
        queue.ended(nanoseconds: 1000)
        for _ in 0..<40 { queue.add() }
        #expect(queue.waiting == 40 && queue.expectedWaitNanoseconds == 10_000)
        for _ in 0..<40 { queue.take() }
        #expect(queue.expectedWaitNanoseconds == 0)
    }

    @Test func oneExpensivePieceAloneDoesNotShutTheDoor() {
        let queue = WorkQueue(threads: 1)
        for _ in 0..<100 { queue.ended(nanoseconds: 1_000_000) }
        queue.ended(nanoseconds: 160_000_000)
        queue.add()
        #expect(queue.expectedWaitNanoseconds < 12_000_000)
        // Those after it count again.
        for _ in 0..<200 { queue.ended(nanoseconds: 1_000_000) }
        #expect(queue.expectedWaitNanoseconds < 1_100_000)
    }

    /// A queue fed with four times what its threads can do, in its own time: whoever is let in waits no longer than the
    /// bound and a few pieces, and the threads are never idle.
    @Test func admittedWorkWaitsNoLongerThanTheBound() {
        var random = SeededRandom.fromEnvironment("work queue")
        let (threads, bound) = (2, 1_000_000)
        let queue = WorkQueue(threads: threads)
        var waiting: [Int] = []
        var busyUntil = [Int](repeating: 0, count: threads)
        var (admitted, refused, longest, idle) = (0, 0, 0, 0)
        for now in stride(from: 0, to: 100_000_000, by: 1250) {
            // Threads that have become free take what has waited longest.
            for thread in busyUntil.indices where busyUntil[thread] <= now {
                guard !waiting.isEmpty else {
                    if now > 10_000_000 { idle += 1 }
                    continue
                }
                longest = max(longest, now - waiting.removeFirst())
                queue.take()
                let nanoseconds = Int.random(in: 5000...15_000, using: &random)
                queue.ended(nanoseconds: nanoseconds)
                busyUntil[thread] = now + nanoseconds
            }
            if queue.expectedWaitNanoseconds > bound {
                refused += 1
            } else {
                admitted += 1
                queue.add()
                waiting.append(now)
            }
        }
        #expect(longest < bound * 3 / 2, "\(longest)")
        #expect(refused > admitted && idle == 0, "\(admitted) admitted, \(refused) refused, \(idle) times idle")
    }
}
