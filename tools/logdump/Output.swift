import Glibc
import Synchronization

/// Text to the two standard streams.
enum Output {
    private static let buffer = Mutex<[UInt8]>([])
    /// Bytes gathered before they are written.
    private static let bufferBytes = 64 << 10

    /// Adds a line to the results.
    static func line(_ text: String) {
        let isFull = buffer.withLock { buffer in
            buffer.append(contentsOf: text.utf8)
            buffer.append(UInt8(ascii: "\n"))
            return buffer.count >= bufferBytes
        }
        if isFull { flush() }
    }

    /// Writes out what has been gathered.
    ///
    /// Ends the program, quietly, when nobody reads it any more; with a complaint when it cannot be written.
    static func flush() {
        let bytes = buffer.withLock { buffer in
            defer { buffer.removeAll(keepingCapacity: true) }
            return buffer
        }
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count >= 0 {
                done += count
            } else if errno == EPIPE {
                exit(0)
            } else if errno != EINTR {
                complain("error: writing the output: \(String(cString: strerror(errno)))")
                exit(1)
            }
        }
    }

    /// A line on standard error.
    static func complain(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}

/// How far a long command is, on standard error, if that is a terminal.
enum Progress {
    private static let isTerminal = isatty(STDERR_FILENO) == 1
    private static let state = Mutex<(shown: Bool, last: UInt64)>((false, 0))
    private static let intervalNanoseconds: UInt64 = 100_000_000

    /// Shows a text in place of the last one, ten times a second at most.
    static func show(_ text: @autoclosure () -> String) {
        guard isTerminal else { return }
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let nanoseconds = UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
        let isDue = state.withLock { state in
            guard nanoseconds - state.last >= intervalNanoseconds else { return false }
            state = (true, nanoseconds)
            return true
        }
        if isDue { put("\r\u{1B}[K" + text()) }
    }

    /// Takes the text off the screen.
    static func clear() {
        guard state.withLock({ $0.shown }) else { return }
        put("\r\u{1B}[K")
        state.withLock { $0.shown = false }
    }

    private static func put(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
