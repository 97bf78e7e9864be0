import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization
import Testing

/// The archiver with stores as they are: threads that race, servers that answer wrongly or die.
@Suite("Archiving to real stores", .serialized)
struct ArchiverStoreTests {
    /// A node that one thread uses, and then another.
    private final class Member: @unchecked Sendable {
        // Why @unchecked: `node` is used by the test's thread before and after the member's own thread, never beside it.
        let node: ArchiveNode
        private let inbox = Mutex<[[UInt8]]>([])

        init(_ node: ArchiveNode) { self.node = node }

        func deliver(_ events: ArraySlice<[UInt8]>) { inbox.withLock { $0 += events } }

        /// Takes what others have written.
        func receive() throws {
            let events = inbox.withLock { inbox in
                defer { inbox = [] }
                return inbox
            }
            for event in events { try node.receive(event) }
        }
    }

    /// Two archivers of one cluster, each on a thread, both elected, for 100 rounds.
    private static func race(_ stores: [any ObjectStore], _ name: String) throws {
        let time = ArchiveNode.TestClock()
        var options = ArchiveOptions()
        options.isClustered = true
        let members = try [1, 2].map { Member(try ArchiveNode($0, stores[Int($0) - 1], options, time)) }
        try members[0].node.write(.indexCreated(name: "a", dimensions: 4, options: .empty))
        try members[1].node.receive(members[0].node.envelopes[0])
        let failures = Mutex<[String]>([])
        let threads = try [0, 1].map { number in
            try WorkerThread {
                do {
                    let (own, other) = (members[number], members[1 - number])
                    for round in 0..<100 {
                        try own.receive()
                        let begin = own.node.envelopes.count
                        for event in 0..<3 {
                            try own.node.write(EventSet.put("a", "\(number)-\(round)-\(event)", [1, 2, 3, 4]))
                        }
                        other.deliver(own.node.envelopes[begin...])
                        own.node.round()
                        if let failure = own.node.core.failure { failures.withLock { $0.append("\(failure)") } }
                    }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.withLock { $0 } == [])
        for member in members {
            try member.receive()
            member.node.round()
        }
        let content = try ArchiveContent(stores[0])
        let newest = try #require(content.newest)
        let lost = members.flatMap(\.node.steps).reduce(0) { sum, step in
            if case .commit = step { sum + 1 } else { sum }
        }
        print("\(name): \(newest.generation) generations, \(lost - Int(newest.generation)) commits that came second")
        #expect(content.manifests.count == Int(newest.generation))
        #expect(newest.heads == members[0].node.log.versionVector)
        #expect(newest.heads == members[1].node.log.versionVector)
        #expect(try content.state().digest == members[0].node.state.digest)
        #expect(content.events.values.reduce(0) { $0 + $1.count } == 601)
    }

    @Test("two archivers at once on a directory: one manifest a generation, no event lost")
    func directory() throws {
        let directory = try TemporaryDirectory()
        let stores = try [1, 2].map {
            try DirectoryStore(path: directory.path, createIfMissing: true, writer: "w\($0)")
        }
        try ArchiverStoreTests.race(stores, "a directory")
    }

    @Test("two archivers at once on an S3 server, and its death", arguments: RealServer.Kind.allCases)
    func server(kind: RealServer.Kind) throws {
        let server = try RealServer(kind)
        let stores = try [1, 2].map { _ in
            try server.store(prefix: "race") {
                $0.attemptsMax = 2
                $0.connectTimeoutMilliseconds = 500
            }
        }
        try ArchiverStoreTests.race(stores, kind.rawValue)
        // A new node, from nothing, while the server is there; and then it dies.
        let time = ArchiveNode.TestClock()
        let node = try ArchiveNode(7, server.store(prefix: "alone") { $0.attemptsMax = 1 }, ArchiveOptions(), time)
        try node.write(.indexCreated(name: "a", dimensions: 4, options: .empty))
        node.round()
        #expect(node.core.failure == nil && node.core.archived == node.log.versionVector)
        server.kill()
        try node.write(EventSet.put("a", "x", [1, 2, 3, 4]))
        node.round()
        #expect(node.core.failure?.isTransient == true)
        #expect(node.core.archived != node.log.versionVector)
    }

    /// What S3 servers and networks do, now and then or for good.
    private static let faults: [(name: String, fault: FakeS3.Fault, isPassing: Bool)] = [
        ("500", { _, _ in .answer(FakeS3.error(500, "InternalError")) }, true),
        ("503", { _, _ in .answer(FakeS3.error(503, "SlowDown")) }, true),
        ("cut", { _, operate in .cut(operate(), after: 10) }, true),
        ("dropped", { _, _ in .drop }, true),
        (
            "done, and the answer lost",
            { _, operate in
                _ = operate()
                return .drop
            }, true
        ),
        ("403", { _, _ in .answer(FakeS3.error(403, "AccessDenied")) }, false),
        ("expired", { _, _ in .answer(FakeS3.error(400, "ExpiredToken")) }, false),
    ]

    @Test(
        "each fault at each request of a round: it passes, or the round ends and the next makes it good",
        arguments: 0..<7
    )
    func faults(index: Int) throws {
        let (name, fault, isPassing) = ArchiverStoreTests.faults[index]
        var requests = 0
        for position in 0... {
            let fixture = try StoreFixture(seed: UInt64(position))
            let time = ArchiveNode.TestClock()
            time.now = UInt64(FakeS3.start) * 1000
            let node = try ArchiveNode(1, fixture.store, ArchiveOptions(), time)
            try node.write(.indexCreated(name: "a", dimensions: 4, options: .empty))
            for number in 0..<5 { try node.write(EventSet.put("a", "v\(number)", [1, 2, 3, Float(number)])) }
            let counter = Mutex(0)
            fixture.fake.next(
                where: { _ in
                    counter.withLock {
                        $0 += 1
                        return $0 == position + 1
                    }
                },
                fault
            )
            node.round()
            requests = counter.withLock { $0 }
            if requests <= position { break }
            if isPassing { #expect(node.core.failure == nil, "\(name) at \(position)") }
            if node.core.failure != nil {
                time.now += 400_000
                node.round()
            }
            #expect(node.core.failure == nil && node.core.archived == node.log.versionVector, "\(name) at \(position)")
            #expect(fixture.fake.broken == [])
            #expect(try ArchiveContent(fixture.store).state().digest == node.state.digest)
        }
        print("\(name): at each of \(requests) requests")
        #expect(requests > 12)
    }

    @Test("keys that end in the middle of a round end it, and the next goes on with new ones")
    func expiredKeys() throws {
        let fixture = try StoreFixture()
        let time = ArchiveNode.TestClock()
        let node = try ArchiveNode(1, fixture.store, ArchiveOptions(), time)
        try node.write(.indexCreated(name: "a", dimensions: 4, options: .empty))
        fixture.fake.next(where: { $0.method == "PUT" && $0.target.contains("segments/") }) {
            [fake = fixture.fake] _, operate in
            let answer = operate()
            fake.state.withLock { $0.sessionToken = "a new one" }
            return .answer(answer)
        }
        node.round()
        #expect(node.core.failure.map { "\($0)" }?.contains("credentials") == true)
        #expect(node.core.archived != node.log.versionVector)
        fixture.fake.state.withLock { $0.sessionToken = nil }
        time.now += 400_000
        node.round()
        #expect(node.core.failure == nil && node.core.archived == node.log.versionVector)
        #expect(try ArchiveContent(fixture.store).state().digest == node.state.digest)
    }
}
