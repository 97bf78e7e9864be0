import Glibc

/// A bar on standard error, on a terminal only: what a person at the keyboard wants to see, and nobody else.
final class ProgressBar {
    private static let interval = Duration.milliseconds(100)
    private static let width = 30

    private let title: String
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var lastShown = ContinuousClock.now
    private var isOnScreen = false

    /// `title` says what is being done.
    init(_ title: String) { self.title = title }

    deinit { finish() }

    /// Shows that `done` of `total` are done.
    func show(_ done: Int, of total: Int, rows: Int) {
        guard isTerminal, ContinuousClock.now - lastShown >= Self.interval else { return }
        lastShown = ContinuousClock.now
        let percent = total > 0 ? min(100, done * 100 / total) : 100
        let filled = Self.width * percent / 100
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.width - filled)
        Output.standardError("\r\u{1B}[K\(title) [\(bar)] \(percent)%  \(rows) vectors")
        isOnScreen = true
    }

    /// Takes the bar off the screen.
    func finish() {
        guard isOnScreen else { return }
        Output.standardError("\r\u{1B}[K")
        isOnScreen = false
    }
}
