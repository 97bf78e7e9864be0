import SpringgTestKit
import Testing

extension EndToEnd {
    @Suite struct MetricsTests {
        @Test func promtoolHasNothingToSayAboutTheMetrics() throws {
            let api = try API()
            try api.createIndex("a", 2)
            for number in 0..<20 { _ = try api.post("/api/indexes/a/vectors", #"{"id":"\#(number)","vector":[1,2]}"#) }
            _ = try api.post("/api/indexes/a/search", #"{"vector":[1,2]}"#)
            _ = try api.get("/nowhere")
            let text = try api.get("/metrics").body
            #expect(text.count > 2000)
            let program = RepositoryFiles.root + "/.build/agents/promtool"
            guard Files.exists(program) else { throw TestKitError("\(program) is not there: run make setup") }
            let directory = try TemporaryDirectory()
            let file = directory.path + "/metrics"
            try Files.write(file, text)
            let checked = try ChildProcess.run(
                "/bin/sh",
                ["-c", "exec '\(program)' check metrics < '\(file)'"],
                environment: ["PATH": "/usr/bin:/bin"],
                workingDirectory: directory.path
            )
            #expect(checked.status == .exited(0), "\(checked)")
            #expect(checked.output.isEmpty && checked.errors.isEmpty, "\(checked)")
        }
    }
}
