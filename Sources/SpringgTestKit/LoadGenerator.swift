import CTestKit
import Glibc

/// Where a load generator gets its requests from, and where it tells what came of them.
///
/// All calls come from the thread that runs the generator. Each connection has at most one request outstanding.
public protocol LoadSource: AnyObject {
    /// The next request of a connection, head and body, valid until the next call; nil when the connection is to send no more.
    func nextRequest(connection: Int) -> UnsafeRawBufferPointer?
    /// The answer to the connection's outstanding request; `body` is valid during the call.
    func answered(connection: Int, status: Int, body: UnsafeRawBufferPointer)
    /// The connection broke before its outstanding request was answered: the server may or may not have carried it out.
    func lost(connection: Int)
}

/// A load generator: one thread, N keep-alive connections.
///
/// In a closed loop each connection sends its next request when the last one is answered. In an open loop requests have their
/// moments, at a given rate, and go out on whichever connection is free; the time of each counts from its moment, also when
/// it had to wait for a connection, so that a server that stands still cannot hide it (coordinated omission).
///
/// It shares the machine with the server it loads, so it does next to nothing for a request: one `send` of bytes prepared
/// beforehand, one `recv`, and a look at the status line and `Content-Length`.
public final class LoadGenerator {
    /// What one run came to.
    public struct Report: Sendable {
        /// Requests that were answered.
        public var answered = 0
        /// Requests whose connection broke before the answer.
        public var lost = 0
        /// Answers by status code.
        public var statuses: [Int: Int] = [:]
        /// Wall time of the run.
        public var seconds = 0.0
        /// Processor time of the generator's thread.
        public var clientCPUSeconds = 0.0
        /// From the sending of a request, or from its moment in an open loop, to its answer.
        public var latency = LatencyHistogram()
        /// The same of those alone that were answered with 2xx.
        public var acceptedLatency = LatencyHistogram()
        /// Requests of an open loop whose moment had come and for which no connection was free until the end.
        public var unsent = 0

        /// A report of nothing.
        public init() {}

        /// Answers a second.
        public var rate: Double { seconds > 0 ? Double(answered) / seconds : 0 }
        /// Answers whose status is not 2xx.
        public var refused: Int { statuses.filter { !(200..<300).contains($0.key) }.values.reduce(0, +) }

        /// Adds another run, as one that came after this one.
        public mutating func append(_ other: Report) {
            answered += other.answered
            lost += other.lost
            statuses.merge(other.statuses, uniquingKeysWith: +)
            seconds += other.seconds
            clientCPUSeconds += other.clientCPUSeconds
            latency.merge(other.latency)
            acceptedLatency.merge(other.acceptedLatency)
            unsent += other.unsent
        }
    }

    /// Answers larger than this break the run: nothing under test has reason to send more.
    private static let answerBytesMax = 64 << 20
    private static let eventsMax = 256

    private let connections: UnsafeMutableBufferPointer<Connection>
    private let events: UnsafeMutableBufferPointer<epoll_event>
    private let poller: Int32
    private var statuses = [Int](repeating: 0, count: 1000)
    private var report = Report()
    private var outstanding = 0
    /// Connections without a request, in an open loop.
    private var idle: [Int] = []
    private var isOpenLoop = false

    /// Opens the connections.
    public init(port: Int, host: String = "127.0.0.1", connections count: Int) throws {
        poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        connections = .allocate(capacity: count)
        connections.initialize(repeating: Connection())
        events = .allocate(capacity: Self.eventsMax)
        events.initialize(repeating: epoll_event())
        guard poller >= 0 else { throw TestKitError.system("making an epoll instance") }
        for number in 0..<count {
            connections[number].descriptor = try Socket.connect(host: host, port: port)
            watch(number, EPOLL_CTL_ADD, EPOLLIN.rawValue)
        }
    }

    deinit {
        for connection in connections {
            if connection.descriptor >= 0 { close(connection.descriptor) }
            free(connection.buffer)
        }
        connections.deallocate()
        events.deallocate()
        close(poller)
    }

    /// Connections that are still open.
    public var openConnections: Int { connections.count { $0.descriptor >= 0 } }

