import Synchronization

/// Tells a search that nobody waits for its answer any more.
///
/// Looked at where a search has done some microseconds of work: at each node of a walk, at each chunk of a scan. A search
/// that sees it ends at once, and what it returns means nothing.
public final class Cancellation: Sendable {
    private let flag = Atomic(false)

    /// Not cancelled.
    public init() {}

    /// Ends the search, soon.
    public func cancel() { flag.store(true, ordering: .relaxed) }

    /// Whether it is to end.
    @inline(__always)
    public var isCancelled: Bool { flag.load(ordering: .relaxed) }
}
