import SpringgLog
import Synchronization

/// Brings one index's graph up to its store, a little at a time.
///
/// One thread at a time: the indexer's, or a test's.
final class Linker {
    private let current: CurrentGraph
    /// The one that searches take; nobody but this replaces it.
    private var graph: HNSWGraph
    private let store: VectorStore
    private let memoryLimit: Int
    private let team: IndexingTeam
    private var scratch: WalkScratch { team.scratch }
    private var unlinked: [Unlinked] = []

    /// What walks in progress may still see.
    private struct Unlinked {
        /// The number of the unlinking that a walk must have begun after not to see it.
        let after: UInt64
        /// Nodes that were taken out of the graph.
        var nodes: [UInt32] = []
        /// Codes of rows that the graph holds now.
        var codes: [VectorStore.RetiredCodes] = []
        /// The graph they were taken out of; or one that was replaced, held so that no search has to free it.
        let graph: HNSWGraph
    }

    /// Time for which rows are linked before others get their turn.
    private static let turnNanoseconds: UInt64 = 2_000_000
    /// The share of the nodes that is taken out at once, at most, and the number.
    ///
    /// Neighbours of the removed have to be there to take their place, and a turn is not to be long.
    private static let removedShare = 16
    private static let removedMin = 64
    private static let removedMax = 512
    /// The share of dead nodes that is worth looking through all links while there are rows to link.
    private static let deadShare = 512
    /// The share of changed nodes that is worth a sweep while there is other work.
    private static let sweepShare = 8
    /// Sweeps for a few changes take at most one part in so many of the time.
    private static let sweepTimeShare: UInt64 = 10

    init(_ current: CurrentGraph, memoryLimit: Int, team: IndexingTeam) {
        self.current = current
        graph = current.graph
        self.team = team
        store = graph.store
        self.memoryLimit = memoryLimit
    }

    deinit { store.keep(unlinked.flatMap(\.codes)) }

    /// What is left.
    enum Progress {
        /// There is more to do at once.
        case working
        /// Something has to wait a moment: for more of its kind, or for walks to end.
        case waiting
        /// Nothing.
        case done
    }

    /// True when the graph is, or is to be, used: a few rows are compared faster than any graph leads to them.
    static func isWanted(_ graph: HNSWGraph) -> Bool {
        graph.count > 0
            || graph.store.ledger.count(.queued) >= GraphSearch.rowsMin
    }

    /// True when something waits to be linked or taken out.
    static func hasWork(_ graph: HNSWGraph) -> Bool {
        let ledger = graph.store.ledger
        return isWanted(graph)
            && (ledger.count(.dead) > 0
                || ledger.count(.queued) > 0 && !graph.isOutOfMemory.load(ordering: .relaxed))
    }

    /// Does a part of the work.
    ///
    /// `isPatient`: what gains by being gathered may wait. `isLast`: nothing may.
    func step(isPatient: Bool, isLast: Bool = false) -> Progress {
        let ledger = store.ledger
        release()
        let dead = ledger.count(.dead)
        let queued = Linker.isWanted(graph) ? ledger.count(.queued) : 0
        let isStuck = queued > 0 && graph.isOutOfMemory.load(ordering: .relaxed) && !hasMemory()
        if dead > 0, dead * Linker.deadShare >= graph.count || (queued == 0 || isStuck) && !isPatient {
            unlink()
            return .working
        }
        if queued > 0, !isStuck {
            link()
            if graph.changesSinceSweep * Linker.sweepShare > max(graph.count, 1024) { sweep() }
            return .working
        }
        // Also those that a search made while the last of their rows were linked.
        if ledger.count(.queued) == 0 {
            retireCodes(around: stride(from: 0, to: UInt32(store.slotsUsed), by: store.layout.capacity))
        }
        if graph.changesSinceSweep > 0 {
            let now = monotonicNanoseconds()
            guard isLast || now >= graph.sweepDue && !isPatient else { return .waiting }
            sweep()
            let end = monotonicNanoseconds()
            graph.sweepDue = end + (end - now) * Linker.sweepTimeShare
        }
        guard unlinked.isEmpty else { return .waiting }
        if graph.wantsRenumbering { renumber() }
        return dead > 0 || !unlinked.isEmpty ? .waiting : .done
    }

