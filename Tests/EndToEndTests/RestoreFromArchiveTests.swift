import SpringgTestKit
import Testing

extension EndToEnd {
    /// What an archive brings back, as an operator has it back.
    @Suite(.serialized) struct RestoreFromArchive {
        /// Where nodes archive to.
        private final class Place {
            let url: String
            let environment: [String: String]
            /// Of a directory that is gone with this.
            private let directory: TemporaryDirectory?
            private let server: RealServer?

            init(_ kind: RealServer.Kind?) throws {
                if let kind {
                    let server = try RealServer(kind)
                    url = "s3://test-bucket/some/prefix"
                    environment = [
                        "AWS_ACCESS_KEY_ID": RealServer.keys.id, "AWS_SECRET_ACCESS_KEY": RealServer.keys.secret,
                        "SPRINGG_S3_ENDPOINT": server.endpoint,
                    ]
                    (self.server, directory) = (server, nil)
                } else {
                    let directory = try TemporaryDirectory()
                    url = "file://\(directory.path)/archive"
                    environment = [:]
                    (server, self.directory) = (nil, directory)
                }
            }
        }

        private func node(_ place: Place, _ flags: [String: String] = [:]) throws -> NodeFixture {
            let node = try NodeFixture(
                flags: ["s3-bucket": place.url, "s3-sync-interval": "1s"].merging(flags) { $1 }
            )
            node.environment.merge(place.environment) { $1 }
            return node
        }

        private func shell(_ command: String) throws {
            let result = try ChildProcess.run("/bin/sh", ["-c", command], environment: [:], workingDirectory: "/")
            try #require(result.status == .exited(0), "\(result)")
        }

        private func vector(_ number: Int) -> String {
            JSONValue.array(of: (0..<8).map { Float(number * 8 + $0) })
        }

        private func put(_ client: HTTPClient, _ index: String, _ number: Int, _ components: Int) throws {
            let body = #"{"id":"v\#(number)","vector":\#(vector(components)),"metadata":{"custom":{"n":\#(number)}}}"#
            #expect(try client.request("POST", "/api/indexes/\(index)/vectors", json: body).status == 200)
        }

        private func digest(_ client: HTTPClient) throws -> String {
            return try #require(try client.request("GET", "/api/stats").data()["digest"]?.string)
        }

        private func logdump(_ place: Place, _ arguments: String...) throws -> CommandResult {
            try ChildProcess.run(
                BuiltProgram.path("logdump"),
                arguments,
                environment: ["PATH": "/usr/bin:/bin"].merging(place.environment) { $1 },
                workingDirectory: "/"
            )
        }

        private func json(_ result: CommandResult) throws -> JSONValue {
            try #require(result.status == .exited(0), "\(result)")
            return try JSONValue(text: result.output)
        }

