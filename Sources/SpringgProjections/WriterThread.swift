import CSpringg
import Glibc

/// A thread of its own for blocking work, with a name for the tools that show threads.
package final class WriterThread: @unchecked Sendable {
    // Why @unchecked: `handle` is written by the initialiser and read by `join`, which its owner calls once, after it.
    private var handle = pthread_t()

    private final class Body {
        let name: String
        let run: () -> Void
        init(_ name: String, _ run: @escaping () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// Starts `body`.
    ///
    /// The thread ends when it returns.
    package init(name: String, _ body: sending @escaping () -> Void) {
        let context = Unmanaged.passRetained(Body(name, body)).toOpaque()
        let code = pthread_create(
            &handle,
            nil,
            { context in
                guard let context else { return nil }
                let body = Unmanaged<Body>.fromOpaque(context).takeRetainedValue()
                springg_name_thread(body.name)
                body.run()
                return nil
            },
            context
        )
        precondition(code == 0, "pthread_create: \(String(cString: strerror(code)))")
    }

    /// Waits until the body has returned.
    package func join() { pthread_join(handle, nil) }
}

/// A mutex and a condition: what one rings and another waits at.
package final class Doorbell: @unchecked Sendable {
    // Why @unchecked: both are made for sharing between threads and stay at the address where they were initialised.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    package func withLock<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Wakes the consumer.
    package func ring() { pthread_cond_signal(condition) }

    /// Wakes everyone who waits.
    package func ringAll() { pthread_cond_broadcast(condition) }

    /// Gives up the lock, which must be held, until rung or until so much time has passed (nil: for ever).
    package func wait(nanoseconds: UInt64?) {
        guard let nanoseconds else {
            pthread_cond_wait(condition, mutex)
            return
        }
        let deadline = monotonicNanoseconds() + nanoseconds
        var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        pthread_cond_timedwait(condition, mutex, &time)
    }
}

/// Time since some moment in the past; never goes back.
package func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
