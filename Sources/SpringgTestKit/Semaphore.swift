import Glibc

/// What a test waits at until another thread says that something has happened.
public final class Semaphore: @unchecked Sendable {
    // Why @unchecked: a POSIX semaphore is made for sharing, and stays at the address where it was initialised.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    /// Starts at zero.
    public init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    /// Lets one waiter go on.
    public func signal() { sem_post(semaphore) }

    /// Waits for a signal.
    public func wait() {
        while sem_wait(semaphore) != 0 && errno == EINTR {}
    }
}
