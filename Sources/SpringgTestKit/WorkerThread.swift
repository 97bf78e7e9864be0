import Glibc

/// A thread of its own for blocking work, which must not sit on Swift's shared pool.
public final class WorkerThread: Sendable {
    private let thread: pthread_t

    /// Starts the thread.
    public init(_ body: @escaping @Sendable () -> Void) throws {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        let argument = Unmanaged.passRetained(Box(body)).toOpaque()
        var handle = pthread_t()
        let result = pthread_create(
            &handle,
            nil,
            { argument in
                if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            },
            argument
        )
        guard result == 0 else { throw TestKitError.system("starting a thread", result) }
        thread = handle
    }

    /// Waits until the thread is done; to be called exactly once.
    public func join() {
        pthread_join(thread, nil)
    }

    /// Runs `body` on `count` threads at once, with the number of each, and waits for all of them.
    public static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
        let threads = try (0..<count).map { number in try WorkerThread { body(number) } }
        for thread in threads { thread.join() }
    }
}
