package import SpringgLog

/// What is known of an index's existence, as a function of the set of its creates and deletes.
///
/// `deletedAt` is the highest version of its deletes; it exists by the lowest create above that. So two nodes that create
/// the same index at once lose nothing, and a stale create cannot bring back what was deleted after it.
package struct IndexLifetime: Equatable, Sendable {
    package struct Creation: Equatable, Sendable {
        package var version: EventVersion
        package var dimensions: Int
        package var options: [UInt8]

        package init(version: EventVersion, dimensions: Int, options: [UInt8]) {
            self.version = version
            self.dimensions = dimensions
            self.options = options
        }
    }

    /// `.none` when it was never deleted.
    package private(set) var deletedAt = EventVersion.none
    /// All creates above `deletedAt`, in ascending order.
    package private(set) var creations: [Creation] = []

    package init() {}

    /// What a checkpoint holds.
    package init(deletedAt: EventVersion, creations: [Creation]) {
        self.deletedAt = deletedAt
        self.creations = creations
    }

    /// The create by which the index exists; nil when it does not.
    package var creation: Creation? { creations.first }

    /// The newest thing known: what an event about this index has seen.
    var newest: EventVersion { max(deletedAt, creations.last?.version ?? .none) }

    package mutating func create(_ creation: Creation) {
        guard creation.version > deletedAt,
            !creations.contains(where: { $0.version == creation.version })
        else { return }
        let place = creations.firstIndex { $0.version > creation.version } ?? creations.count
        creations.insert(creation, at: place)
    }

    package mutating func delete(_ version: EventVersion) {
        guard version > deletedAt else { return }
        deletedAt = version
        creations.removeAll { $0.version <= version }
    }
}

/// The indexes by name.
///
/// A projection: the rule of existence, and nothing about rows.
struct Catalog {
    private var lifetimes: [String: IndexLifetime] = [:]

    subscript(name: String) -> IndexLifetime {
        get { lifetimes[name] ?? IndexLifetime() }
        set { lifetimes[name] = newValue }
    }

    /// Nothing is known of the name any more.
    mutating func forget(_ name: String) { lifetimes[name] = nil }

    /// Takes an event about an index; returns the lifetime before and after.
    mutating func apply(_ event: Event, _ version: EventVersion) -> (before: IndexLifetime, after: IndexLifetime) {
        guard let name = event.index else { return (IndexLifetime(), IndexLifetime()) }
        let before = self[name]
        var after = before
        switch event {
        case .indexCreated(_, let dimensions, let options):
            after.create(.init(version: version, dimensions: dimensions, options: Array(options)))
        case .indexDeleted:
            after.delete(version)
        case .vectorPut, .vectorDeleted, .mark:
            return (before, before)
        }
        lifetimes[name] = after
        return (before, after)
    }
}
