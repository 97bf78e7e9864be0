import Glibc
import Synchronization

/// Machines with a network between them, all on this one; a test cuts links, loses packets and delays them.
///
/// The machines are network namespaces, so the kernel's own TCP and UDP are at work. What lies between them is a thread of
/// the test, which reads each packet from its sender and writes it to its receiver, or does not: no bridge, no filter rules,
/// no kernel modules, nothing to remove. Names, sockets and addresses of the real machine are not touched.
package final class Network: Sendable {
    /// What happens to packets from one machine to another.
    package struct Link: Sendable {
        /// Nothing passes.
        package var isCut = false
        /// Share of packets that are lost, 0 to 1.
        package var loss = 0.0
        /// Seconds that each takes, evenly spread: with a range they overtake each other.
        package var delay: ClosedRange<Double> = 0...0
    }

    /// The machines, 10.77.0.1 and so on.
    package let machines: [Machine]
    private let core: Switch
    private let thread: WorkerThread

    /// Makes so many machines with good links between all.
    ///
    /// - Throws: `TestKitError` where namespaces are not permitted, with what to do.
    package init(machines count: Int, random: SeededRandom) throws {
        precondition((1...200).contains(count), "so many addresses are in 10.77.0.0/24")
        machines = try (0..<count).map {
            try Machine(number: $0, address: "10.77.0.\($0 + 1)", mask: "255.255.255.0")
        }
        let core = try Switch(machines: machines, random: random)
        self.core = core
        thread = try WorkerThread { core.run() }
    }

    deinit {
        core.stop()
        thread.join()
    }

    /// Changes the links from each of `senders` to each of `receivers`, in this direction only.
    package func change(
        _ senders: some Sequence<Int>,
        to receivers: some Sequence<Int>,
        _ change: (inout Link) -> Void
    ) {
        let receivers = Array(receivers)
        core.state.withLock { state in
            for sender in senders { for receiver in receivers { change(&state.links[sender][receiver]) } }
        }
    }

    /// Cuts the links between two groups in both directions.
    package func cut(_ some: some Sequence<Int>, _ others: some Sequence<Int>) {
        let (some, others) = (Array(some), Array(others))
        change(some, to: others) { $0.isCut = true }
        change(others, to: some) { $0.isCut = true }
    }

    /// Makes all links lose and delay so much, and leaves those cut that are.
    package func weather(loss: Double, delay: ClosedRange<Double> = 0...0) {
        change(machines.indices, to: machines.indices) {
            $0.loss = loss
            $0.delay = delay
        }
    }

    /// Makes all links good.
    package func heal() {
        change(machines.indices, to: machines.indices) { $0 = Link() }
    }

    /// Packets that have passed, been lost by chance, and met a cut link.
    package var figures: (passed: Int, lost: Int, cut: Int) {
        core.state.withLock { ($0.passed, $0.lost, $0.refused) }
    }
}

/// The thread between the machines.
private final class Switch: Sendable {
    struct State {
        var links: [[Network.Link]]
        var random: SeededRandom
        var isOver = false
        var passed = 0
        var lost = 0
        var refused = 0
    }

    /// A packet on its way.
    private struct Flight {
        let due: UInt64
        let receiver: Int
        let packet: [UInt8]
    }

    let state: Mutex<State>
    private let machines: [Machine]

    /// The end of the machines is looked for so often.
    private static let pauseMilliseconds: Int32 = 50
    /// From one machine before the next one has its turn.
    private static let packetsPerTurn = 64
    /// Of IPv4, without options.
    private static let headerBytes = 20
    private static let packetBytesMax = 1 << 16

    init(machines: [Machine], random: SeededRandom) throws {
        self.machines = machines
        let row = [Network.Link](repeating: Network.Link(), count: machines.count)
        state = Mutex(State(links: [[Network.Link]](repeating: row, count: machines.count), random: random))
    }

    func stop() {
        state.withLock { $0.isOver = true }
    }

    func run() {
        var entries = machines.map { pollfd(fd: $0.device, events: Int16(POLLIN), revents: 0) }
        var flights: [Flight] = []
        var piece = [UInt8](repeating: 0, count: Self.packetBytesMax)
        while !state.withLock({ $0.isOver }) {
            let pause = flights.first.map {
                Int32(clamping: ($0.due - min($0.due, Monotonic.nanoseconds()) + 999_999) / 1_000_000)
            }
            poll(&entries, nfds_t(entries.count), min(pause ?? Self.pauseMilliseconds, Self.pauseMilliseconds))
            for (sender, entry) in entries.enumerated() where entry.revents != 0 {
                for _ in 0..<Self.packetsPerTurn {
                    let got = read(machines[sender].device, &piece, piece.count)
                    guard got > 0 else { break }
                    take(piece[..<got], from: sender, into: &flights)
                }
            }
            let now = Monotonic.nanoseconds()
            let arriving = flights.prefix { $0.due <= now }
            for flight in arriving { deliver(flight.packet[...], to: flight.receiver) }
            flights.removeFirst(arriving.count)
        }
    }

    /// Decides what becomes of a packet.
    private func take(_ packet: ArraySlice<UInt8>, from sender: Int, into flights: inout [Flight]) {
        // Only IPv4 has somewhere to go; the kernel also asks for routers by IPv6.
        guard packet.count >= Self.headerBytes, packet[packet.startIndex] >> 4 == 4 else { return }
        let receiver = Int(packet[packet.startIndex + 19]) - 1
        guard machines.indices.contains(receiver) else { return }
        let delay: Double? = state.withLock { state in
            let link = state.links[sender][receiver]
            if link.isCut {
                state.refused += 1
                return nil
            }
            if link.loss > 0, Double.random(in: 0..<1, using: &state.random) < link.loss {
                state.lost += 1
                return nil
            }
            state.passed += 1
            return link.delay.upperBound > 0 ? Double.random(in: link.delay, using: &state.random) : 0
        }
        guard let delay else { return }
        guard delay > 0 else { return deliver(packet, to: receiver) }
        let flight = Flight(
            due: Monotonic.nanoseconds() + UInt64(delay * 1e9),
            receiver: receiver,
            packet: Array(packet)
        )
        // In the order of their arrival; most belong at the end.
        var place = flights.endIndex
        while place > 0, flights[place - 1].due > flight.due { place -= 1 }
        flights.insert(flight, at: place)
    }

    /// Hands a packet to its machine, which drops it when it cannot keep up, as machines do.
    private func deliver(_ packet: ArraySlice<UInt8>, to receiver: Int) {
        _ = packet.withUnsafeBytes { write(machines[receiver].device, $0.baseAddress, $0.count) }
    }
}
