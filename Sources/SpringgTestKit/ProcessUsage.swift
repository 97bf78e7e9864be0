import Glibc

/// What a process has used since it started, as the kernel counts it.
public struct ProcessUsage: Sendable {
    /// Processor time in user mode, seconds (resolution 10 ms).
    public var userSeconds: Double
    /// Processor time in the kernel, seconds (resolution 10 ms).
    public var systemSeconds: Double
    /// Bytes it caused to be written to storage.
    public var writtenBytes: Int
    /// Bytes of memory resident now.
    public var residentBytes: Int

    /// Both kinds of processor time.
    public var cpuSeconds: Double { userSeconds + systemSeconds }

    /// Reads the figures of a running process.
    public init(pid: Int32) throws {
        let stat = String(decoding: try Files.read("/proc/\(pid)/stat"), as: UTF8.self)
        // The command's name is in parentheses and may hold anything: fields are counted from behind the last one.
        guard let close = stat.lastIndex(of: ")") else { throw TestKitError("/proc/\(pid)/stat: \(stat)") }
        let fields = stat[stat.index(after: close)...].split(separator: " ")
        guard fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]),
            let pages = Int(fields[21])
        else { throw TestKitError("/proc/\(pid)/stat: \(stat)") }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        userSeconds = user / ticks
        systemSeconds = system / ticks
        residentBytes = pages * Int(sysconf(Int32(_SC_PAGESIZE)))
        let io = String(decoding: try Files.read("/proc/\(pid)/io"), as: UTF8.self)
        let line = io.split(separator: "\n").first { $0.hasPrefix("write_bytes:") }
        guard let bytes = line.flatMap({ Int($0.dropFirst("write_bytes: ".count)) }) else {
            throw TestKitError("/proc/\(pid)/io: \(io)")
        }
        writtenBytes = bytes
    }
}