    /// Does all of the work.
    func finish() {
        while true {
            switch step(isPatient: false, isLast: true) {
            case .working: continue
            case .waiting where Linker.hasWork(graph): continue
            case .waiting, .done: return
            }
        }
    }

    private func sweep() {
        store.ledger.sweeps.record(graph.sweep(team.scratch), at: monotonicNanoseconds())
    }

    /// Rows in the order of their slots, in batches whose size depends on the graph alone, so that the same store gives
    /// the same graph.
    private func link() {
        let end = monotonicNanoseconds() + Linker.turnNanoseconds
        repeat {
            let batch = takeBatch()
            guard !batch.isEmpty else { return }
            graph.insert(batch, team)
            for slot in batch { store.ledger.remove(.unlinked, slot) }
            retireCodes(around: batch)
        } while monotonicNanoseconds() < end
    }

    /// Rows that are linked need no codes of their own.
    private func retireCodes(around slots: some Swift.Sequence<UInt32>) {
        guard store.codedChunks.load(ordering: .relaxed) > 0 else { return }
        var last: UInt32?
        let codes = slots.compactMap { slot in
            let chunk = slot >> UInt32(store.layout.shift)
            if chunk == last { return nil as VectorStore.RetiredCodes? }
            last = chunk
            return store.takeCodes(around: slot)
        }
        guard !codes.isEmpty else { return }
        retire([], of: graph, codes)
        release()
    }

    private func takeBatch() -> [UInt32] {
        let most = graph.batchMax
        var batch: [UInt32] = []
        store.ledger.forEach(.queued) { slot in
            // Before it is taken: a row that was taken is the graph's, and cannot be given back.
            guard graph.reserve(batch.count + 1, memoryLimit: memoryLimit) else {
                graph.isOutOfMemory.store(true, ordering: .relaxed)
                return false
            }
            if store.ledger.remove(.queued, slot) { batch.append(slot) }
            return batch.count < most
        }
        return batch
    }

    /// Whether memory that was refused is there now.
    private func hasMemory() -> Bool {
        guard graph.hasMemoryForChunk(limit: memoryLimit) else { return false }
        graph.isOutOfMemory.store(false, ordering: .relaxed)
        return true
    }

    private func unlink() {
        let most = min(max(Linker.removedMin, graph.count / Linker.removedShare), Linker.removedMax)
        var removed = BitSet()
        var nodes: [UInt32] = []
        store.ledger.forEach(.dead) { slot in
            store.ledger.remove(.dead, slot)
            let node = graph.node(of: slot)
            removed.insert(Int(node))
            nodes.append(node)
            return nodes.count < most
        }
        graph.remove(removed, team)
        retire(nodes, of: graph)
        release()
    }

    /// Holds what a walk in progress may stand on: one that begins from here on finds no way to it.
    private func retire(_ nodes: [UInt32], of graph: HNSWGraph, _ codes: [VectorStore.RetiredCodes] = []) {
        let number = graph.walks.appliedLSN.rawValue + 1
        graph.walks.publish(LSN(number))
        unlinked.append(Unlinked(after: number, nodes: nodes, codes: codes, graph: graph))
    }

    /// Puts neighbours next to each other in memory.
    private func renumber() {
        let old = graph
        // Not again and again where memory does not suffice.
        old.changesSinceRenumbering = 0
        guard let new = old.renumbered(memoryLimit: memoryLimit) else { return }
        graph = new
        current.replace(with: new)
        retire([], of: old)
        release()
    }

    /// Gives back the slots that no walk can see any more.
    private func release() {
        guard let first = unlinked.first, first.after <= graph.walks.reclaimable().rawValue else { return }
        let horizon = graph.walks.reclaimable().rawValue
        while let next = unlinked.first, next.after <= horizon {
            for node in next.nodes {
                store.ledger.insert(.released, next.graph.slot(of: node))
                next.graph.free(node)
            }
            for codes in next.codes { store.free(codes) }
            unlinked.removeFirst()
        }
    }
}
