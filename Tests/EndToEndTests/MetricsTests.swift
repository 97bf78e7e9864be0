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
            try Self.check(try api.get("/metrics").text)
        }

        /// Whoever does not ask for it pays nothing, and sees nothing.
        @Test func processorTimeIsDividedWhenAsked() throws {
            for isAsked in [true, false] {
                let api = try API(isAsked ? ["measure-stages": "true"] : [:])
                try api.createIndex("a", 1024)
                let vector = [Float](repeating: 0.123_456_78, count: 1024)
                for number in 0..<20 {
                    try api.add("a", "\(number)", vector)
                    _ = try api.search("a", vector)
                }
                let text = try api.get("/metrics").text
                let name = "springg_request_cpu_seconds_total"
                let times = text.split(separator: "\n").filter { $0.hasPrefix(name + "{") }
                #expect(times.count == (isAsked ? 2 : 0), "\(times)")
                // Forty bodies of some ten kilobytes are read in no less than a few microseconds, and in no more than a second.
                for line in times {
                    let seconds = line.split(separator: " ").last.flatMap { Double($0) } ?? 0
                    #expect(seconds > 5e-6 && seconds < 1, "\(line)")
                }
                try Self.check(text)
            }
        }

        @Test func archiveAndPeersAreAmongThem() throws {
            let archive = try TemporaryDirectory()
            let nodes = try ReplicationTests.cluster(["a", "b"], ["s3-bucket": "file://\(archive.path)/archive"])
            _ = try nodes[0].createIndex("i", 2)
            func value(_ sample: String) throws -> Double? {
                let line = try nodes[0].get("/metrics").text.split(separator: "\n").first { $0.hasPrefix(sample + " ") }
                return line.flatMap { Double($0.dropFirst(sample.utf8.count + 1)) }
            }
            #expect(try comesTrue { try value(#"springg_cluster_peers{status="alive"}"#) == 2 })
            #expect(try comesTrue { try value("springg_cluster_members") == 2 })
            #expect(try value("springg_cluster_clock_refused") == 0)
            #expect(try comesTrue { try value(#"springg_peer_lag_events{node="b"}"#) == 0 })
            #expect(try value(#"springg_peer_diverged{node="b"}"#) == 0)
            #expect(try comesTrue { try value(#"springg_peer_unreachable{node="b"}"#) == 0 })
            // It is asked for at once, and a round is begun by whoever is asked.
            let answer = try nodes[0].post("/api/indexes/i/vectors?ack=s3", #"{"id":"x","vector":[1,2]}"#)
            #expect(answer.status == 200, "\(answer)")
            #expect(try comesTrue { try value("springg_s3_lag_events") == 0 })
            #expect(try value("springg_s3_rpo_seconds") == 0)
            #expect(try value("springg_s3_failing") == 0)
            #expect(try value("springg_s3_generation") ?? 0 >= 1)
            #expect(try value("springg_s3_last_success_timestamp_seconds") ?? 0 > 1_700_000_000)
            try Self.check(try nodes[0].get("/metrics").text)
        }

        private static func check(_ text: String) throws {
            #expect(text.count > 2000)
            let program = RepositoryFiles.root + "/.build/agents/promtool"
            guard Files.exists(program) else { throw TestKitError("\(program) is not there: run make setup") }
            let directory = try TemporaryDirectory()
            let file = directory.path + "/metrics"
            try Files.write(file, Array(text.utf8))
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
