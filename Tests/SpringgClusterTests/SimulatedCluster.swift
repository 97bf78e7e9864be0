import SpringgCluster
import SpringgTestKit

/// Many membership cores in one thread, on a network that loses, delays, repeats and cuts by a seed, in virtual time.
struct SimulatedCluster {
    /// How badly the network behaves.
    struct Weather {
        /// Share of packets that are lost.
        var loss = 0.0
        /// Share of packets that come twice.
        var repetition = 0.0
        var delay = Duration.milliseconds(1)...Duration.milliseconds(5)
    }

    struct Node {
        let index: Int
        let endpoint: NodeAddress
        let name: String
        /// Nil while it is not running.
        var core: Membership?
        /// Which life of the process this is: what belongs to an earlier one comes to nothing.
        var life = 0
        /// When the next tick is scheduled.
        var tick = Duration.zero
        var sentBytes = 0
        var sentPackets = 0
        /// Members that it took for dead although they ran.
        var falseDeaths = 0
    }

    private enum Event {
        case tick(node: Int, life: Int)
        case packet(from: NodeAddress, to: Int, [UInt8])
        case request(from: Int, life: Int, StreamID, to: Int?, [UInt8])
        case answer(to: Int, life: Int, StreamID, [UInt8]?)
    }

    private(set) var nodes: [Node]
    private(set) var now = Duration.zero
    var weather = Weather()
    var random: SeededRandom
    /// Pairs (from, to) that nothing gets through.
    private var cuts: Set<Int> = []
    private var events = EventHeap<Event>()
    private let seeds: [NodeAddress]

    /// `count` nodes, none of them running yet; each knows the first `seedNodes` from the start, and `seed` decides
    /// everything that is left to chance.
    init(_ count: Int, seed: UInt64, seedNodes: Int = 3) {
        random = SeededRandom(seed: seed)
        nodes = (0..<count).map { index in
            let bytes = [10, 0, UInt8(index >> 8), UInt8(index & 255)]
            guard let address = IPAddress(bytes: bytes) else { preconditionFailure("four bytes are an address") }
            return Node(index: index, endpoint: NodeAddress(address, port: 7946), name: "node-\(index)")
        }
        seeds = nodes.prefix(seedNodes).map(\.endpoint)
    }

    // MARK: Fate

    mutating func start(_ index: Int) {
        precondition(nodes[index].core == nil, "node \(index) is running")
        let options = MembershipOptions(name: nodes[index].name, endpoint: nodes[index].endpoint)
        var state = NodeState()
        state.apiPort = 8080
        state.vectorCount = UInt64(nodes[index].life)
        nodes[index].life += 1
        nodes[index].core = Membership(
            options: options,
            meta: state.shortForm(),
            userState: state.longForm(name: options.name),
            now: now,
            random: SeededRandom(seed: random.next())
        )
        nodes[index].tick = .seconds(1_000_000)
        input(index) { core, now in core.setSeeds([], now: now) }
        let seeds = self.seeds
        input(index) { core, now in core.setSeeds(seeds, now: now) }
    }

    mutating func startAll() {
        for index in nodes.indices { start(index) }
    }

    /// Ends a process without a word.
    mutating func crash(_ index: Int) {
        nodes[index].core = nil
    }

    mutating func restart(_ index: Int) {
        crash(index)
        start(index)
    }

    mutating func leave(_ index: Int) {
        input(index) { core, now in core.leave(now: now) }
    }

    /// Cuts the way from one node to another; the way back stays.
    mutating func cut(from: Int, to: Int) { cuts.insert(from * nodes.count + to) }

    mutating func split(_ isLeft: (Int) -> Bool) {
        for from in nodes.indices {
            for to in nodes.indices where isLeft(from) != isLeft(to) { cut(from: from, to: to) }
        }
    }

    mutating func heal() {
        cuts = []
        weather = Weather()
    }

    mutating func setState(_ index: Int, _ state: NodeState) {
        input(index) { core, now in
            core.setState(meta: state.shortForm(), userState: state.longForm(name: core.options.name), now: now)
        }
    }

    // MARK: Time

    mutating func run(_ duration: Duration) {
        let end = now + duration
        while let time = events.nextTime, time <= end { step() }
        now = end
    }

    /// Runs until something is so; returns how long that took, or nil when it did not come within `limit`.
    mutating func run(until isReached: (SimulatedCluster) -> Bool, limit: Duration) -> Duration? {
        let began = now
        // Whether it is reached is asked four times a second: asking costs as much as the cluster is large.
        while now - began <= limit {
            if isReached(self) { return now - began }
            run(.milliseconds(250))
        }
        return nil
    }

    private mutating func step() {
        guard let (time, event) = events.pop() else { return }
        now = time
        switch event {
        case .tick(let node, let life):
            guard nodes[node].life == life, let core = nodes[node].core, nodes[node].tick <= now else { return }
            nodes[node].tick = .seconds(1_000_000)
            guard core.nextTick <= now else { return schedule(node) }
            input(node) { core, now in core.tick(now: now) }
        case .packet(let sender, let node, let bytes):
            input(node) { core, now in
                (try? core.receive(packet: bytes[...], from: sender, now: now).directives) ?? []
            }
        case .request(let from, let life, let stream, let to, let bytes):
            serve(from, life, stream, to, bytes)
        case .answer(let node, let life, let stream, let bytes):
            guard nodes[node].life == life else { return }
            var reader = StreamReader(security: WireSecurity(), isFromDialler: false)
            let message = bytes.flatMap { try? reader.append($0) }
            input(node) { core, now in core.streamAnswered(stream, message, now: now) }
        }
    }

