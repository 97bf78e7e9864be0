import SpringgTestKit
import Testing

extension EndToEnd {
    /// `springg bench` against a real node.
    @Suite struct BenchTests {
        private func run(_ api: API, _ arguments: [String]) throws -> CommandResult {
            try api.node.run(
                ["bench", "--port", "\(api.node.port)", "--host", "127.0.0.1", "--duration", "0.4", "--warmup", "0.1"]
                    + arguments
            )
        }

        @Test func everyOperationIsMeasuredAndLeavesNothing() throws {
            let api = try API(["bulk-cpu-threshold-percent": "0"])
            for operation in ["search", "add", "get", "health"] {
                let result = try run(
                    api,
                    [
                        "--operation", operation, "--vectors", "300", "--dimensions", "16", "--connections", "3",
                        "--json",
                    ]
                )
                #expect(result.status == .exited(0), "\(result)")
                let report = try JSONValue(text: result.output)
                let answers = try #require(report["answers"]?.int)
                #expect(answers > 0 && report["errors"]?.int == 0 && report["loop"]?.string == "closed", "\(report)")
                #expect(report["statuses"]?["200"]?.int == answers)
                let (half, most) = (try #require(report["p50_ms"]?.double), try #require(report["p99.9_ms"]?.double))
                #expect(half > 0 && half <= most && most <= (report["max_ms"]?.double ?? 0))
            }
            #expect(try api.get("/api/indexes").data() == .array([]))
        }

        @Test func anOpenLoopKeepsItsPace() throws {
            let api = try API(["bulk-cpu-threshold-percent": "0"])
            let result = try run(
                api,
                ["--rate", "100", "--body", "binary", "--vectors", "50", "--dimensions", "4", "--json"]
            )
            let report = try JSONValue(text: result.output)
            // 0.4 s of 100 a second, however fast or slow the machine: each request has its moment, and is sent.
            #expect(report["answers"]?.int == 40 && report["loop"]?.string == "open", "\(result)")
        }

        @Test func whatIsNotThereIsAnErrorAndNotAResult() throws {
            let node = try NodeFixture()
            let port = try Socket.freePort()
            let result = try node.run(["bench", "--host", "127.0.0.1", "--port", "\(port)", "--operation", "health"])
            #expect(result.status == .exited(1) && result.errors.contains("cannot reach"), "\(result)")
            #expect(try node.run(["bench", "--connections", "0"]).status == .exited(2))
        }
    }
}
