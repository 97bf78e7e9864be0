import Glibc
import SpringgTestKit

/// Processor time of a process's threads, by what they do, in nanoseconds (`/proc/PID/task/*/schedstat`).
struct ThreadUsage {
    /// Event loops and the pool that searches: whatever a request does before and after the log.
    private(set) var serving = 0.0
    /// The log's one writer.
    private(set) var writing = 0.0
    /// What goes on beside requests: graphs, the probe, checkpoints, the archive.
    private(set) var background = 0.0

    /// Reads the figures of a running process.
    init(pid: Int32) throws {
        let tasks = "/proc/\(pid)/task"
        for task in try Files.list(tasks) {
            // A thread may be gone before it is looked at: then it was none of those that matter here.
            guard let name = try? Files.read("\(tasks)/\(task)/comm"),
                let text = try? Files.read("\(tasks)/\(task)/schedstat"),
                let nanoseconds = String(decoding: text, as: UTF8.self).split(separator: " ").first.flatMap({
                    Double($0)
                })
            else { continue }
            switch String(decoding: name.dropLast(), as: UTF8.self) {
            case let name where name.hasPrefix("NIO-ELT") || name.hasPrefix("TP-"): serving += nanoseconds
            case "springg-writer": writing += nanoseconds
            default: background += nanoseconds
            }
        }
    }

    /// What was used between an earlier moment and this one.
    func since(_ earlier: ThreadUsage) -> (serving: Double, writing: Double, background: Double) {
        (serving - earlier.serving, writing - earlier.writing, background - earlier.background)
    }
}
