import Synchronization

/// The living indexes by name: where readers begin.
///
/// Changes only when an index is made or removed.
final class IndexDirectory: Sendable {
    private let indexes = Mutex<[String: VectorIndex]>([:])
    let memory: MemoryAccount

    init(memory: MemoryAccount) { self.memory = memory }

    func set(_ index: VectorIndex?, _ name: String) { indexes.withLock { $0[name] = index } }

    subscript(name: IndexName) -> VectorIndex? { indexes.withLock { $0[name.description] } }

    /// In the order of their names.
    var all: [VectorIndex] { indexes.withLock { Array($0.values) }.sorted { $0.name < $1.name } }

    var digest: StateDigest {
        var digest = StateDigest()
        for index in all { digest.insert(index.digest, named: index.name.description, version: index.version) }
        return digest
    }
}
