import SpringgCluster
import SpringgLog
import SpringgTestKit
import Testing

/// The rules behind what a cluster promises: who archives, which writes have got how far, whose clock counts, who is a
/// member, below what nothing new can come.
@Suite("What a cluster promises")
struct GuaranteeTests {
    private static let origin = OriginID(high: 1, low: 2)

    private func vector(_ sequence: UInt64, of origin: OriginID = GuaranteeTests.origin) -> VersionVector {
        var vector = VersionVector()
        vector[origin] = .init(sequence: SpringgLog.Sequence(sequence), chain: sequence)
        return vector
    }

    // MARK: Election

    @Test("the oldest archiving is elected, ties by the lowest id, and each of all that look")
    func election() {
        var random = SeededRandom.fromEnvironment("elections")
        for _ in 0..<2_000 {
            let now = UInt64.random(in: 1_000_000...9_000_000, using: &random)
            let interval = UInt64.random(in: 1...100_000, using: &random)
            let candidates = (0..<Int.random(in: 1...7, using: &random)).map { number in
                ArchiverElection.Candidate(
                    nodeID: "n\(number)",
                    lastArchivedAt: Bool.random(using: &random) ? 0 : now - UInt64.random(in: 0...3, using: &random)
                )
            }
            func elected(at moment: UInt64, began: UInt64, _ candidates: [ArchiverElection.Candidate]) -> Set<String> {
                Set(
                    candidates.map(\.nodeID).filter {
                        ArchiverElection.isElected(
                            $0,
                            among: candidates.shuffled(using: &random),
                            now: moment,
                            began: began,
                            interval: interval
                        )
                    }
                )
            }
            // Of those with the oldest time the lowest id, whatever the order in which they are known.
            let oldest = candidates.map(\.lastArchivedAt).min()
            let expected = candidates.filter { $0.lastArchivedAt == oldest }.map(\.nodeID).min()
            let newest = candidates.map(\.lastArchivedAt).max() ?? 0
            // Where nobody has archived yet the first does so at once, else when half of an interval has passed.
            let turn = newest == 0 ? now : newest + interval / 2
            for missed in 0..<UInt64(9) {
                let set = elected(at: turn + missed * interval, began: now, candidates)
                // One more for each interval in which nobody archives.
                #expect(set.count == min(candidates.count, Int(missed) + 1))
                #expect(set.contains(expected ?? ""))
            }
            if newest > 0, interval > 1 {
                // Until then it stays with the one that archived last.
                let set = elected(at: turn - 1, began: 0, candidates)
                let last = candidates.filter { $0.lastArchivedAt == newest }.map(\.nodeID).max()
                #expect(set == [last ?? ""])
            }
            // The winner archives: it is the last in the order now.
            var after = candidates
            for index in after.indices where after[index].nodeID == expected {
                after[index].lastArchivedAt = newest + now
            }
            #expect(ArchiverElection.order(after).last?.nodeID == expected)
            #expect(
                !ArchiverElection.isElected("stranger", among: candidates, now: .max, began: 0, interval: interval)
            )
        }
    }

    @Test("who archived by a clock that was hours ahead, and archives no more, does not keep the others from it")
    func clockAhead() {
        let candidates: [ArchiverElection.Candidate] = [
            .init(nodeID: "a", lastArchivedAt: 1_000_000), .init(nodeID: "b", lastArchivedAt: 1_000_500),
            .init(nodeID: "gone", lastArchivedAt: 9_000_000),
        ]
        func elected(_ now: UInt64) -> [String] {
            candidates.map(\.nodeID)
                .filter { ArchiverElection.isElected($0, among: candidates, now: now, began: 0, interval: 1000) }
        }
        #expect(elected(1_000_900) == ["b"])
        #expect(elected(1_001_200) == ["gone"])
        #expect(elected(1_002_200) == ["a", "gone"])
        #expect(elected(1_003_200) == ["a", "b", "gone"])
    }

    // MARK: Write concern

    /// The definition, without queues: what is reached for one sequence.
    private struct Model {
        var peers: [String: UInt64] = [:]
        var archived: UInt64 = 0
        var members = 1

        func reached(_ sequence: UInt64, _ level: AckLevel) -> Bool {
            let copies = peers.values.count { $0 >= sequence }
            return switch level {
            case .local: true
            case .peer: copies >= 1
            case .quorum: (copies + 1) * 2 > members
            case .s3: archived >= sequence
            }
        }

        func answer(_ sequence: UInt64, _ wanted: AckLevel) -> AckLevel {
            AckLevel.allCases.last { $0 <= wanted && reached(sequence, $0) } ?? .local
        }
    }

    @Test("a level is reported if and only if it is reached, and nobody waits longer than their time")
    func writeConcern() {
        var random = SeededRandom.fromEnvironment("write concern")
        for _ in 0..<300 {
            var core = WriteConcern()
            core.hasPeers = true
            core.hasArchive = true
            var model = Model()
            var waiting: [UInt64: (sequence: UInt64, level: AckLevel, deadline: Duration)] = [:]
            var now = Duration.zero
            var sequence: UInt64 = 0
            var number: UInt64 = 0
            func settle(_ verdicts: [WriteConcern.Verdict], expired: Bool = false) {
                for verdict in verdicts {
                    guard let waiter = waiting.removeValue(forKey: verdict.waiter) else {
                        Issue.record("\(verdict) for nobody")
                        continue
                    }
                    #expect(verdict.reached == model.answer(waiter.sequence, waiter.level))
                    #expect(expired ? waiter.deadline <= now : verdict.reached == waiter.level)
                }
                // Whoever still waits has reason to.
                for waiter in waiting.values {
                    #expect(!model.reached(waiter.sequence, waiter.level), "\(waiter) waits for nothing")
                    if expired { #expect(waiter.deadline > now) }
                }
            }
            for _ in 0..<80 {
                switch Int.random(in: 0..<6, using: &random) {
                case 0, 1:
                    sequence += UInt64.random(in: 1...3, using: &random)
                    number += 1
                    let level = AckLevel.allCases.randomElement(using: &random) ?? .peer
                    let deadline = now + .milliseconds(500)
                    let at = SpringgLog.Sequence(sequence)
                    if let reached = core.wait(number, for: Self.origin, at, level, until: deadline) {
                        #expect(reached == level && model.reached(sequence, level))
                    } else {
                        waiting[number] = (sequence, level, deadline)
                    }
                case 2:
                    let peer = "p\(Int.random(in: 0..<5, using: &random))"
                    let holds = UInt64.random(in: 0...sequence, using: &random)
                    model.peers[peer] = holds
                    settle(core.peer(peer, holds: vector(holds)))
                case 3:
                    model.archived = max(model.archived, UInt64.random(in: 0...sequence, using: &random))
                    settle(core.archiveHolds(vector(model.archived)))
                case 4:
                    model.members = Int.random(in: 1...6, using: &random)
                    settle(core.setMembers(model.members))
                default:
                    now += .milliseconds(Int.random(in: 0...300, using: &random))
                    settle(core.expire(now), expired: true)
                }
            }
            now += .seconds(1)
            settle(core.expire(now), expired: true)
            #expect(waiting.isEmpty && core.end().isEmpty)
        }
    }

    @Test("where a level cannot come nobody waits, and the answer claims nothing")
    func aloneNobodyWaits() {
        var core = WriteConcern()
        let first = SpringgLog.Sequence(1)
        #expect(core.wait(1, for: Self.origin, first, .peer, until: .seconds(9)) == .local)
        #expect(core.wait(2, for: Self.origin, first, .s3, until: .seconds(9)) == .quorum)
        // A majority of one is one.
        #expect(core.wait(3, for: Self.origin, first, .quorum, until: .seconds(9)) == .quorum)
        // Others' events say nothing of ours.
        core.hasPeers = true
        #expect(core.wait(4, for: Self.origin, first, .peer, until: .seconds(9)) == nil)
        #expect(core.peer("b", holds: vector(9, of: OriginID(high: 7, low: 7))) == [])
        // And under a new origin everything begins anew.
        #expect(core.peer("b", holds: vector(9)) == [.init(waiter: 4, reached: .peer)])
        let other = OriginID(high: 3, low: 3)
        #expect(core.wait(5, for: other, first, .peer, until: .seconds(9)) == nil)
        #expect(core.end() == [.init(waiter: 5, reached: .local)])
    }

    // MARK: Members

    @Test("rosters that hear the same things in any order, and twice, or from each other, are the same")
    func rosterConverges() throws {
        var random = SeededRandom.fromEnvironment("rosters")
        for _ in 0..<500 {
            var news: [(claim: Roster.Claim, isForgotten: Bool)] = []
            for at in 1...UInt64.random(in: 1...12, using: &random) {
                let name = "n \(Int.random(in: 0..<3, using: &random))"
                news.append((.init(name: name, joined: at, life: at), Bool.random(using: &random)))
            }
            func hear(_ item: (claim: Roster.Claim, isForgotten: Bool), _ roster: inout Roster) {
                if item.isForgotten {
                    roster.forget(item.claim.name, at: item.claim.joined)
                } else {
                    roster.saw(item.claim)
                }
            }
            var rosters: [Roster] = []
            for _ in 0..<3 {
                var (roster, other) = (Roster(), Roster())
                for item in (news + news).shuffled(using: &random) {
                    if Bool.random(using: &random) { hear(item, &roster) } else { hear(item, &other) }
                }
                roster.merge(other)
                let isNews = roster.merge(other)
                #expect(!isNews)
                rosters.append(roster)
            }
            // The later of joining and being forgotten counts.
            for name in Set(news.map(\.claim.name)) {
                let last = news.last { $0.claim.name == name }
                for roster in rosters {
                    #expect(roster.contains(name) == (last?.isForgotten == false))
                    #expect(roster.isForgotten(name) == (last?.isForgotten == true))
                }
            }
            #expect(rosters.allSatisfy { $0 == rosters[0] && $0.hash == rosters[0].hash })
            #expect(Roster(rosters[0].text) == rosters[0])
            let text = rosters[0].text
            for length in 0..<text.utf8.count { #expect(Roster(String(text.prefix(length))) == nil) }
        }
    }

    @Test("who was forgotten stays so, however often it starts, until it knows and joins again")
    func forgottenAndBack() throws {
        func life(_ standing: inout Standing, _ now: UInt64) {
            if let roster = standing.unkept { standing.keep(roster) }
            standing = Standing(name: standing.name, kept: standing.kept, now: now, chance: 7)
            if let roster = standing.unkept { standing.keep(roster) }
        }
        var (a, b) = (
            Standing(name: "a", kept: Roster(), now: 100, chance: 1),
            Standing(name: "b", kept: Roster(), now: 100, chance: 2)
        )
        a.merge(b.roster)
        b.merge(a.roster)
        #expect(a.roster.members == ["a", "b"] && a.roster.hash == b.roster.hash && a.roster.knows(b.claim))
        let forgotten = [a.forget("b", now: 50), a.forget("b", now: 60), a.forget("nobody", now: 60)]
        #expect(forgotten == [true, false, false])
        // A clock that is ahead, and two more starts: it is forgotten all the same.
        life(&b, 10_000)
        life(&b, 5)
        a.merge(b.roster)
        #expect(a.roster.members == ["a"] && a.roster.isForgotten("b") && !a.roster.knows(b.claim))
        b.merge(a.roster)
        #expect(b.isForgotten)
        b.rejoin(now: 7)
        a.merge(b.roster)
        #expect(a.roster.members == ["a", "b"] && a.roster.knows(b.claim) && a.roster.hash == b.roster.hash)
        // Every start changes the roster: what was announced in another life counts no more.
        let before = b.roster.hash
        life(&b, 3)
        #expect(b.roster.hash != before && !a.roster.knows(b.claim))
        // A disk that is older than the last life begins a later one than it.
        var old = Standing(name: "b", kept: Roster(), now: 1, chance: 9)
        old.merge(a.roster)
        #expect(old.claim.life > b.claim.life && old.claim.joined == b.claim.joined && !a.roster.knows(old.claim))
    }

    // MARK: Clock

    @Test("a node whose clock is far from the majority of its peers stops, and from one peer never")
    func clock() {
        var rule = ClockRule(boundMilliseconds: 500)
        let now = Duration.seconds(1_000)
        func sample(_ peer: String, _ ahead: Double, _ uncertainty: Double = 1, at time: Duration? = nil) {
            rule.sample(peer, ahead: ahead, uncertainty: uncertainty, now: time ?? now)
        }
        #expect(rule.verdict(now: now) == .fine)
        sample("a", 60_000)
        #expect(rule.verdict(now: now) == .fine)
        sample("b", 600)
        #expect(rule.verdict(now: now) == .off(milliseconds: 60_000))
        sample("c", 0)
        sample("d", 3)
        #expect(rule.verdict(now: now) == .fine, "two of four are no majority")
        sample("c", -700)
        sample("d", -700)
        #expect(rule.verdict(now: now) == .fine, "they disagree among themselves")
        for peer in ["a", "b", "c", "d"] { sample(peer, -700, 250) }
        #expect(rule.verdict(now: now) == .fine, "it may be 450 as well")
        for peer in ["a", "b", "c"] { sample(peer, -700) }
        #expect(rule.verdict(now: now) == .off(milliseconds: -700))
        #expect(rule.verdict(now: now + .seconds(121)) == .fine, "what was heard long ago says nothing")
        rule = ClockRule(boundMilliseconds: 0)
        for peer in ["a", "b", "c"] { sample(peer, -700_000) }
        #expect(rule.verdict(now: now) == .fine)
    }

    // MARK: Stability

    /// Nodes that write, send, promise and fall silent; the horizon is compared with everything that is on its way.
    @Test("no event below the horizon is on its way to anybody")
    func causalStability() {
        var random = SeededRandom.fromEnvironment("causal stability")
        var moved = 0
        for _ in 0..<200 {
            let count = Int.random(in: 1...4, using: &random)
            let origins = (0..<count).map { OriginID(high: 0, low: UInt64($0 + 1)) }
            var clocks = [HLC](repeating: HLC(0), count: count)
            /// Of each origin the readings of its events.
            var written = [[HLC]](repeating: [], count: count)
            var held = (0..<count).map { _ in VersionVector() }
            var announced: [String: CausalStability.Announcement?] = [:]
            for node in 0..<count { announced["n\(node)"] = .some(nil) }
            var core = CausalStability()
            for step in 0..<150 {
                let node = Int.random(in: 0..<count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    clocks[node] = HLC(max(clocks[node].rawValue + 1, UInt64(step)))
                    written[node].append(clocks[node])
                    held[node][origins[node]] = .init(sequence: .init(UInt64(written[node].count)), chain: 0)
                case 1:
                    let other = Int.random(in: 0..<count, using: &random)
                    let origin = Int.random(in: 0..<count, using: &random)
                    let next = held[node][origins[origin]].sequence.next
                    if held[other][origins[origin]].sequence >= next {
                        held[node][origins[origin]] = .init(sequence: next, chain: 0)
                        clocks[node] = max(clocks[node], written[origin][Int(next.rawValue) - 1])
                    }
                case 2:
                    clocks[node] = HLC(max(clocks[node].rawValue, UInt64(step)))
                    announced["n\(node)"] = .init(
                        roster: random.oneIn(9) ? 8 : 7,
                        floor: HLC(clocks[node].rawValue + 1),
                        heads: held[node]
                    )
                default:
                    let before = core.horizon
                    let missing = core.observe(announced, under: 7)
                    #expect(core.horizon >= before && missing.allSatisfy { announced[$0] != nil })
                    if core.horizon > before { moved += 1 }
                }
                for writer in 0..<count {
                    #expect(HLC(clocks[writer].rawValue + 1) >= core.horizon, "it may write below the horizon")
                    for (place, reading) in written[writer].enumerated() where reading < core.horizon {
                        for holder in held {
                            #expect(holder[origins[writer]].sequence.rawValue > place, "\(reading) is on its way")
                        }
                    }
                }
            }
        }
        #expect(moved > 200, "the horizon has hardly moved: \(moved)")
        var core = CausalStability()
        let said = CausalStability.Announcement(roster: 1, floor: HLC(5), heads: .init())
        let silent = core.observe(["a": said, "b": nil], under: 1)
        #expect(silent == ["b"] && core.horizon == HLC(0))
        // Under another roster it counts as not heard.
        let waiting = [2, 1, 2, 1].map { core.observe(["a": said], under: $0) }
        #expect(waiting == [["a"], [], ["a"], []] && core.horizon == HLC(0))
        core.observe(["a": said], under: 1)
        #expect(core.horizon == HLC(5))
    }
}
