import Glibc
import Synchronization

/// A bounded number of permits, each given back when its holder lets go of it.
final class PermitPool: Sendable {
    private let available: Atomic<Int>

    /// - Parameter count: How many permits there are: requests, or bytes.
    init(_ count: Int) {
        available = Atomic(count)
    }

    /// Takes permits, all or none.
    ///
    /// - Returns: Nil when there are not that many left.
    func take(_ count: Int = 1) -> Permit? {
        var current = available.load(ordering: .relaxed)
        while current >= count {
            let (exchanged, original) = available.weakCompareExchange(
                expected: current,
                desired: current - count,
                ordering: .acquiringAndReleasing
            )
            if exchanged {
                return Permit(pool: self, count: count)
            }
            current = original
        }
        return nil
    }

    fileprivate func giveBack(_ count: Int) {
        available.add(count, ordering: .releasing)
    }
}

/// Permits taken from a pool, given back at the latest when the last reference goes, whichever way a request ends.
final class Permit: Sendable {
    private let pool: PermitPool
    private let held: Atomic<Int>

    fileprivate init(pool: PermitPool, count: Int) {
        self.pool = pool
        held = Atomic(count)
    }

    /// Gives the permits back now.
    func giveBack() {
        let count = held.exchange(0, ordering: .acquiringAndReleasing)
        if count > 0 {
            pool.giveBack(count)
        }
    }

    deinit {
        giveBack()
    }
}

/// How busy this process keeps the machine's cores.
///
/// Sampled about once a second by one event loop, read by all.
final class CPUMeter: Sendable {
    private struct Sample {
        var cpuNanoseconds: UInt64
        var wallNanoseconds: UInt64
    }

    private let last: Mutex<Sample>
    private let hundredthsOfPercent = Atomic<Int>(0)
    private let cores: Int

    init(now: UInt64) {
        cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        last = Mutex(Sample(cpuNanoseconds: Self.processNanoseconds(), wallNanoseconds: now))
    }

    /// CPU in percent of all cores over the last interval.
    var percent: Double {
        Double(hundredthsOfPercent.load(ordering: .relaxed)) / 100
    }

    /// Ends an interval and begins the next.
    func sample(now: UInt64) {
        let cpu = Self.processNanoseconds()
        let (used, elapsed) = self.last.withLock { last in
            let difference = (cpu &- last.cpuNanoseconds, now &- last.wallNanoseconds)
            last = Sample(cpuNanoseconds: cpu, wallNanoseconds: now)
            return difference
        }
        guard elapsed > 0 else {
            return
        }
        let percent = Double(used) / Double(elapsed) / Double(cores) * 100
        hundredthsOfPercent.store(Int(min(percent, 100) * 100), ordering: .relaxed)
    }

    private static func processNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// Counts requests: in all, and over the last minute.
final class RequestMeter: Sendable {
    /// Seconds that the window spans.
    private static let windowSeconds = 60

    private struct Window {
        /// The total at the start of each of the last seconds, oldest first.
        var totals: [Int] = [0]
        var lastSecond: UInt64
    }

    private let total_ = Atomic<Int>(0)
    private let window: Mutex<Window>

    init(now: UInt64) {
        window = Mutex(Window(lastSecond: now / 1_000_000_000))
    }

    func count() {
        total_.add(1, ordering: .relaxed)
    }

    var total: Int { total_.load(ordering: .relaxed) }

    /// Requests a second over the last minute, counted over a whole minute even when the server is younger.
    var perSecondLastMinute: Double {
        let total = self.total
        return window.withLock { Double(total - ($0.totals.first ?? 0)) / Double(Self.windowSeconds) }
    }

    /// Moves the window on; called about once a second.
    func tick(now: UInt64) {
        let total = self.total
        let second = now / 1_000_000_000
        self.window.withLock { window in
            guard second > window.lastSecond else {
                return
            }
            let passed = Int(min(second - window.lastSecond, UInt64(Self.windowSeconds)))
            window.totals.append(contentsOf: repeatElement(total, count: passed))
            window.totals.removeFirst(max(0, window.totals.count - Self.windowSeconds))
            window.lastSecond = second
        }
    }
}
