import SpringgCluster
import SpringgTestKit
import Testing

@Suite("What messages about members change")
struct RuleTests {
    private static func endpoint(_ host: UInt8) -> NodeAddress {
        guard let address = IPAddress(bytes: [10, 0, 0, host]) else { preconditionFailure("four bytes are an address") }
        return NodeAddress(address, port: 7946)
    }

    /// A member named "me" at 10.0.0.1, and what it does.
    private struct Subject {
        var core: Membership
        var now = Duration.zero

        init(_ adjust: (inout MembershipOptions) -> Void = { _ in }) {
            var options = MembershipOptions(name: "me", endpoint: RuleTests.endpoint(1))
            adjust(&options)
            core = Membership(options: options, now: .zero, random: SeededRandom(seed: 1))
        }

        @discardableResult
        mutating func hears(_ messages: Message..., from host: UInt8 = 9) throws -> [MembershipDirective] {
            let packet = Packet.encode(messages.map(\.encoded))
            return try core.receive(packet: packet[...], from: RuleTests.endpoint(host), now: now).directives
        }

        mutating func pass(_ duration: Duration) -> [MembershipDirective] {
            let end = now + duration
            var all: [MembershipDirective] = []
            while core.nextTick <= end {
                now = max(now, core.nextTick)
                all += core.tick(now: now)
            }
            now = end
            return all
        }
    }

    private static func alive(_ name: String, _ incarnation: UInt32, at host: UInt8, meta: [UInt8] = []) -> Message {
        .alive(
            Alive(incarnation: incarnation, node: name, endpoint: endpoint(host), meta: meta, versions: .memberlist)
        )
    }

    private static func accusation(_ name: String, _ incarnation: UInt32, by accuser: String) -> Accusation {
        Accusation(incarnation: incarnation, node: name, accuser: accuser)
    }

    private static func messages(_ directives: [MembershipDirective], to host: UInt8) throws -> [Message] {
        try directives.flatMap { directive -> [Message] in
            guard case .send(let packet, let to) = directive, to == endpoint(host) else { return [] }
            return try Packet.decode(packet[...]).messages
        }
    }

    @Test("of two words about a member the higher incarnation counts, of one incarnation the worse news")
    func precedence() throws {
        var subject = Subject()
        try subject.hears(Self.alive("b", 5, at: 2))
        #expect(subject.core["b"]?.status == .alive)
        try subject.hears(.suspect(Self.accusation("b", 4, by: "c")))
        #expect(subject.core["b"]?.status == .alive)
        try subject.hears(.suspect(Self.accusation("b", 5, by: "c")))
        #expect(subject.core["b"]?.status == .suspect)
        try subject.hears(Self.alive("b", 5, at: 2))
        #expect(subject.core["b"]?.status == .suspect)
        try subject.hears(Self.alive("b", 6, at: 2))
        #expect(subject.core["b"]?.status == .alive)
        try subject.hears(.dead(Self.accusation("b", 6, by: "c")))
        #expect(subject.core["b"]?.status == .dead)
        try subject.hears(.dead(Self.accusation("b", 6, by: "b")))
        #expect(subject.core["b"]?.status == .dead)
        try subject.hears(Self.alive("b", 7, at: 2))
        #expect(subject.core["b"]?.status == .alive)
        try subject.hears(.dead(Self.accusation("b", 7, by: "b")))
        #expect(subject.core["b"]?.status == .left)
        // Nobody is accused of being unknown.
        try subject.hears(.suspect(Self.accusation("x", 1, by: "c")), .dead(Self.accusation("y", 1, by: "c")))
        #expect(subject.core.allMembers.map(\.name) == ["b", "me"])
    }

