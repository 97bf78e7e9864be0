import Glibc
import SpringgTestKit
import Testing

extension EndToEnd {
    /// What operators meet when the place of the archive is away, is another one, or dies under a restore.
    @Suite(.serialized) struct ArchiveOutages {
        private static let vectors = 12_000
        private static let dimensions = 1024

        /// A NumPy array of random vectors with their ids beside it.
        private func writeVectors(_ path: String) throws {
            var random = SeededRandom(seed: 11)
            var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(Self.vectors), \(Self.dimensions)), }"
            header += String(repeating: " ", count: 127 - 10 - header.utf8.count) + "\n"
            var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count & 0xFF), 0]
            bytes += Array(header.utf8)
            random.floats(Self.vectors * Self.dimensions).withUnsafeBytes { bytes += Array($0) }
            try Files.write(path + ".npy", bytes)
            try Files.write(path + ".ids.txt", (0..<Self.vectors).map { "v\($0)\n" }.joined().utf8)
        }

        private func archive(_ client: HTTPClient) throws -> JSONValue? {
            try client.request("GET", "/api/stats").data()["archive"]
        }

        private func digest(_ client: HTTPClient) throws -> String {
            try #require(try client.request("GET", "/api/stats").data()["digest"]?.string)
        }

        @Test(
            "an S3 server that is killed in the middle of a restore: the restore goes on when it is back, or is run again"
        )
        func killedServer() throws {
            let server = try RealServer(.seaweedFS)
            let node = try NodeFixture()
            try writeVectors(node.directory + "/a")
            let imported = try node.run(["import", node.directory + "/a.npy", "--data-path", node.dataPath])
            try #require(imported.status == .exited(0), "\(imported)")
            let url = "s3://test-bucket/kill"
            node.flags.merge(["s3-bucket": url, "s3-sync-interval": "1s"]) { $1 }
            node.environment.merge([
                "AWS_ACCESS_KEY_ID": RealServer.keys.id, "AWS_SECRET_ACCESS_KEY": RealServer.keys.secret,
                "SPRINGG_S3_ENDPOINT": server.endpoint,
            ]) { $1 }
            try node.start()
            let live = try digest(node.client())
            try awaitArchived(node.client())
            try node.kill()

            // Two restores, each held when objects have come and not all of them; then the server dies.
            let (patient, unlucky) = (node.directory + "/patient", node.directory + "/unlucky")
            let restores = try [patient, unlucky].map { try beginRestore(of: url, to: $0, node) }
            server.kill()
            // One goes on before the server is back: it gives up, and is run again.
            restores[1].send(signal: SIGCONT)
            #expect(try restores[1].wait(seconds: 60) == .exited(1))
            #expect(Files.exists(unlucky + "/RESTORING"))
            try server.restart()
            let again = try node.run(restore(of: url, to: unlucky))
            #expect(again.status == .exited(0), "\(again)")
            // The other finds it there again.
            restores[0].send(signal: SIGCONT)
            #expect(try restores[0].wait(seconds: 60) == .exited(0))
            for target in [patient, unlucky] {
                #expect(!Files.exists(target + "/RESTORING") && !Files.exists(target + "/fetched"))
                #expect(try Logdump.digest(target).digest == live)
            }
        }

        private func restore(of url: String, to target: String) -> [String] {
            ["restore", "--from", url, "--to", "latest", "--data-path", target]
        }

        /// Begins a restore, and stops its process as soon as it has fetched something.
        private func beginRestore(of url: String, to target: String, _ node: NodeFixture) throws -> ChildProcess {
            let process = try ChildProcess(
                executable: BuiltProgram.path("springg"),
                arguments: restore(of: url, to: target),
                environment: node.environment,
                workingDirectory: node.directory
            )
            let deadline = Deadline(seconds: 60)
            while (try? Files.list(target + "/fetched"))?.isEmpty ?? true {
                try #require(!deadline.isOver && process.isRunning)
                usleep(200)
            }
            process.send(signal: SIGSTOP)
            #expect(Files.exists(target + "/RESTORING"))
            return process
        }

        @Test(
            "a directory that is not mounted is not taken for a new archive; writes go on, and archiving does when it is back"
        )
        func notMounted() throws {
            let directory = try TemporaryDirectory()
            let place = directory.path + "/mount/archive"
            let node = try NodeFixture(flags: ["s3-bucket": "file://" + place, "s3-sync-interval": "1s"])
            try node.start()
            var client = node.client()
            #expect(try client.request("POST", "/api/indexes/a", json: #"{"dimensions":2}"#).status == 200)
            try awaitArchived(client)
            #expect(try node.terminate() == .exited(0))
            #expect(rename(directory.path + "/mount", directory.path + "/away") == 0)

            try node.start()
            client = node.client()
            #expect(try client.request("POST", "/api/indexes/b", json: #"{"dimensions":2}"#).status == 200)
            #expect(
                try comesTrue {
                    try archive(client)?["last_error"]?.string?
                        .contains("is not the archive that this node has been writing to") == true
                }
            )
            #expect(!Files.exists(directory.path + "/mount"), "nothing is made there")
            #expect(rename(directory.path + "/away", directory.path + "/mount") == 0)
            try awaitArchived(client)
            #expect(try node.terminate() == .exited(0))

            // An empty directory in its place, and the way out that the message names.
            #expect(rename(directory.path + "/mount", directory.path + "/old") == 0)
            #expect(mkdir(directory.path + "/mount", 0o755) == 0)
            try node.start()
            #expect(try node.client().request("POST", "/api/indexes/c", json: #"{"dimensions":2}"#).status == 200)
            #expect(try node.terminate() == .exited(0))
            #expect(try Files.list(directory.path + "/mount").isEmpty)
            #expect(unlink(node.dataPath + "/archive.json") == 0)
            try node.start()
            try awaitArchived(node.client())
            #expect(Files.exists(place + "/cluster.json"))
        }

        @Test(
            "an import into an empty directory beside an archive that has a state is refused, with the ways that there are"
        )
        func importBesideArchive() throws {
            let directory = try TemporaryDirectory()
            let url = "file://" + directory.path
            let node = try NodeFixture(flags: ["s3-bucket": url, "s3-sync-interval": "1s"])
            try node.start()
            #expect(try node.client().request("POST", "/api/indexes/a", json: #"{"dimensions":2}"#).status == 200)
            try awaitArchived(node.client())
            try node.kill()
            try Files.write(node.directory + "/b.jsonl", #"{"id":"x","vector":[1,2]}"#.utf8)
            let environment = ["SPRINGG_S3_BUCKET": url]
            let target = node.directory + "/other"
            let arguments = ["import", node.directory + "/b.jsonl", "--data-path", target]
            let refused = try node.run(arguments, environment: environment)
            #expect(refused.status == .exited(1) && refused.errors.contains("Start the server once"), "\(refused)")
            #expect(!Files.exists(target))
            // Where the node has been before, and where it is to begin apart.
            let beside = try node.run(
                ["import", node.directory + "/b.jsonl", "--data-path", node.dataPath],
                environment: environment
            )
            #expect(beside.status == .exited(0), "\(beside)")
            let apart = try node.run(
                arguments,
                environment: ["SPRINGG_S3_BUCKET": url, "SPRINGG_S3_BOOTSTRAP": "false"]
            )
            #expect(apart.status == .exited(0), "\(apart)")
        }

        @Test("old snapshots and needless blocks of a store are removed by command, those of an archive are not")
        func prune() throws {
            let directory = try TemporaryDirectory()
            let store = "file://" + directory.path + "/store"
            let node = try NodeFixture()
            try node.start()
            let client = node.client()
            #expect(try client.request("POST", "/api/indexes/a", json: #"{"dimensions":2}"#).status == 200)
            for number in 0..<3 {
                let body = #"{"id":"v","vector":[1,\#(number)]}"#
                #expect(try client.request("POST", "/api/indexes/a/vectors", json: body).status == 200)
                let made = try node.run(["snapshot", "create", "--data-path", node.dataPath, "--to", store])
                #expect(made.status == .exited(0), "\(made)")
            }
            #expect(try Files.list(directory.path + "/store/blocks").count == 3)
            let dry = try node.run(["snapshot", "prune", "--from", store, "--keep", "1", "--dry-run"])
            #expect(dry.status == .exited(0) && dry.output.contains("would remove 2 blocks"), "\(dry)")
            #expect(try Files.list(directory.path + "/store/blocks").count == 3)
            let pruned = try node.run(["snapshot", "prune", "--from", store, "--keep", "1", "--json"])
            let result = try JSONValue(text: pruned.output)
            #expect(result["blocks_removed"]?.int == 2 && result["removed"]?.array?.count == 2, "\(pruned)")
            #expect(try Files.list(directory.path + "/store/snapshots").count == 1)
            #expect(try node.run(["snapshot", "verify", "--from", store]).status == .exited(0))
            try Files.write(directory.path + "/store/cluster.json", "{}".utf8)
            let refused = try node.run(["snapshot", "prune", "--from", store])
            #expect(refused.status == .exited(1) && refused.errors.contains("it is an archive"), "\(refused)")
            #expect(try node.run(["snapshot", "prune", "--from", store, "--keep", "0"]).status == .exited(2))
        }
    }
}
