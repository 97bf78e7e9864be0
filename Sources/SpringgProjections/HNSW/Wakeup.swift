import CSpringg
import Glibc
import Synchronization

/// Lets one thread wait until others have something for it, without a lock: whoever wakes it is never made to wait.
final class Wakeup: @unchecked Sendable {
    // Why @unchecked: a semaphore is made for sharing between threads, and stays at the address where it was initialised.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private let isRung = Atomic<Bool>(false)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    /// Wakes the thread, or lets its next wait return at once.
    func ring() {
        if !isRung.exchange(true, ordering: .acquiringAndReleasing) { sem_post(semaphore) }
    }

    /// Waits to be woken, or until so much time has passed (nil: for ever).
    func wait(nanoseconds: UInt64?) {
        if let nanoseconds {
            guard springg_semaphore_wait(semaphore, nanoseconds) else { return }
        } else {
            guard sem_wait(semaphore) == 0 else { return }
        }
        isRung.store(false, ordering: .sequentiallyConsistent)
    }
}
