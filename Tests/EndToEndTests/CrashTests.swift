import SpringgTestKit
import Testing

extension EndToEnd {
    /// What an acknowledgement is worth: writes under load, the process killed at random moments, and a look at what is
    /// left.
    @Suite struct Crash {
        private static let connections = 16
        private static let flags = ["max-concurrent-bulk-requests": "0", "bulk-cpu-threshold-percent": "0"]

        /// Reads all ids and compares them, the count and a search with the model.
        private func verify(_ api: API, _ workload: CrashWorkload) throws {
            let verification = CrashVerification(workload, connections: Self.connections)
            let generator = try LoadGenerator(port: api.node.port, connections: Self.connections)
            let report = try generator.run(verification)
            #expect(verification.failures == [])
            #expect(report.answered == workload.rows.count)
            #expect(try api.count(CrashWorkload.index) == workload.liveCount)
            let query = CrashWorkload.vector(id: 1, version: 1)
            let hits = try #require(try api.search(CrashWorkload.index, query, k: 50).data().array)
            #expect(hits.count == min(50, workload.liveCount))
            for hit in hits {
                let id = try #require(hit["id"]?.string)
                let number = try #require(Int(id.dropFirst("row/".count)))
                #expect(hit["metadata"]?["custom"]?["version"]?.int == Int(workload.rows[number].version))
            }
        }

        /// The whole log read at each start; and checkpoints written as fast as they can be, so that kills meet them.
        @Test(arguments: [("5m", 50), ("20ms", 15)])
        func killsUnderLoadLoseNothing(checkpointInterval: String, rounds: Int) throws {
            var random = SeededRandom.fromEnvironment("kill -9 under load")
            // Small segments, so that some of the kills meet a rotation.
            let api = try API(
                Self.flags.merging(["log-segment-mb": "1", "persistence-interval": checkpointInterval]) { $1 }
            )
            try api.createIndex(CrashWorkload.index, CrashWorkload.dimensions)
            let workload = CrashWorkload(
                ids: 3200,
                connections: Self.connections,
                random: SeededRandom(seed: random.next())
            )
            var starts: [Double] = []
            var lost = 0
            for _ in 0..<rounds {
                let generator = try LoadGenerator(port: api.node.port, connections: Self.connections)
                let node = api.node
                let report = try generator.run(
                    workload,
                    interruption: (
                        afterSeconds: Double.random(in: 0.02...0.5, using: &random), action: { node.crash() }
                    )
                )
                lost += report.lost
                try node.waitForExit(seconds: 10)
                // Now and then the recovery is killed as well, wherever it stands.
                while random.oneIn(3) {
                    _ = try? node.start(timeoutSeconds: Double.random(in: 0.001...0.1, using: &random))
                    if node.isRunning { try node.kill() }
                }
                starts.append(try api.start())
                try verify(api, workload)
            }
            #expect(workload.surprises == [])
            // Restored from a checkpoint or not, the node holds what its whole log replays to.
            let held = try api.get("/api/indexes/\(CrashWorkload.index)/stats").data()["digest"]?.string
            #expect(try Logdump.digest(api.node.dataPath).indexes[CrashWorkload.index]?.first == held)
            starts.sort()
            print(
                """
                kill -9 under load: \(workload.acknowledgedWrites) acknowledged writes, \(lost) unanswered, \
                \(workload.liveCount) vectors; start-up median \(starts[rounds / 2]) s, longest \(starts[rounds - 1]) s
                """
            )
        }

        @Test func sigtermUnderLoadLosesNothingAndIsQuick() throws {
            var random = SeededRandom.fromEnvironment("SIGTERM under load")
            let api = try API(Self.flags)
            try api.createIndex(CrashWorkload.index, CrashWorkload.dimensions)
            let workload = CrashWorkload(
                ids: 1600,
                connections: Self.connections,
                random: SeededRandom(seed: random.next())
            )
            for _ in 0..<5 {
                api.http.close()
                let generator = try LoadGenerator(port: api.node.port, connections: Self.connections)
                let node = api.node
                _ = try generator.run(
                    workload,
                    interruption: (
                        afterSeconds: Double.random(in: 0.05...0.4, using: &random),
                        action: { node.send(signal: Signals.terminate) }
                    )
                )
                var status: ProcessStatus?
                let seconds = try Monotonic.seconds { status = try node.waitForExit(seconds: 10) }
                #expect(status == .exited(0))
                print("SIGTERM under load: left \(seconds) s after the last answer")
                let before = try Logdump.digest(node.dataPath)
                try api.start()
                try verify(api, workload)
                try api.stop()
                #expect(try Logdump.digest(node.dataPath) == before)
                try api.start()
            }
            #expect(workload.surprises == [])
        }

