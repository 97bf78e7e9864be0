import Glibc
import Logging
import SpringgProjections
import Synchronization

/// Shows how far the log has been read back: a bar on a terminal, a line every few seconds in the log.
final class ReplayReporter: Sendable {
    private static let barInterval = Duration.milliseconds(100)
    private static let lineInterval = Duration.seconds(2)
    private static let barWidth = 30

    private struct State {
        var lastShown: ContinuousClock.Instant
        var isBarOnScreen = false
    }

    private let logger: Logger
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let started = ContinuousClock.now
    private let state: Mutex<State>

    init(logger: Logger) {
        self.logger = logger
        state = Mutex(State(lastShown: started))
    }

    /// Seconds since the reporter was made, to the millisecond.
    var elapsedSeconds: Double {
        let elapsed = (ContinuousClock.now - started) / Duration.milliseconds(1)
        return elapsed.rounded() / 1000
    }

    /// Called by the database now and then.
    @Sendable func report(_ progress: ReplayProgress) {
        let now = ContinuousClock.now
        state.withLock { state in
            guard now - state.lastShown >= (isTerminal ? Self.barInterval : Self.lineInterval) else { return }
            state.lastShown = now
            show(progress, in: &state)
        }
    }

    /// Takes the bar off the screen.
    func finish() {
        state.withLock { state in
            guard state.isBarOnScreen else { return }
            Output.standardError("\r\u{1B}[K")
            state.isBarOnScreen = false
        }
    }

    private func show(_ progress: ReplayProgress, in state: inout State) {
        let part = progress.bytesTotal == 0 ? 1 : Double(progress.bytesDone) / Double(progress.bytesTotal)
        let percent = Int((min(part, 1) * 100).rounded(.down))
        guard isTerminal else {
            logger.info("Reading back the log", metadata: ["percent": "\(percent)", "events": "\(progress.events)"])
            return
        }
        let filled = Self.barWidth * percent / 100
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.barWidth - filled)
        Output.standardError("\r\u{1B}[KReading back the log [\(bar)] \(percent)%  \(progress.events) events")
        state.isBarOnScreen = true
    }
}
