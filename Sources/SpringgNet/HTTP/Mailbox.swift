import NIOCore
import SpringgCluster
import SpringgLog
import SpringgProjections
import Synchronization

/// Names a request to the threads that work on its answer, so that nothing but numbers crosses threads.
struct Ticket: Sendable {
    let connection: Int
    let request: UInt64
    /// What a write has to reach before it is answered.
    var ack = AckLevel.local
    /// The trace that the request belongs to, as far as its client says.
    var trace: TraceContext?
}

/// What a request was waiting for.
enum Outcome: Sendable {
    /// The answer, made elsewhere.
    case answer(Answer)
    /// The log has taken or refused the commands of a write; nil when it has taken none.
    case written(PendingWrite, [Result<Receipt, CommandError>], WriteReceipt?)
}

/// Carries outcomes from other threads to one event loop.
///
/// The loop is woken only when the box was empty: a group commit that completes a hundred writes wakes it once.
final class Mailbox: Sendable {
    typealias Delivery = (ticket: Ticket, outcome: Outcome)

    private struct State {
        var deliveries: [Delivery] = []
        /// Nil before the worker is there and after the server is gone: what comes then is dropped.
        var worker: NIOLoopBound<Worker>?
    }

    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func connect(_ worker: NIOLoopBound<Worker>) {
        state.withLock { $0.worker = worker }
    }

    /// Ends delivery; must come before the event loop is shut down.
    func close() {
        state.withLock { $0 = State() }
    }

    /// Hands an outcome over; callable from any thread.
    func post(_ ticket: Ticket, _ outcome: Outcome) {
        self.state.withLock { state in
            guard let worker = state.worker else {
                return
            }
            state.deliveries.append((ticket, outcome))
            if state.deliveries.count == 1 {
                // Under the lock, so that a box that is closed has certainly stopped using its loop.
                eventLoop.execute { worker.value.deliver(self.takeAll()) }
            }
        }
    }

    /// Calls `body` with the worker after some time; never when the server is gone by then.
    func later(_ delay: TimeAmount, _ body: @escaping @Sendable (Worker) -> Void) {
        self.state.withLock { state in
            guard let worker = state.worker else {
                return
            }
            eventLoop.scheduleTask(in: delay) { body(worker.value) }
        }
    }

    private func takeAll() -> [Delivery] {
        self.state.withLock { state in
            let deliveries = state.deliveries
            state.deliveries = []
            return deliveries
        }
    }
}
