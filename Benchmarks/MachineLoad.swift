import Glibc
import SpringgTestKit

/// What all cores have done since the machine started, to tell the neighbours' share of a run from ours.
struct MachineLoad {
    private let busySeconds: Double
    private let ownSeconds: Double
    private let at = Monotonic.nanoseconds()

    /// The sums at this moment; this program's and the measured process's are what is not the neighbours'.
    static func now(with process: ProcessUsage) throws -> MachineLoad {
        let text = String(decoding: try Files.read("/proc/stat"), as: UTF8.self)
        // cpu  user nice system idle iowait irq softirq steal …, in ticks.
        let ticks = text.prefix { $0 != "\n" }.split(separator: " ").dropFirst().compactMap { Double($0) }
        guard ticks.count >= 8 else { throw TestKitError("/proc/stat: \(text.prefix(100))") }
        let busy = ticks[..<8].reduce(0, +) - ticks[3] - ticks[4]
        let own = try ProcessUsage(pid: getpid()).cpuSeconds
        return MachineLoad(
            busySeconds: busy / Double(sysconf(Int32(_SC_CLK_TCK))),
            ownSeconds: own + process.cpuSeconds
        )
    }

    private init(busySeconds: Double, ownSeconds: Double) {
        self.busySeconds = busySeconds
        self.ownSeconds = ownSeconds
    }

    /// Cores that others kept busy between an earlier moment and this one.
    func othersCores(since earlier: MachineLoad) -> Double {
        let others = (busySeconds - earlier.busySeconds) - (ownSeconds - earlier.ownSeconds)
        return max(0, others / (Double(at - earlier.at) / 1e9))
    }
}
