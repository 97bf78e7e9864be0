import SpringgLog
import SpringgTestKit

/// Stamped events of several origins, as a cluster would make them: each origin's own in order, clocks that hear of each
/// other now and then, creates and deletes of indexes among the rows.
struct EventSet {
    struct Item {
        var event: EncodedEvent
        var origin: Int
    }

    var items: [Item] = []

    static let indexNames = ["a", "b"]

    init(using random: inout SeededRandom, origins: Int, events: Int) {
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
            let event: EncodedEvent =
                switch Int.random(in: 0..<40, using: &random) {
                case 0, 1: .indexCreated(name: index, dimensions: random.oneIn(3) ? 3 : 2, options: .empty)
                case 2: .indexDeleted(name: index)
                case 3...9: Array(id.utf8).withUnsafeBytes { .vectorDeleted(index: index, id: $0) }
                default: EventSet.put(index, id, [Float(number), Float(writer)] + (random.oneIn(3) ? [1] : []))
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

    static func put(_ index: String, _ id: String, _ vector: [Float], metadata: String = "") -> EncodedEvent {
        Array(id.utf8).withUnsafeBytes { id in
            vector.withUnsafeBufferPointer { vector in
                Array(metadata.utf8).withUnsafeBytes { metadata in
                    EncodedEvent.vectorPut(index: index, id: id, vector: vector, metadata: metadata)
                }
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    static var empty: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
