import SpringgTestKit
import Testing

extension EndToEnd {
    /// The archive, as an operator sees it: a bucket or a directory fills, and the node says how far it is.
    @Suite struct Archive {
        @Test func everythingGoesToTheArchiveAndNothingTwice() throws {
            let directory = try TemporaryDirectory()
            let api = try API([
                "s3-bucket": "file://" + directory.path, "s3-sync-interval": "1s", "log-segment-mb": "1",
            ])
            try api.createIndex("a", 4)
            for number in 0..<50 { try api.add("a", "\(number)", [1, 2, 3, Float(number)]) }
            let archive = try awaitArchived(api.http)
            #expect(archive["last_error"] == .null && archive["place"]?.string == "file://" + directory.path)
            #expect(archive["s3_rpo_seconds"]?.double ?? 1 < 1)
            // What `zstd -d` makes of the segments is what logdump reads; both forms, and each event once.
            let origin = try #require(try api.get("/api/stats").data()["log"]?["origin"]?.string)
            let folder = directory.path + "/segments/" + origin
            var events = 0
            for name in try Files.list(folder).sorted() {
                let path = folder + "/" + name
                let plain = directory.path + "/plain"
                let unpacked = try ChildProcess.run(
                    "/usr/bin/zstd",
                    ["-d", "-f", "-q", path, "-o", plain],
                    environment: [:],
                    workingDirectory: "/"
                )
                #expect(unpacked.status == .exited(0))
                let (stored, content) = (try Logdump.run("show", path), try Logdump.run("show", plain))
                #expect(stored.status == .exited(0) && stored.output == content.output)
                // The first line names the columns.
                events += content.output.split(separator: "\n").count - 1
            }
            #expect(events == 51)
            // Rounds with nothing new change nothing, and a restart goes on where it was.
            let before = try Files.list(directory.path + "/manifests").sorted()
            try api.restart()
            try awaitArchived(api.http)
            #expect(try Files.list(directory.path + "/manifests").sorted() == before)
            try api.add("a", "more", [1, 2, 3, 4])
            #expect(try awaitArchived(api.http)["generation"]?.int ?? 0 > archive["generation"]?.int ?? 0)
            #expect(!api.node.log.contains("ERROR"))
        }

        @Test func aStoreThatIsAwayStopsNoWrites() throws {
            // A port at which nobody listens.
            let endpoint = "http://127.0.0.1:\(try Socket.freePort())"
            // A node that has data already: one without would begin with the archive's.
            let api = try API()
            try api.createIndex("b", 1)
            try api.stop()
            let node = api.node
            node.flags.merge(["s3-bucket": "some-bucket", "s3-endpoint": endpoint, "s3-sync-interval": "1s"]) { $1 }
            node.environment["AWS_ACCESS_KEY_ID"] = "id"
            node.environment["AWS_SECRET_ACCESS_KEY"] = "secret"
            try node.start()
            let http = node.client()
            #expect(try http.request("POST", "/api/indexes/a", json: #"{"dimensions":1}"#).status < 300)
            for number in 0..<20 {
                let body = #"{"id":"\#(number)","vector":[1]}"#
                #expect(try http.request("POST", "/api/indexes/a/vectors", json: body).status < 300)
            }
            let archive = try #require(try http.request("GET", "/api/stats").data()["archive"])
            #expect(archive["lag_events"]?.int == 22 && archive["generation"]?.int == 0)
            http.close()
            // Stops at once, although a request is under way.
            #expect(try node.terminate() == .exited(0))
        }

        @Test func whatCannotBeIsRefusedAtTheStart() throws {
            let node = try NodeFixture()
            let result = try node.run([
                "serve", "--s3-bucket", "a", "--require-jwt", "false", "--data-path", node.directory + "/data",
            ])
            #expect(result.status == .exited(1))
            #expect(result.errors.contains("a bucket's name has 3 to 63 letters"))
        }
    }
}