    /// Runs until every connection has no more to send, or is lost.
    ///
    /// - Parameters:
    ///   - source: Gives the requests and hears of the answers.
    ///   - rate: Requests a second of an open loop; nil for a closed one.
    ///   - stopAfterSeconds: When to stop sending; nil: when the source has no more.
    ///   - interruption: Something to do in the middle of the run (as killing the server), that many seconds after its start.
    ///   - answerTimeoutSeconds: The longest time in which nothing at all may happen.
    /// - Returns: The figures of this run alone.
    /// - Throws: On a stall, and on an answer that is not HTTP as the generator understands it.
    public func run(
        _ source: some LoadSource,
        rate: Double? = nil,
        stopAfterSeconds: Double? = nil,
        interruption: (afterSeconds: Double, action: () -> Void)? = nil,
        answerTimeoutSeconds: Double = 60
    ) throws -> Report {
        report = Report()
        outstanding = 0
        for status in statuses.indices { statuses[status] = 0 }
        let start = Monotonic.nanoseconds()
        let startCPU = Monotonic.threadCPUNanoseconds()
        let stop = stopAfterSeconds.map { start + UInt64($0 * 1e9) } ?? UInt64.max
        var interruptAt = interruption.map { start + UInt64($0.afterSeconds * 1e9) } ?? UInt64.max

        isOpenLoop = rate != nil
        idle = connections.indices.reversed().filter { connections[$0].descriptor >= 0 }
        var schedule = rate.map { Schedule(start: start, stop: stop, interval: 1e9 / $0) }
        if !isOpenLoop {
            for number in idle { sendNext(number, source, due: Monotonic.nanoseconds()) }
        }
        var quietSince = start
        while outstanding > 0 || schedule != nil {
            let now = Monotonic.nanoseconds()
            if now >= interruptAt {
                interruptAt = UInt64.max
                interruption?.action()
            }
            sendDue(&schedule, source, now: now)
            guard outstanding > 0 || schedule != nil else { break }
            let nextDue = idle.isEmpty ? UInt64.max : schedule?.due ?? UInt64.max
            let wake = min(interruptAt, nextDue, now + UInt64(answerTimeoutSeconds * 1e9))
            let count = testkit_epoll_wait(poller, events.baseAddress, Int32(Self.eventsMax), wake - min(now, wake))
            if count < 0 {
                guard errno == EINTR else { throw TestKitError.system("waiting for answers") }
                continue
            }
            if count > 0 || outstanding == 0 { quietSince = Monotonic.nanoseconds() }
            if Double(Monotonic.nanoseconds() - quietSince) / 1e9 >= answerTimeoutSeconds * 0.9 {
                throw TestKitError("no answer to \(outstanding) requests for \(answerTimeoutSeconds) s")
            }
            for event in events[..<Int(count)] {
                try handle(Int(event.data.u32), event.events, source, stop: stop)
            }
        }
        report.seconds = Double(Monotonic.nanoseconds() - start) / 1e9
        report.clientCPUSeconds = Double(Monotonic.threadCPUNanoseconds() - startCPU) / 1e9
        for status in statuses.indices where statuses[status] > 0 { report.statuses[status] = statuses[status] }
        return report
    }

    /// The moments of an open loop.
    private struct Schedule {
        let start: UInt64
        let stop: UInt64
        let interval: Double
        var sent = 0

        /// The moment of the next request.
        var due: UInt64 { start + UInt64(Double(sent) * interval) }
    }

    /// Sends what is due on connections that are free; the schedule ends when its time is over or the source has no more.
    private func sendDue(_ schedule: inout Schedule?, _ source: some LoadSource, now: UInt64) {
        while let due = schedule?.due, due <= now {
            // Whoever has not been sent by the end of the time is counted, and not sent.
            if let open = schedule, due >= open.stop || now >= open.stop {
                report.unsent += max(0, Int(Double(min(now, open.stop) - open.start) / open.interval) - open.sent)
                schedule = nil
                return
            }
            guard let number = idle.popLast() else { return }
            let before = outstanding
            sendNext(number, source, due: due)
            guard outstanding > before || connections[number].descriptor < 0 else {
                schedule = nil
                return
            }
            schedule?.sent += 1
        }
        if openConnections == 0 { schedule = nil }
    }

    /// One connection and the answer that is arriving on it.
    private struct Connection {
        var descriptor: Int32 = -1
        var busy = false
        var sentAt: UInt64 = 0
        var buffer: UnsafeMutablePointer<UInt8>?
        var capacity = 0
        var filled = 0
        /// Bytes of the whole answer once its head has been read, else 0.
        var answerBytes = 0
        var headBytes = 0
        var status = 0
        /// What the socket did not take at once.
        var unsent: [UInt8] = []
    }

    private func watch(_ number: Int, _ operation: Int32, _ events: UInt32) {
        var event = epoll_event()
        event.events = events
        event.data.u32 = UInt32(number)
        epoll_ctl(poller, operation, connections[number].descriptor, &event)
    }

    private func sendNext(_ number: Int, _ source: some LoadSource, due: UInt64) {
        guard let request = source.nextRequest(connection: number) else { return }
        connections[number].busy = true
        connections[number].sentAt = due
        connections[number].filled = 0
        connections[number].answerBytes = 0
        outstanding += 1
        let sent = send(
            connections[number].descriptor,
            request.baseAddress,
            request.count,
            Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        )
        if sent == request.count { return }
        if sent < 0, errno != EAGAIN { return lose(number, source) }
        // The source's bytes are only valid until its next call: what is left must be kept.
        connections[number].unsent = Array(UnsafeRawBufferPointer(rebasing: request[max(0, sent)...]))
        watch(number, EPOLL_CTL_MOD, EPOLLIN.rawValue | EPOLLOUT.rawValue)
    }

