import Glibc

/// One line on a terminal that says how far something is; nothing anywhere else.
final class ProgressLine {
    private static let interval = Duration.milliseconds(100)

    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var lastShown = ContinuousClock.now
    private var isOnScreen = false

    /// Shows a text, unless one was shown just now.
    func show(_ text: @autoclosure () -> String) {
        guard isTerminal, ContinuousClock.now - lastShown >= ProgressLine.interval else { return }
        lastShown = .now
        isOnScreen = true
        Output.standardError("\r\u{1B}[K\(text())")
    }

    /// Takes the line away.
    func finish() {
        if isOnScreen { Output.standardError("\r\u{1B}[K") }
        isOnScreen = false
    }
}