    // MARK: Network

    private func isOpen(_ from: Int, _ to: Int) -> Bool { !cuts.contains(from * nodes.count + to) }

    private func index(of endpoint: NodeAddress) -> Int? {
        let bytes = endpoint.address.bytes
        let index = Int(bytes[2]) << 8 | Int(bytes[3])
        return nodes.indices.contains(index) ? index : nil
    }

    private mutating func input(_ index: Int, _ body: (inout Membership, Duration) -> [MembershipDirective]) {
        guard var core = nodes[index].core else { return }
        // Taken out, lest the collections in it be copied.
        nodes[index].core = nil
        let directives = body(&core, now)
        nodes[index].core = core
        for directive in directives { perform(directive, index) }
        schedule(index)
    }

    private mutating func schedule(_ index: Int) {
        guard let next = nodes[index].core?.nextTick, next < nodes[index].tick else { return }
        nodes[index].tick = max(next, now)
        events.push(max(next, now), .tick(node: index, life: nodes[index].life))
    }

    private mutating func perform(_ directive: MembershipDirective, _ index: Int) {
        switch directive {
        case .send(let bytes, let endpoint):
            precondition(bytes.count <= WireLimits.packetBytes, "a packet of \(bytes.count) bytes")
            nodes[index].sentBytes += bytes.count
            nodes[index].sentPackets += 1
            guard let to = self.index(of: endpoint), isOpen(index, to) else { return }
            let copies = chance(weather.repetition) ? 2 : 1
            for _ in 0..<copies where !chance(weather.loss) {
                events.push(now + delay(), .packet(from: nodes[index].endpoint, to: to, bytes))
            }
        case .dial(let stream, let endpoint, let request):
            nodes[index].sentBytes += request.count
            let request = Event.request(
                from: index,
                life: nodes[index].life,
                stream,
                to: self.index(of: endpoint),
                request
            )
            events.push(now + delay() * 2, request)
        case .event(.failed(let member)):
            if let failed = self.index(of: member.endpoint), nodes[failed].core != nil { nodes[index].falseDeaths += 1 }
        case .event:
            ()
        }
    }

    /// TCP: what is lost is sent again and comes later; where a way is cut, nothing comes until the dialler gives up.
    private mutating func serve(_ from: Int, _ life: Int, _ stream: StreamID, _ to: Int?, _ request: [UInt8]) {
        guard let to, isOpen(from, to), isOpen(to, from) else {
            return events.push(now + .seconds(10), .answer(to: from, life: life, stream, nil))
        }
        var answer: [UInt8]?
        var reader = StreamReader(security: WireSecurity(), isFromDialler: true)
        if let message = try? reader.append(request) {
            let sender = nodes[from].endpoint
            input(to) { core, now in
                let result = core.receive(stream: message, from: sender, now: now)
                answer = result.answer
                return result.directives
            }
        }
        nodes[to].sentBytes += answer?.count ?? 0
        let repeated: Duration = chance(weather.loss) ? .milliseconds(300) : .zero
        events.push(now + delay() + repeated, .answer(to: from, life: life, stream, answer))
    }

    private mutating func chance(_ share: Double) -> Bool {
        share > 0 && Double.random(in: 0..<1, using: &random) < share
    }

    private mutating func delay() -> Duration {
        let range = weather.delay
        return range.lowerBound + (range.upperBound - range.lowerBound) * Double.random(in: 0..<1, using: &random)
    }

    // MARK: What is seen

    /// Nodes that run and are not on their way out.
    var running: [Int] { nodes.indices.filter { nodes[$0].core.map { !$0.isLeaving } ?? false } }

    /// True when every running node takes exactly the running nodes for alive, and none of them for suspect.
    var isAgreed: Bool {
        let names = running.map { nodes[$0].name }.sorted()
        return running.allSatisfy { index in
            let live = nodes[index].core?.liveMembers ?? []
            return live.map(\.name) == names && live.allSatisfy { $0.status == .alive }
        }
    }

    /// True when every running node knows the newest state of every other.
    var statesAreAgreed: Bool {
        running.allSatisfy { index in
            running.allSatisfy { nodes[index].core?[nodes[$0].name]?.state == nodes[$0].core?.me.state }
        }
    }

    /// True when no running node takes the given one for alive.
    func isNoticed(_ gone: Int) -> Bool {
        running.allSatisfy { nodes[$0].core?[nodes[gone].name]?.isLive != true }
    }

    var disagreements: String {
        running.compactMap { index in
            let live = Set((nodes[index].core?.liveMembers ?? []).filter { $0.status == .alive }.map(\.name))
            let names = Set(running.map { nodes[$0].name })
            guard live != names else { return nil }
            let (lacking, extra) = (names.subtracting(live).sorted(), live.subtracting(names).sorted())
            return "\(nodes[index].name) lacks \(lacking), has \(extra)"
        }.joined(separator: "; ")
    }
}

/// Events in order of time; of one time, in the order in which they came.
struct EventHeap<Event> {
    private var heap: [(time: Duration, number: Int, event: Event)] = []
    private var nextNumber = 0

    var nextTime: Duration? { heap.first?.time }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        (heap[a].time, heap[a].number) < (heap[b].time, heap[b].number)
    }

    mutating func push(_ time: Duration, _ event: Event) {
        heap.append((time, nextNumber, event))
        nextNumber += 1
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() -> (time: Duration, event: Event)? {
        guard !heap.isEmpty else { return nil }
        heap.swapAt(0, heap.count - 1)
        let last = heap.removeLast()
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, smallest) {
                smallest = child
            }
            guard smallest != parent else { return (last.time, last.event) }
            heap.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
