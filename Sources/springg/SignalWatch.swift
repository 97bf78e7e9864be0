import Dispatch
import Glibc
import Logging
import Synchronization

/// Waits for SIGTERM and SIGINT on a thread of its own.
///
/// The signals are blocked everywhere and taken with sigwait(3), so nothing of ours ever runs inside a signal
/// handler, where hardly anything may be called.
final class SignalWatch: Sendable {
    private enum Phase {
        case starting
        case serving
        case stopping(since: ContinuousClock.Instant)
    }

    /// Time after the first signal in which more of them are the same request: `timeout`, shells and some service
    /// managers send one to the process and one to its group.
    private static let sameRequest = Duration.milliseconds(200)

    private let phase = Mutex(Phase.starting)
    private let first = Mutex<Int32>(0)
    private let arrived = DispatchSemaphore(value: 0)

    /// Blocks the signals for the calling thread and all that come after it, ignores SIGPIPE, and begins to wait.
    static func start() -> SignalWatch {
        signal(SIGPIPE, SIG_IGN)  // A client that went away is an error of one write, not the end of the server.
        var set = stopSignals()
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let watch = SignalWatch()
        DispatchQueue(label: "springg.signals").async { watch.watch() }
        return watch
    }

    /// From now on a first signal asks for an orderly stop.
    ///
    /// To be called before anybody is told that the server is ready.
    func beginServing() { phase.withLock { $0 = .serving } }

    /// Blocks the calling thread until the first signal.
    /// - Returns: its number.
    func waitForFirst() -> Int32 {
        arrived.wait()
        return first.withLock { $0 }
    }

    /// Ends the program should it still run when the time is over: acknowledged writes are on disk by then.
    func exitUnlessDone(within seconds: Double, logger: Logger) {
        DispatchQueue(label: "springg.deadline").asyncAfter(deadline: .now() + seconds) {
            logger.error("Stopping took too long, leaving now", metadata: ["seconds": "\(seconds)"])
            _exit(ExitStatus.failure.rawValue)
        }
    }

    /// `SIGTERM` or `SIGINT`.
    static func name(of number: Int32) -> String { number == SIGINT ? "SIGINT" : "SIGTERM" }

    private func watch() {
        var set = Self.stopSignals()
        while true {
            var number: Int32 = 0
            guard sigwait(&set, &number) == 0 else { continue }
            switch verdict() {
            case .ignore: continue
            case .leaveNow: _exit(128 + number)
            case .stop: break
            }
            first.withLock { $0 = number }
            arrived.signal()
        }
    }

    private enum Verdict {
        case stop
        case ignore
        case leaveNow
    }

    private func verdict() -> Verdict {
        let now = ContinuousClock.now
        return phase.withLock { phase in
            switch phase {
            case .starting:  // The log is still being read back: there is nothing to finish.
                return .leaveNow
            case .serving:
                phase = .stopping(since: now)
                return .stop
            case .stopping(let since):
                return now - since < Self.sameRequest ? .ignore : .leaveNow
            }
        }
    }

    private static func stopSignals() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        return set
    }
}