        @Test func aSigtermRightBehindTheReadyLineIsAnOrderlyStop() throws {
            let node = try NodeFixture()
            for _ in 0..<20 {
                try node.start()
                #expect(try node.terminate() == .exited(0))
            }
        }

        /// Clients that keep their connections open and ask for nothing must not hold a stop up for long.
        @Test func idleConnectionsDoNotHoldAStopUp() throws {
            let api = try API()
            let idle = (0..<20).map { _ in api.node.client() }
            for client in idle { #expect(try client.request("GET", "/api/health").status == 200) }
            let seconds = try Monotonic.seconds {
                let status = try api.node.terminate(timeoutSeconds: 10)
                #expect(status == .exited(0))
            }
            for client in idle { #expect(client.isClosedByServer(withinSeconds: 5)) }
            print("SIGTERM with 20 idle connections: left after \(seconds) s")
        }

        @Test func aSecondSigtermLeavesAtOnce() throws {
            let api = try API(["shutdown-grace": "1m", "read-timeout": "2m", "request-timeout": "2m"])
            try api.createIndex("a", 2)
            try api.add("a", "x", [1, 2])
            // A request that never becomes whole: the node waits for it as long as it is told to. The 100 says that it is
            // under way.
            let slow = api.node.client()
            try slow.send(
                "POST /api/indexes/a/vectors HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
            )
            try slow.waitForInput()
            api.http.close()
            api.node.send(signal: Signals.terminate)
            // Refused connections show that the first signal has arrived.
            let deadline = Deadline(seconds: 10)
            while (try? HTTPClient(port: api.node.port).connect()) != nil, !deadline.isOver {}
            #expect(api.node.isRunning)
            // As often as somebody without patience would press the keys: two signals within a moment count as one.
            let seconds = Monotonic.seconds {
                while api.node.isRunning, !deadline.isOver { api.node.send(signal: Signals.terminate) }
            }
            #expect(try api.node.waitForExit(seconds: 10) != .exited(0))
            print("second SIGTERM: left after \(seconds) s")
            try api.start()
            try expect(api.vector("a", "x"), data: #"{"id":"x","vector":[1,2]}"#)
        }

        @Test func everythingReadsTheSameAfterARestart() throws {
            var random = SeededRandom.fromEnvironment("state over restarts")
            let api = try API(Self.flags)
            for number in 0..<4 { try api.createIndex("index-\(number)", 8 << number) }
            for round in 0..<400 {
                let index = Int.random(in: 0..<4, using: &random)
                let id = "v\(Int.random(in: 0..<60, using: &random))"
                if random.oneIn(5) {
                    try api.remove("index-\(index)", id)
                } else {
                    let metadata = random.oneIn(2) ? #"{"custom":{"round":\#(round)}}"# : nil
                    try api.add("index-\(index)", id, random.floats(8 << index), metadata: metadata)
                }
            }
            try api.delete("/api/indexes/index-3")
            func everything() throws -> [String] {
                var texts = [try api.get("/api/indexes").text]
                for number in 0..<3 {
                    for id in 0..<60 { texts.append(try api.vector("index-\(number)", "v\(id)").text) }
                    let query = [Float](repeating: 0.5, count: 8 << number)
                    texts.append(try api.search("index-\(number)", query, k: 100).text)
                }
                return texts
            }
            let before = try everything()
            try api.restart()
            #expect(try everything() == before)
            try api.crashAndRestart()
            #expect(try everything() == before)
            let shown = try (0..<3).map { try api.get("/api/indexes/index-\($0)/stats").data() }
            try api.stop()
            let digest = try Logdump.digest(api.node.dataPath)
            #expect(digest.indexes.keys.sorted() == ["index-0", "index-1", "index-2"])
            try api.start()
            #expect(try everything() == before)
            for (number, stats) in shown.enumerated() {
                let name = "index-\(number)"
                // What the running node held, what the log replays to, and what the node holds after that.
                let held = [try #require(stats["digest"]?.string), String(try #require(stats["count"]?.int))]
                #expect(digest.indexes[name] == held)
                #expect(try api.get("/api/indexes/\(name)/stats").data()["digest"] == stats["digest"])
            }
            try api.stop()
            #expect(try Logdump.digest(api.node.dataPath) == digest)
        }
    }
}