        @Test(
            "what was archived comes back when the data directory is lost, to any moment",
            arguments: [nil] + RealServer.Kind.allCases
        )
        func lostDirectory(kind: RealServer.Kind?) throws {
            let place = try Place(kind)
            let node = try node(place)
            try node.start()
            var client = node.client()
            #expect(try client.request("POST", "/api/indexes/a", json: #"{"dimensions":8}"#).status == 200)
            for number in 0..<200 { try put(client, "a", number, number) }
            for number in 0..<20 { try put(client, "a", number, number + 1) }
            #expect(try client.request("DELETE", "/api/indexes/a/vectors/v30").status == 200)
            let before = try digest(client)
            let marked = try client.request("POST", "/api/marks", json: #"{"name":"before-cleanup"}"#)
            #expect(marked.status == 200, "\(marked)")
            #expect(try client.request("DELETE", "/api/indexes/a").status == 200)
            #expect(try client.request("POST", "/api/indexes/a", json: #"{"dimensions":8}"#).status == 200)
            for number in 0..<10 { try put(client, "a", number, number + 7) }
            let live = try digest(client)
            try awaitArchived(client)
            try node.kill()
            try shell("rm -r \(node.dataPath)")

            // A look at the archive.
            let points = try json(node.run(["backups", "--from", place.url, "--json"]))
            #expect(points["marks"]?.array?.first?["name"]?.string == "before-cleanup")
            #expect(points["events"]?.int == 235)
            let check = try json(node.run(["backups", "verify", "--deep", "--from", place.url, "--json"]))
            #expect(check["digest"]?.string == live && check["events"]?.int == 235)
            #expect(try json(logdump(place, "verify", place.url, "--deep", "--json"))["digest"]?.string == live)
            #expect(try json(logdump(place, "stats", place.url, "--json"))["events"]?.int == 235)
            let history = try logdump(place, "history", place.url, "a", "v3", "--json")
            #expect(history.output.split(separator: "\n").count == 7, "\(history)")

            // The moment before the accident, into a directory of its own.
            let target = node.directory + "/restored"
            let arguments = ["restore", "--from", place.url, "--to", "before-cleanup", "--data-path", target, "--json"]
            let dry = try json(node.run(arguments + ["--dry-run"]))
            #expect(dry["last_included"]?["event"] != nil && !Files.exists(target))
            let done = try json(node.run(arguments))
            #expect(done["restored"]?["vectors"]?.int == 199 && done["restored"]?["digest"]?.string == before)
            #expect(try Logdump.run("verify", target, "--deep").status == .exited(0))
            #expect(try Logdump.digest(target).digest == before)

            // An empty node takes the newest state by itself.
            try node.start()
            client = node.client()
            #expect(node.log.contains("taking the state from the archive"))
            #expect(try digest(client) == live)
            try put(client, "a", 500, 500)
            let later = try digest(client)
            try awaitArchived(client)
            client.close()
            #expect(try node.terminate() == .exited(0))
            try node.start()
            #expect(try digest(node.client()) == later)
            // With what it wrote since as another origin.
            #expect(try json(logdump(place, "stats", place.url, "--json"))["origins"]?.array?.count == 2)
        }

        @Test("an archive that cannot be read is no reason to begin empty, unless told to")
        func unreadableArchive() throws {
            let place = try Place(nil)
            let node = try node(place)
            try node.start()
            #expect(try node.client().request("POST", "/api/indexes/a", json: #"{"dimensions":8}"#).status == 200)
            try put(node.client(), "a", 1, 1)
            try awaitArchived(node.client())
            try node.kill()
            try shell("rm -r \(node.dataPath)")
            // The manifests stay: what they name is gone.
            let archive = place.url.dropFirst(7)
            try shell("cd \(archive) && mkdir away && mv blocks segments away")
            let refused = try node.startExpectingExit()
            #expect(refused.status == .exited(1) && refused.errors.contains("--s3-bootstrap false"), "\(refused)")
            #expect(refused.errors.contains(".zst"))
            // What was begun is gone on with.
            #expect(Files.exists(node.dataPath + "/RESTORING"))
            try shell("cd \(archive) && mv away/* . && rmdir away")
            try node.start()
            #expect(try node.client().request("GET", "/api/indexes/a/stats").status == 200)
            try node.kill()
            try shell("rm -r \(node.dataPath)")
            try shell("cd \(archive) && mkdir away && mv blocks segments away")
            node.flags["s3-bootstrap"] = "false"
            try node.start()
            #expect(try node.client().request("GET", "/api/indexes/a/stats").status == 404)
        }

        @Test("a damaged log gets back from the archive what it has lost, and the refusal names the command")
        func damagedLog() throws {
            let place = try Place(nil)
            let node = try node(place)
            try node.start()
            let client = node.client()
            #expect(try client.request("POST", "/api/indexes/a", json: #"{"dimensions":8}"#).status == 200)
            for number in 0..<50 { try put(client, "a", number, number) }
            let live = try digest(client)
            try awaitArchived(client)
            try node.kill()
            let segment = node.dataPath + "/log/00000000000000000001.seg"
            var bytes = try Files.read(segment)
            for place in 3000..<4000 { bytes[place] ^= 0x55 }
            try Files.write(segment, bytes)
            try shell("rm -rf \(node.dataPath)/checkpoints")
            let refused = try node.startExpectingExit()
            let command = "logdump salvage \(node.dataPath) --archive \(place.url) --out \(node.dataPath).salvaged"
            #expect(refused.status == .exited(1) && refused.errors.contains(command), "\(refused)")
            let salvaged = try json(
                logdump(
                    place,
                    "salvage",
                    node.dataPath,
                    "--archive",
                    place.url,
                    "--out",
                    node.dataPath + ".salvaged",
                    "--json"
                )
            )
            #expect((salvaged["refetched"]?.int ?? 0) > 0 && salvaged["complete"] == .bool(true), "\(salvaged)")
            #expect(try Logdump.digest(node.dataPath + ".salvaged").digest == live)
        }

        @Test("what the Go program has saved to a bucket is imported")
        func goBucket() throws {
            let directory = try TemporaryDirectory()
            let node = try NodeFixture()
            func row(_ number: Int) -> String {
                #"{"id":"v\#(number)","vector":[\#(number), 1.5,-2e-3],"metadata":{"published_date":"2026-01-02"}}"#
            }
            let root = directory.path + "/bucket"
            try shell("mkdir -p \(root)/words/blocks")
            let blocks = [Array(0..<3), Array(3..<5)]
            for (number, rows) in blocks.enumerated() {
                let body = rows.map(row).joined(separator: ",\n  ")
                let text = "{\n \"block_index\": \(number),\n \"vectors\": [\(body)]\n}"
                try Files.write(root + "/words/blocks/block-00\(number).json", text.utf8)
            }
            let manifest =
                #"{"index_name":"words","total_count":5,"block_size":1000,"blocks":[{"block_index":0,"hash":"x"},{"block_index":1}]}"#
            try Files.write(root + "/words/manifest.json", manifest.utf8)
            let arguments = ["import", "file://" + root, "--data-path", node.dataPath, "--json"]
            let imported = try json(node.run(arguments))
            #expect(imported["imported"] == .bool(true), "\(imported)")
            try node.start()
            let client = node.client()
            #expect(try client.request("GET", "/api/indexes/words/stats").data()["count"]?.int == 5)
            let stored = try client.request("GET", "/api/indexes/words/vectors/v4").data()
            #expect(stored["vector"]?.array?.compactMap(\.double) == [4, 1.5, -0.002])
            try node.kill()

            // A block of another save.
            try Files.write(root + "/words/manifest.json", manifest.replacing("5", with: "6").utf8)
            let refused = try node.run(arguments)
            #expect(refused.status == .exited(1) && refused.errors.contains("says 6 vectors"), "\(refused)")
        }
    }
}
