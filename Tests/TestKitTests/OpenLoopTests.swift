import SpringgTestKit
import Testing

@Suite struct OpenLoopTests {
    private func requests() -> RequestBytes {
        let requests = RequestBytes(capacity: 100)
        requests.append(method: "GET", path: "/", body: "")
        return requests
    }

    @Test func anOpenLoopSendsEachRequestAtItsMoment() throws {
        let server = try StubServer { _ in .answer(StubServer.Answer(200)) }
        defer { server.stop() }
        let generator = try LoadGenerator(port: server.port, connections: 4)
        let report = try generator.run(RepeatedRequests(requests(), count: 50), rate: 1000)
        #expect(report.answered == 50 && report.unsent == 0 && report.lost == 0)
        // However fast the answers come, the last moment lies 49 ms behind the first.
        #expect(report.seconds >= 0.049)
        #expect(report.latency.count == 50 && report.acceptedLatency.count == 50)
    }

    @Test func whatHasToWaitForAConnectionWaitsInItsTime() throws {
        let server = try StubServer { _ in .answer(StubServer.Answer(503)) }
        defer { server.stop() }
        let generator = try LoadGenerator(port: server.port, connections: 1)
        let report = try generator.run(
            RepeatedRequests(requests(), count: 10_000),
            rate: 1_000_000,
            stopAfterSeconds: 0.2
        )
        #expect(report.answered > 0 && report.statuses == [503: report.answered])
        #expect(report.acceptedLatency.count == 0)
        // A million a second do not go over one connection: the longest time is nearly that of the whole run.
        #expect(report.latency.maxNanoseconds > 1_000_000)
    }
}
