import SpringgProjections

/// Runs calls that wait for a store on a few threads, and gives what they return in the order in which they were added.
///
/// Whoever adds waits while all threads are busy: what is in memory are as many calls as there are threads. After a failure nothing
/// more is begun. To be closed.
package final class Uploads<Value: Sendable>: @unchecked Sendable {
    // Why @unchecked: what threads share is only touched while `doorbell` is locked; `threads` by the owner alone.

    private let width: Int
    private let doorbell = Doorbell()
    private var threads: [WriterThread] = []
    private var waiting: [(number: Int, call: @Sendable () throws -> Value)] = []
    private var underWay = 0
    private var values: [Int: Value] = [:]
    private var failure: (any Error)?
    private var isEnding = false
    /// Calls added.
    package private(set) var count = 0

    /// With a `width` of 1 calls are made at once, by the caller's thread.
    package init(width: Int) { self.width = width }

    /// Adds a call.
    /// - Throws: what an earlier one threw.
    package func add(_ call: @escaping @Sendable () throws -> Value) throws {
        let number = count
        count += 1
        guard width > 1 else {
            values[number] = try call()
            return
        }
        let (failure, busy) = doorbell.withLock {
            while underWay >= width, self.failure == nil { doorbell.wait(nanoseconds: nil) }
            if self.failure == nil {
                waiting.append((number, call))
                underWay += 1
            }
            return (self.failure, underWay)
        }
        if let failure { throw failure }
        if threads.count < busy { threads.append(WriterThread(name: "springg-upload") { [self] in work() }) }
        doorbell.ringAll()
    }

    /// Waits for all calls.
    /// - Throws: the first that one of them threw.
    package func finish() throws -> [Value] {
        close()
        if let failure = doorbell.withLock({ failure }) { throw failure }
        return (0..<count).compactMap { values[$0] }
    }

    /// Ends the threads, after the calls that are under way; blocking.
    package func close() {
        doorbell.withLock { isEnding = true }
        doorbell.ringAll()
        for thread in threads { thread.join() }
        threads.removeAll()
    }

    private func work() {
        while let (number, call) = next() {
            let result = Result { try call() }
            doorbell.withLock {
                underWay -= 1
                switch result {
                case .success(let value): values[number] = value
                case .failure(let error):
                    failure = failure ?? error
                    waiting.removeAll()
                }
            }
            doorbell.ringAll()
        }
    }

    private func next() -> (number: Int, call: @Sendable () throws -> Value)? {
        doorbell.withLock {
            while waiting.isEmpty, !isEnding { doorbell.wait(nanoseconds: nil) }
            return waiting.isEmpty ? nil : waiting.removeFirst()
        }
    }
}
