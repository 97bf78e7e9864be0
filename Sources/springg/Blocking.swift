import Dispatch
import Synchronization

/// The bridge from the program's first thread, which belongs to no pool and so may wait, to async work.
enum Blocking {
    /// Where the task leaves its result; shared by the two threads, hence a class around the lock.
    private final class Outcome<Value: Sendable>: Sendable {
        let result = Mutex<Result<Value, any Error>?>(nil)
        let isDone = DispatchSemaphore(value: 0)
    }

    /// Runs `work` to its end and returns what it returned.
    static func wait<Value: Sendable>(for work: @escaping @Sendable () async throws -> Value) throws -> Value {
        let outcome = Outcome<Value>()
        Task.detached {
            let result: Result<Value, any Error>
            do {
                result = .success(try await work())
            } catch {
                result = .failure(error)
            }
            outcome.result.withLock { $0 = result }
            outcome.isDone.signal()
        }
        outcome.isDone.wait()
        guard let result = outcome.result.withLock({ $0 }) else {
            preconditionFailure("the task signalled before it had a result")
        }
        return try result.get()
    }
}
