import CTestKit
import Glibc
import SpringgTestKit

/// What the machine itself can do: no figure of ours can be better than these.
enum MachineSection {
    /// Larger than any cache, so that memory is what is measured.
    private static let arrayBytes = 512 << 20
    private static let fileBytes = 64 << 20
    private static let syncSeconds = 1.0

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(title: "machine (\(sysconf(Int32(_SC_NPROCESSORS_ONLN))) cores)")
        report.add("memory read, one core, \(String(cString: testkit_read_width())) loads", readBandwidth(), "GB/s")
        let directory = try TemporaryDirectory(in: settings.directory)
        for kilobytes in [4, 64] {
            let latency = try syncLatency(directory.path, bytes: kilobytes << 10)
            report.add("write \(kilobytes) kB + fdatasync, preallocated: rate", 1e9 / latency.meanNanoseconds, "/s")
            report.add("write \(kilobytes) kB + fdatasync: p50", Double(latency.percentile(50)) / 1e3, "µs")
            report.add("write \(kilobytes) kB + fdatasync: p99", Double(latency.percentile(99)) / 1e3, "µs")
        }
        return report
    }

    private static func readBandwidth() -> Double {
        let array = UnsafeMutableRawPointer.allocate(byteCount: arrayBytes, alignment: 4096)
        defer { array.deallocate() }
        // Pages that were never written are all one page of zeros.
        memset(array, 1, arrayBytes)
        var sink: UInt64 = 0
        let seconds = (0..<7).map { _ in
            Monotonic.seconds { sink ^= testkit_read_all(array, arrayBytes) }
        }
        blackHole(sink)
        return Double(arrayBytes) / median(seconds) / 1e9
    }

    private static func syncLatency(_ directory: String, bytes: Int) throws -> LatencyHistogram {
        let file = open(directory + "/sync", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0, posix_fallocate(file, 0, fileBytes) == 0, fsync(file) == 0 else {
            throw TestKitError.system("preallocating a file in \(directory)")
        }
        defer { close(file) }
        let block = [UInt8](repeating: 0x5A, count: bytes)
        var latency = LatencyHistogram()
        var offset = 0
        let deadline = Deadline(seconds: syncSeconds)
        while !deadline.isOver {
            let start = Monotonic.nanoseconds()
            guard pwrite(file, block, bytes, offset) == bytes, fdatasync(file) == 0 else {
                throw TestKitError.system("writing in \(directory)")
            }
            latency.record(nanoseconds: Monotonic.nanoseconds() - start)
            offset = (offset + bytes) % (fileBytes - bytes)
        }
        return latency
    }
}

/// Uses a value, so that the work it came from is not optimised away.
@inline(never)
func blackHole(_ value: some Any) {
    withExtendedLifetime(value) {}
}
