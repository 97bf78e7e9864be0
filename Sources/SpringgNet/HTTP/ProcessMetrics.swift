import Glibc

/// What the kernel says of this process, under the names that Prometheus' own clients use.
struct ProcessMetrics {
    private var cpuSeconds = 0.0
    private var residentBytes = 0
    private var virtualBytes = 0
    private var threads = 0
    private var startSeconds = 0.0
    private var openDescriptors = 0
    private var descriptorsMax = 0

    init() {
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        // proc(5): the second field is a name in brackets and may hold anything, hence counted from its end.
        let status = Self.read("/proc/self/stat")
        if let end = status.lastIndex(of: ")") {
            let fields = status[end...].dropFirst().split(separator: " ").map { Double($0) ?? 0 }
            if fields.count > 21 {
                cpuSeconds = (fields[11] + fields[12]) / ticks
                threads = Int(fields[17])
                startSeconds = Self.bootSeconds + fields[19] / ticks
                virtualBytes = Int(fields[20])
                residentBytes = Int(fields[21]) * sysconf(Int32(_SC_PAGESIZE))
            }
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            descriptorsMax = Int(clamping: limit.rlim_cur)
        }
        if let directory = opendir("/proc/self/fd") {
            while readdir(directory) != nil {
                openDescriptors += 1
            }
            closedir(directory)
            // Itself, "." and "..".
            openDescriptors = max(0, openDescriptors - 3)
        }
    }

    func write(to text: inout MetricsText) {
        text.single("process_cpu_seconds_total", .counter, "Processor time, user and system.", cpuSeconds)
        text.single("process_resident_memory_bytes", .gauge, "Memory in use.", residentBytes)
        text.single("process_virtual_memory_bytes", .gauge, "Address space in use.", virtualBytes)
        text.single("process_open_fds", .gauge, "Open file descriptors.", openDescriptors)
        text.single("process_max_fds", .gauge, "File descriptors that may be open.", descriptorsMax)
        text.single("process_threads", .gauge, "Threads.", threads)
        text.single("process_start_time_seconds", .gauge, "Unix time of the start.", startSeconds)
    }

    /// Unix time at which the machine was started.
    private static var bootSeconds: Double {
        for line in read("/proc/stat").split(separator: "\n") where line.hasPrefix("btime ") {
            return Double(line.dropFirst(6)) ?? 0
        }
        return 0
    }

    /// A small file as a text; empty when it cannot be read.
    private static func read(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            return ""
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            guard count > 0, bytes.count < 1 << 20 else {
                return String(decoding: bytes, as: UTF8.self)
            }
            bytes += piece[..<count]
        }
    }
}
