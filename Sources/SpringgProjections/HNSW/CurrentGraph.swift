import Synchronization

/// The graph that searches of an index use from now on: one takes the place of another when its nodes are renumbered.
///
/// Whoever took a graph keeps it for as long as it likes, and sees in it what it held when it was replaced.
final class CurrentGraph: Sendable {
    private let current: Mutex<HNSWGraph>

    init(_ graph: HNSWGraph) { current = Mutex(graph) }

    var graph: HNSWGraph { current.withLock { $0 } }

    /// Puts another graph of the same rows in the place of this one.
    ///
    /// The indexer only.
    func replace(with graph: HNSWGraph) { current.withLock { $0 = graph } }
}