    private func sendRest(_ number: Int, _ source: some LoadSource) {
        let sent = connections[number].unsent.withUnsafeBytes {
            send(connections[number].descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
        if sent < 0 {
            if errno != EAGAIN { lose(number, source) }
            return
        }
        connections[number].unsent.removeFirst(sent)
        if connections[number].unsent.isEmpty { watch(number, EPOLL_CTL_MOD, EPOLLIN.rawValue) }
    }

    private func lose(_ number: Int, _ source: some LoadSource) {
        close(connections[number].descriptor)
        connections[number].descriptor = -1
        connections[number].unsent = []
        guard connections[number].busy else { return }
        connections[number].busy = false
        outstanding -= 1
        report.lost += 1
        source.lost(connection: number)
    }

    private func handle(_ number: Int, _ happened: UInt32, _ source: some LoadSource, stop: UInt64) throws {
        guard connections[number].descriptor >= 0 else { return }
        if happened & EPOLLOUT.rawValue != 0, !connections[number].unsent.isEmpty { sendRest(number, source) }
        guard connections[number].descriptor >= 0, happened & ~EPOLLOUT.rawValue != 0 else { return }
        if connections[number].filled == connections[number].capacity { try grow(number) }
        guard let buffer = connections[number].buffer else { preconditionFailure("grow makes a buffer") }
        let room = connections[number].capacity - connections[number].filled
        let got = recv(connections[number].descriptor, buffer + connections[number].filled, room, Int32(MSG_DONTWAIT))
        if got < 0, errno == EAGAIN { return }
        guard got > 0 else { return lose(number, source) }
        guard connections[number].busy else {
            throw TestKitError("bytes on connection \(number) with no request outstanding")
        }
        connections[number].filled += got
        guard try isComplete(number, buffer) else { return }
        let connection = connections[number]
        let now = Monotonic.nanoseconds()
        report.latency.record(nanoseconds: now - connection.sentAt)
        if (200..<300).contains(connection.status) {
            report.acceptedLatency.record(nanoseconds: now - connection.sentAt)
        }
        report.answered += 1
        statuses[connection.status] += 1
        connections[number].busy = false
        outstanding -= 1
        let body = UnsafeRawBufferPointer(
            start: buffer + connection.headBytes,
            count: connection.answerBytes - connection.headBytes
        )
        source.answered(connection: number, status: connection.status, body: body)
        if isOpenLoop {
            idle.append(number)
        } else if now < stop {
            sendNext(number, source, due: now)
        }
    }

    private func grow(_ number: Int) throws {
        let capacity = max(1 << 14, connections[number].capacity * 2)
        guard capacity <= Self.answerBytesMax else {
            throw TestKitError("an answer of more than \(capacity / 2) bytes")
        }
        guard let buffer = realloc(connections[number].buffer, capacity) else { throw TestKitError("out of memory") }
        connections[number].buffer = buffer.assumingMemoryBound(to: UInt8.self)
        connections[number].capacity = capacity
    }

    /// Reads the head once it is whole, then compares what has come with what the head announced.
    private func isComplete(_ number: Int, _ buffer: UnsafeMutablePointer<UInt8>) throws -> Bool {
        let filled = connections[number].filled
        if connections[number].answerBytes == 0 {
            var lineStart = 0
            var length = -1
            var at = 0
            while true {
                while at < filled, buffer[at] != 0x0A { at += 1 }
                if at == filled { return false }
                at += 1
                let lineBytes = at - lineStart
                if lineBytes <= 2 { break }
                let line = UnsafeBufferPointer(start: buffer + lineStart, count: lineBytes)
                if let value = Self.contentLength(line) { length = value }
                lineStart = at
            }
            guard length >= 0 else { throw TestKitError("an answer without Content-Length") }
            let digits = (9..<12).map { Int(buffer[$0]) - 0x30 }
            guard at > 12, digits.allSatisfy((0...9).contains) else { throw TestKitError("an answer without a status") }
            connections[number].status = digits[0] * 100 + digits[1] * 10 + digits[2]
            connections[number].headBytes = at
            connections[number].answerBytes = at + length
        }
        guard filled <= connections[number].answerBytes else { throw TestKitError("bytes behind an answer") }
        return filled == connections[number].answerBytes
    }

    /// The value of a header line that is `Content-Length`.
    private static func contentLength(_ line: UnsafeBufferPointer<UInt8>) -> Int? {
        let name: StaticString = "content-length:"
        // Most lines differ in the first letter; only then is the whole name compared.
        guard line.count > name.utf8CodeUnitCount, line[0] | 0x20 == UInt8(ascii: "c") else { return nil }
        for at in 0..<name.utf8CodeUnitCount where line[at] | 0x20 != name.utf8Start[at] | 0x20 { return nil }
        var length = 0
        for byte in line[name.utf8CodeUnitCount...] where byte >= 0x30 && byte <= 0x39 {
            length = length * 10 + Int(byte - 0x30)
        }
        return length
    }
}
