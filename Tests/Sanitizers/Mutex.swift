import Glibc

/// `Synchronization.Mutex` as ThreadSanitizer can see it; every module of this package has it, in the place of the real one.
///
/// The real one is a futex, of which the sanitizer knows nothing: everything that is handed over under such a lock would
/// be reported as a race, and a list of what to suppress would hide races among what is not. Of a pthread mutex it
/// knows when it is taken and given back.
struct Mutex<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    // Why @unchecked: the value is touched under the lock alone, and neither it nor the lock ever moves.
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let value = UnsafeMutablePointer<Value>.allocate(capacity: 1)

    init(_ initial: consuming sending Value) {
        pthread_mutex_init(lock, nil)
        value.initialize(to: initial)
    }

    deinit {
        pthread_mutex_destroy(lock)
        value.deinitialize(count: 1)
        value.deallocate()
        lock.deallocate()
    }

    borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return try body(&value.pointee)
    }
}