    @Test("whoever is accused denies it with a higher incarnation, and says so to others")
    func refutation() throws {
        var subject = Subject()
        try subject.hears(Self.alive("b", 1, at: 2))
        let accusations = [
            Message.suspect(Self.accusation("me", 3, by: "b")), .dead(Self.accusation("me", 9, by: "b")),
        ]
        for accusation in accusations {
            let before = subject.core.me.incarnation
            let directives = try subject.hears(accusation)
            #expect(subject.core.me.incarnation > before && subject.core.me.status == .alive)
            #expect(directives.contains(.event(.refuted(incarnation: subject.core.me.incarnation))))
        }
        #expect(subject.core.me.incarnation == 10 && subject.core.health.value == 2)
        let heard = try Self.messages(subject.pass(.seconds(1)), to: 2)
        #expect(heard.contains { if case .alive(let alive) = $0 { alive.incarnation == 10 } else { false } })
        // An old accusation is none.
        try subject.hears(.dead(Self.accusation("me", 9, by: "b")))
        #expect(subject.core.me.incarnation == 10)
        // What an earlier life said of itself, even with the same incarnation, is denied too.
        try subject.hears(Self.alive("me", 10, at: 1, meta: [1, 2]))
        #expect(subject.core.me.incarnation == 11)
        // The end of the numbers is no trap.
        try subject.hears(.suspect(Self.accusation("me", .max, by: "b")))
        #expect(subject.core.me.incarnation == .max && subject.core.me.status == .alive)
    }

