import CSpringg
import Glibc

/// Lets a bounded number of threads in at once; the others wait in the kernel.
final class Turnstile: @unchecked Sendable {
    // Why @unchecked: a POSIX semaphore is made for sharing, and stays at the address where it was initialised.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init(_ places: Int) { sem_init(semaphore, 0, UInt32(places)) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func enter() {
        while sem_wait(semaphore) != 0 && errno == EINTR {}
    }

    /// True when there was a place at once.
    func tryEnter() -> Bool { sem_trywait(semaphore) == 0 }

    /// Waits for a place, at most so long; returns whether there was one.
    func enter(withinMilliseconds milliseconds: Int) -> Bool {
        springg_semaphore_wait(semaphore, UInt64(max(0, milliseconds)) * 1_000_000)
    }

    func leave() { sem_post(semaphore) }
}
