import SpringgTestKit

/// Blocking work that can pause, on a thread of its own that runs only while somebody waits for it.
///
/// So what a simulation does still happens one after the other, in an order that its seed decides.
final class Coroutine: @unchecked Sendable {
    // Why @unchecked: of the two threads one always waits for the other.
    private let goOn = Semaphore()
    private let handBack = Semaphore()
    private var thread: WorkerThread?
    private var work: (() -> Void)?

    /// True from `begin` until the work is done.
    var isBusy: Bool { work != nil }

    /// Runs `work` until it pauses or is done; true when it is done.
    func begin(_ work: @escaping () -> Void) throws -> Bool {
        precondition(!isBusy, "one piece of work at a time")
        self.work = work
        if thread == nil {
            thread = try WorkerThread { [self] in
                while true {
                    goOn.wait()
                    guard let work = self.work else { return }
                    work()
                    self.work = nil
                    handBack.signal()
                }
            }
        }
        return resume()
    }

    /// Lets the work go on until it pauses again or is done; true when it is done.
    func resume() -> Bool {
        goOn.signal()
        handBack.wait()
        return !isBusy
    }

    /// Called by the work: returns with the next `resume`.
    func pause() {
        handBack.signal()
        goOn.wait()
    }

    /// Ends the thread; no work may be under way.
    func end() {
        precondition(!isBusy, "work that is under way would never end")
        guard let thread else { return }
        goOn.signal()
        thread.join()
        self.thread = nil
    }
}
