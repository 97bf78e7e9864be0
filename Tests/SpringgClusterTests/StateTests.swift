import SpringgCluster
import SpringgLog
import SpringgTestKit
import Testing

@Suite("What a node says of itself")
struct StateTests {
    static func heads(_ count: Int, using random: inout SeededRandom) -> VersionVector {
        var heads = VersionVector()
        for _ in 0..<count {
            let sequence = SpringgLog.Sequence(random.next() >> UInt64.random(in: 0..<64, using: &random))
            heads[OriginID(using: &random)] = VersionVector.Head(sequence: sequence, chain: random.next())
        }
        return heads
    }

    private func state(heads count: Int, using random: inout SeededRandom) -> NodeState {
        var state = NodeState()
        state.composedAt = random.next()
        state.apiPort = 9080
        state.version = "1.2.3"
        state.protocols = 1...3
        state.vectorCount = random.next()
        state.lastArchivedAt = random.next()
        state.archives = true
        state.hlcFloor = HLC(random.next())
        (state.joined, state.life) = (random.next() >> 3, random.next() >> 3)
        state.writeState = .readOnly
        state.setHeads(Self.heads(count, using: &random))
        state.origin = state.heads.origins.last ?? .none
        state.digest = NodeState.Digest(low: random.next(), high: random.next())
        return state
    }

    @Test(
        "the long form says everything, the short form what fits, its own head always",
        arguments: [0, 1, 5, 11, 100]
    )
    func forms(count: Int) throws {
        var random = SeededRandom.fromEnvironment("state with \(count) heads")
        var state = state(heads: count, using: &random)
        let short = state.shortForm()
        #expect(short.count <= WireLimits.metaBytes)
        let read = try #require(try NodeState.decode(short))
        #expect(read.name == nil && read.state.heads.origins.count + read.state.omittedHeads == count)
        #expect(count > 11 ? read.state.heads.origins.count >= 11 : read.state == state)
        #expect(read.state.heads[state.origin] == state.heads[state.origin])
        #expect(read.state.headsHash == state.headsHash && read.state.digest == state.digest)

        state.indexDigests = ["articles": NodeState.Digest(low: 1, high: 2), "ü": NodeState.Digest(low: 3, high: 4)]
        state.forgotten = ["gone": random.next(), "lost": 1]
        let long = try #require(try NodeState.decode(state.longForm(name: "i-0abc")))
        #expect(long.state == state && long.name == "i-0abc")
    }

    @Test("equal heads have one hash, whatever the order; another chain has another")
    func hash() {
        var random = SeededRandom(seed: 5)
        let heads = Self.heads(4, using: &random)
        var (one, two, three) = (NodeState(), NodeState(), NodeState())
        one.setHeads(heads)
        var other = VersionVector()
        for origin in heads.origins.reversed() { other[origin] = heads[origin] }
        two.setHeads(other)
        other[heads.origins[0]].chain ^= 1
        three.setHeads(other)
        #expect(one.headsHash == two.headsHash && one.headsHash != three.headsHash)
    }

    @Test("a later version's fields are skipped; a foreign agent's bytes are nobody's; damaged ones are refused")
    func others() throws {
        let bytes = NodeState().shortForm()
        #expect(try NodeState.decode(bytes + [200, 3, 1, 2, 3])?.state == NodeState())
        for foreign in [[], Array(#"{"node_id":"i-1"}"#.utf8), [0xFF, 0x81, 0xA4], Array("SPG".utf8)] {
            #expect(try NodeState.decode(foreign) == nil)
        }
        // Every cut but those between two fields is seen.
        var whole = 0
        for count in 4..<bytes.count {
            do { if try NodeState.decode(bytes[..<count]) != nil { whole += 1 } } catch { continue }
        }
        #expect(whole <= 13)
    }
}
