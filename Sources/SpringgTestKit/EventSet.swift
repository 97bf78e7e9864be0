package import SpringgLog

/// Stamped events of several origins, as a cluster would make them: each origin's own in order, clocks that hear of each
/// other now and then, creates and deletes of indexes among the rows.
package struct EventSet {
    package struct Item {
        package var event: EncodedEvent
        package var origin: Int

        package init(event: EncodedEvent, origin: Int) {
            self.event = event
            self.origin = origin
        }
    }

    package var items: [Item] = []

    package static let indexNames = ["a", "b"]

    /// One event in `marksOneIn` is a mark; none with 0.
    package init(using random: inout SeededRandom, origins: Int, events: Int, marksOneIn: Int = 0) {
        var clocks = Array(repeating: HybridClock(), count: origins)
        var heads = Array(repeating: VersionVector.Head.start, count: origins)
        var seen: [String: EventVersion] = [:]
        for number in 0..<events {
            let writer = Int.random(in: 0..<origins, using: &random)
            let origin = OriginID(high: UInt64(writer + 1), low: 7)
            if random.oneIn(3) {
                clocks[writer].observe(clocks[Int.random(in: 0..<origins, using: &random)].last)
            }
            let index = EventSet.indexNames[Int.random(in: 0..<2, using: &random)]
            let id = "v\(Int.random(in: 0..<12, using: &random))"
            var event: EncodedEvent =
                switch Int.random(in: 0..<40, using: &random) {
                case 0, 1: .indexCreated(name: index, dimensions: random.oneIn(3) ? 3 : 2, options: .empty)
                case 2: .indexDeleted(name: index)
                case 3...9: Array(id.utf8).withUnsafeBytes { .vectorDeleted(index: index, id: $0) }
                default: EventSet.put(index, id, [Float(number), Float(writer)] + (random.oneIn(3) ? [1] : []))
                }
            if marksOneIn > 0, random.oneIn(marksOneIn) {
                event = .mark(name: "m\(Int.random(in: 0..<3, using: &random))")
            }
            let hlc = clocks[writer].tick(wall: 1000 + UInt64(number / 4))
            let key = index + "/" + id
            let chain = event.stamp(
                origin: origin,
                sequence: heads[writer].sequence.next,
                hlc: hlc,
                seen: random.oneIn(2) ? seen[key] ?? .none : .none,
                previousChain: heads[writer].chain
            )
            heads[writer] = .init(sequence: heads[writer].sequence.next, chain: chain)
            seen[key] = EventVersion(hlc: hlc, origin: origin)
            items.append(Item(event: event, origin: writer))
        }
    }

    package static func put(_ index: String, _ id: String, _ vector: [Float], metadata: String = "") -> EncodedEvent {
        Array(id.utf8).withUnsafeBytes { id in
            vector.withUnsafeBufferPointer { vector in
                Array(metadata.utf8).withUnsafeBytes { metadata in
                    EncodedEvent.vectorPut(index: index, id: id, vector: vector, metadata: metadata)
                }
            }
        }
    }
}

extension EventSet {
    /// The rule of the architecture, applied naively to the whole set at once.
    package static func visible(
        after items: [Item]
    ) -> (indexes: [String: Int], rows: [String: [Float]]) {
        var deletedAt: [String: EventVersion] = [:]
        for item in items {
            if case .indexDeleted(let name)? = item.event.envelope.event {
                deletedAt[name] = max(deletedAt[name] ?? .none, item.event.envelope.version)
            }
        }
        var created: [String: (version: EventVersion, dimensions: Int)] = [:]
        for item in items {
            let version = item.event.envelope.version
            if case .indexCreated(let name, let dimensions, _)? = item.event.envelope.event,
                version > deletedAt[name] ?? .none, created[name].map({ version < $0.version }) ?? true
            {
                created[name] = (version, dimensions)
            }
        }
        var winners: [String: (version: EventVersion, index: String, vector: [Float]?)] = [:]
        for item in items {
            let version = item.event.envelope.version
            switch item.event.envelope.event {
            case .vectorPut(let index, let id, let vector, _)?:
                let key = index + "/" + String(decoding: id, as: UTF8.self)
                if version > winners[key]?.version ?? .none {
                    winners[key] = (version, index, Array(vector.bindMemory(to: Float.self)))
                }
            case .vectorDeleted(let index, let id)?:
                let key = index + "/" + String(decoding: id, as: UTF8.self)
                if version > winners[key]?.version ?? .none { winners[key] = (version, index, nil) }
            default: break
            }
        }
        var rows: [String: [Float]] = [:]
        for (key, row) in winners {
            guard let index = created[row.index], row.version > index.version, let vector = row.vector,
                vector.count == index.dimensions
            else { continue }
            rows[key] = vector
        }
        return (created.mapValues(\.dimensions), rows)
    }
}

extension UnsafeRawBufferPointer {
    package static var empty: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
