/// A progress line with a bar, for work whose length is known.
final class ProgressBar {
    private static let width = 30

    private let title: String
    private let line = ProgressLine()

    /// `title` says what is being done.
    init(_ title: String) { self.title = title }

    deinit { finish() }

    /// Shows that `done` of `total` are done.
    func show(_ done: Int, of total: Int, rows: Int) {
        line.show(text(done, total, rows))
    }

    private func text(_ done: Int, _ total: Int, _ rows: Int) -> String {
        let percent = total > 0 ? min(100, done * 100 / total) : 100
        let filled = Self.width * percent / 100
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.width - filled)
        return "\(title) [\(bar)] \(percent)%  \(rows) vectors"
    }

    /// Takes the bar off the screen.
    func finish() { line.finish() }
}
