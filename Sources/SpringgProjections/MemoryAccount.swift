import Synchronization

/// Bytes that the projections hold, counted exactly as they are allocated and released.
final class MemoryAccount: Sendable {
    private let bytes = Atomic<Int>(0)

    func add(_ count: Int) { bytes.wrappingAdd(count, ordering: .relaxed) }

    var total: Int { bytes.load(ordering: .relaxed) }

    /// Bytes that may be held; 0 for no limit.
    let limit = Atomic<Int>(0)

    /// Whether somebody waits for whoever takes memory; not while a start or a tool fills the stores.
    let hasClients = Atomic<Bool>(false)

    /// Whether so many more may be taken for what only saves time: half of the limit is for what has to be there.
    func isPlentiful(for count: Int) -> Bool {
        let limit = limit.load(ordering: .relaxed)
        return limit == 0 || total + count <= limit / 2
    }
}