    @Test("a name belongs to one address until its node has left, or been dead for long enough")
    func names() throws {
        var subject = Subject()
        try subject.hears(Self.alive("b", 5, at: 2))
        let conflict = try subject.hears(Self.alive("b", 9, at: 3))
        #expect(
            conflict == [.event(.nameConflict(name: "b", ours: Self.endpoint(2), theirs: Self.endpoint(3)))]
        )
        try subject.hears(.dead(Self.accusation("b", 5, by: "c")))
        try subject.hears(Self.alive("b", 9, at: 3))
        #expect(subject.core["b"]?.status == .dead)
        subject.now += .seconds(30)
        // A new life begins to count anew.
        try subject.hears(Self.alive("b", 1, at: 3))
        #expect(subject.core["b"]?.status == .alive && subject.core["b"]?.endpoint == Self.endpoint(3))
        try subject.hears(.dead(Self.accusation("b", 1, by: "b")))
        try subject.hears(Self.alive("b", 1, at: 4))
        #expect(subject.core["b"]?.endpoint == Self.endpoint(4))
        // Four and sixteen bytes of one address are one address.
        let mapped = try #require(IPAddress("::ffff:10.0.0.4"))
        try subject.hears(
            .alive(
                Alive(
                    incarnation: 2,
                    node: "b",
                    endpoint: NodeAddress(mapped, port: 7946),
                    meta: [],
                    versions: .memberlist
                )
            )
        )
        #expect(subject.core["b"]?.incarnation == 2 && subject.core["b"]?.endpoint.address.bytes.count == 16)
    }

    @Test("who does not answer is asked for by others and over TCP, then suspected, then dead")
    func failureDetection() throws {
        var subject = Subject()
        try subject.hears(Self.alive("b", 1, at: 2), Self.alive("c", 1, at: 3), Self.alive("d", 1, at: 4))
        var (asked, dialled, failed) = (0, 0, 0)
        for directive in subject.pass(.seconds(60)) {
            switch directive {
            case .send(let packet, _):
                for case .indirectPing in try Packet.decode(packet[...]).messages { asked += 1 }
            case .dial(let stream, _, let request):
                var reader = StreamReader(security: WireSecurity(), isFromDialler: true)
                if case .message(.ping) = try reader.append(request) { dialled += 1 }
                _ = subject.core.streamAnswered(stream, nil, now: subject.now)
            case .event(.failed): failed += 1
            case .event: ()
            }
        }
        #expect(asked > 0 && dialled > 0 && failed == 3)
        #expect(subject.core.liveMembers.map(\.name) == ["me"])
    }

    @Test("an answer over TCP alone keeps a member alive, and one through another does")
    func otherWays() throws {
        for way in ["stream", "forward"] {
            var subject = Subject()
            try subject.hears(Self.alive("b", 1, at: 2), Self.alive("c", 1, at: 3))
            let end = Duration.seconds(60)
            while subject.now < end {
                for directive in subject.pass(.milliseconds(50)) {
                    switch directive {
                    case .dial(let stream, _, let request):
                        var reader = StreamReader(security: WireSecurity(), isFromDialler: true)
                        guard way == "stream", case .message(.ping(let ping)) = try reader.append(request)
                        else { continue }
                        let ack = StreamMessage.message(.ack(number: ping.number, payload: nil))
                        _ = subject.core.streamAnswered(stream, ack, now: subject.now)
                    case .send(let packet, let to):
                        for message in try Packet.decode(packet[...]).messages {
                            guard way == "forward", case .indirectPing(let ping) = message else { continue }
                            let ack = Message.ack(number: ping.number, payload: nil).encoded
                            _ = try subject.core.receive(packet: ack[...], from: to, now: subject.now)
                        }
                    case .event: ()
                    }
                }
            }
            #expect(subject.core.liveMembers.count == 3, "\(way)")
        }
    }

    @Test("a probe on another's behalf is answered, or said to have been in vain")
    func forwarding() throws {
        var subject = Subject()
        let source = MessageSource(endpoint: Self.endpoint(3), name: "c")
        let request = IndirectPing(
            number: 77,
            target: Self.endpoint(2),
            node: "b",
            wantsNack: true,
            source: source
        )
        let sent = try Self.messages(subject.hears(.indirectPing(request), from: 3), to: 2)
        guard case .ping(let ping) = sent.first else {
            Issue.record("no ping in \(sent)")
            return
        }
        #expect(ping.node == "b" && ping.number != 77)
        let answer = try subject.hears(.ack(number: ping.number, payload: [1]), from: 2)
        #expect(try Self.messages(answer, to: 3) == [.ack(number: 77, payload: nil)])
        try subject.hears(.indirectPing(request), from: 3)
        #expect(try Self.messages(subject.pass(.seconds(1)), to: 3) == [.nack(number: 77)])
    }

    @Test("a ping for somebody else is not answered, one for nobody in particular is")
    func pings() throws {
        var subject = Subject()
        #expect(try subject.hears(.ping(Ping(number: 1, node: "b", source: nil))).isEmpty)
        for node in ["", "me"] {
            let answer = try subject.hears(.ping(Ping(number: 2, node: node, source: nil)), from: 8)
            #expect(try Self.messages(answer, to: 8) == [.ack(number: 2, payload: nil)])
        }
    }

    @Test("further accusers shorten a suspect's time, the first one does not count twice")
    func suspicion() throws {
        func timeToDeath(_ accusers: [String]) throws -> Duration {
            var subject = Subject()
            for host in UInt8(2)...9 { try subject.hears(Self.alive("node\(host)", 1, at: host)) }
            try subject.hears(Self.alive("b", 1, at: 20))
            for accuser in accusers { try subject.hears(.suspect(Self.accusation("b", 1, by: accuser))) }
            while subject.core["b"]?.status == .suspect {
                let packet = Message.ack(number: 0, payload: nil).encoded
                _ = try subject.core.receive(packet: packet[...], from: Self.endpoint(2), now: subject.now)
                _ = subject.pass(.milliseconds(100))
            }
            return subject.now
        }
        let (one, two, three) = (
            try timeToDeath(["c"]), try timeToDeath(["c", "d"]), try timeToDeath(["c", "d", "e"])
        )
        #expect(try timeToDeath(["c", "c", "c"]) == one)
        #expect(one > two && two > three && three >= .seconds(4) && one <= .seconds(25))
    }

    @Test("two clusters whose versions do not fit stay two")
    func versions() throws {
        var subject = Subject()
        var theirs = ProtocolVersions.memberlist
        (theirs.applicationMinimum, theirs.applicationMaximum, theirs.applicationCurrent) = (2, 5, 5)
        let alive = Alive(incarnation: 1, node: "serf", endpoint: Self.endpoint(2), meta: [], versions: theirs)
        let exchange = PushPull(isJoin: true, entries: [.init(alive: alive, status: .alive)], userState: [2])
        let result = subject.core.receive(stream: .pushPull(exchange), from: Self.endpoint(2), now: .zero)
        #expect(result.answer != nil)
        guard case .event(.refused) = result.directives.first else {
            Issue.record("\(result.directives)")
            return
        }
        #expect(subject.core["serf"] == nil)
    }

    @Test("a change of the own state is announced, but not more often than the cluster bears")
    func announcements() throws {
        var subject = Subject()
        try subject.hears(Self.alive("b", 1, at: 2))
        let before = subject.core.me.incarnation
        for number in UInt8(0)..<100 {
            _ = subject.core.setState(meta: [number], userState: [], now: subject.now)
            _ = subject.pass(.milliseconds(100))
        }
        let announced = Int(subject.core.me.incarnation - before)
        #expect((9...11).contains(announced))
        _ = subject.pass(.seconds(2))
        #expect(subject.core.me.meta == [99])
    }
}
