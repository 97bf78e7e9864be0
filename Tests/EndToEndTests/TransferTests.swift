import Glibc
import SpringgTestKit
import Testing

extension EndToEnd {
    /// `springg import` and `springg export`, as an operator runs them.
    @Suite struct Transfer {
        /// The fixture's 5,000 real vectors as a NumPy array of float16 and a list of ids.
        private func writeFixture(into directory: String) throws -> FixtureVectors {
            let fixtures = RepositoryFiles.root + "/Fixtures"
            let vectors = try FixtureVectors(directory: fixtures)
            var text = "{'descr': '<f2', 'fortran_order': False, 'shape': (\(vectors.rows.count), 384), }"
            text += String(repeating: " ", count: 117 - text.utf8.count) + "\n"
            let header = [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0] + Array(text.utf8)
            try Files.write(directory + "/glosses.npy", header + Files.read(fixtures + "/base.f16"))
            try Files.write(directory + "/glosses.ids.txt", Array((vectors.ids.joined(separator: "\n") + "\n").utf8))
            return vectors
        }

        private func expectDone(_ result: CommandResult, _ text: String = "") {
            #expect(result.status == .exited(0) && result.output.contains(text), "\(result)")
            #expect(result.errors.isEmpty, "\(result)")
        }

        private func files(_ directory: String) throws -> [String: [UInt8]] {
            var content: [String: [UInt8]] = [:]
            for name in try Files.list(directory) { content[name] = try Files.read(directory + "/" + name) }
            return content
        }

        @Test func whatIsImportedIsFoundAndComesOutAsItWentIn() throws {
            let node = try NodeFixture()
            let vectors = try writeFixture(into: node.directory)
            let array = node.directory + "/glosses.npy"
            expectDone(try node.run(["import", array, "--data-path", node.dataPath]), "5000 added")
            let digest = try Logdump.digest(node.dataPath)
            expectDone(try node.run(["import", array, "--data-path", node.dataPath]), "5000 there already")
            #expect(try Logdump.digest(node.dataPath) == digest)

            try node.start()
            let client = node.client()
            for (query, truth) in zip(vectors.queries, vectors.groundTruth).prefix(20) {
                let numbers = query.map { "\($0)" }.joined(separator: ",")
                let answer = try client.request(
                    "POST",
                    "/api/indexes/glosses/search",
                    json: "{\"vector\":[\(numbers)],\"k\":1}"
                )
                let best = try JSONValue(answer.body)["data"]?.array?.first?["id"]?.string
                #expect(best == vectors.ids[truth[0]])
            }
            // Beside the server that serves the directory.
            for format in ["npy", "jsonl", "springg1"] {
                let out = node.directory + "/" + format
                let export = ["export", "glosses", "--format", format, "--out", out, "--data-path", node.dataPath]
                expectDone(try node.run(export), "5000 vectors")
                let again = try node.run(export)
                #expect(again.status == .exited(1) && again.errors.contains("--force"), "\(again)")
                expectDone(try node.run(export + ["--force"]), "5000 vectors")
                #expect(try Files.list(out).allSatisfy { !$0.hasSuffix(".unfinished") })
            }
            #expect(try node.terminate() == .exited(0))

            let expected = try files(node.directory + "/npy")
            for format in ["jsonl", "springg1"] {
                let (copy, out) = (node.directory + "/copy-" + format, node.directory + "/again-" + format)
                expectDone(
                    try node.run(["import", node.directory + "/" + format, "--data-path", copy]),
                    "5000 added"
                )
                expectDone(
                    try node.run(["export", "--format", "npy", "--out", out, "--data-path", copy]),
                    "5000 vectors"
                )
                #expect(try files(out) == expected, "\(format)")
            }
        }

        @Test func anImportThatIsKilledGoesOnWhenItIsRunAgain() throws {
            var random = SeededRandom.fromEnvironment("anImportThatIsKilledGoesOnWhenItIsRunAgain")
            let node = try NodeFixture()
            _ = try writeFixture(into: node.directory)
            let arguments = ["import", node.directory + "/glosses.npy", "--data-path", node.dataPath]
            var kills = 0
            for _ in 0..<8 {
                let child = try ChildProcess(
                    executable: BuiltProgram.path("springg"),
                    arguments: arguments,
                    environment: node.environment,
                    workingDirectory: node.directory
                )
                // All rows are 8 MB: before the first of them, or somewhere among them.
                let bytes = Int.random(in: 0..<2_500_000, using: &random)
                while child.isRunning {
                    guard let usage = try? ProcessUsage(pid: child.pid), usage.writtenBytes < bytes else { break }
                }
                child.send(signal: SIGKILL)
                if try child.wait(seconds: 60) == .signalled(SIGKILL) { kills += 1 }
            }
            print("killed \(kills) imports")
            #expect(kills > 0)
            expectDone(try node.run(arguments), "5000 vectors")
            let result = try node.run(arguments)
            expectDone(result, "0 added, 0 replaced, 5000 there already")
            let verdict = try Logdump.run("verify", node.dataPath)
            #expect(verdict.status == .exited(0), "\(verdict)")
            let other = node.directory + "/other"
            expectDone(try node.run(["import", arguments[1], "--data-path", other]), "5000 added")
            for (path, out) in [(node.dataPath, "/a"), (other, "/b")] {
                expectDone(
                    try node.run(["export", "--format", "springg1", "--out", node.directory + out, "--data-path", path])
                )
            }
            #expect(try files(node.directory + "/a") == files(node.directory + "/b"))
        }

        @Test func flawedFilesAreListedAndNothingIsTouched() throws {
            let node = try NodeFixture()
            let path = node.directory + "/a.jsonl"
            let lines = [#"{"id":"x","vector":[1,2]}"#, #"{"id":"y","vector":[1]}"#, "{"]
            try Files.write(path, Array(lines.joined(separator: "\n").utf8))
            let arguments = ["import", path, "--data-path", node.dataPath]
            let refused = try node.run(arguments)
            #expect(refused.status == .exited(6) && refused.output.isEmpty, "\(refused)")
            #expect(refused.errors.contains("\(path): line 2, byte 26: the vector has 1 dimensions"), "\(refused)")
            #expect(refused.errors.contains("line 3, byte 51") && refused.errors.contains("--skip-bad"), "\(refused)")
            #expect(!Files.exists(node.dataPath))
            #expect(try node.run(arguments + ["--dry-run"]).status == .exited(6))

            let skipping = try node.run(arguments + ["--skip-bad", "--json"])
            #expect(skipping.status == .exited(6) && skipping.errors.isEmpty, "\(skipping)")
            let report = try JSONValue(text: skipping.output)
            #expect(report["imported"]?.bool == true && report["flaws"]?.int == 2)
            let flaw = report["indexes"]?.array?.first?["flaws"]?.array?.first
            #expect(flaw?["line"]?.int == 2 && flaw?["offset"]?.int == 26, "\(skipping)")
            #expect(try Logdump.digest(node.dataPath).indexes["a"]?[1] == "1")
        }

        @Test func theDirectoryOfTheGoProgramIsTakenOver() throws {
            let node = try NodeFixture()
            let source = RepositoryFiles.root + "/Fixtures/transfer/go"
            expectDone(try node.run(["import", source, "--data-path", node.dataPath, "--dry-run"]), "in order")
            #expect(!Files.exists(node.dataPath))
            expectDone(try node.run(["import", source, "--data-path", node.dataPath]), "4 added")
            try node.start()
            let body = try node.client().request("GET", "/api/indexes/articles/vectors/d").body
            #expect(try JSONValue(body)["data"]?["metadata"]?["custom"]?["k"]?.string == "w")
            #expect(try node.client().request("GET", "/api/indexes/articles/vectors/gone").status == 404)
            // A directory that is served is not written to.
            let refused = try node.run(["import", source, "--data-path", node.dataPath])
            #expect(refused.status == .exited(1) && refused.errors.contains("in use"), "\(refused)")
            #expect(try node.terminate() == .exited(0))
        }

        @Test func wrongUsageIsRefused() throws {
            let node = try NodeFixture()
            try Files.write(node.directory + "/a.npy", [])
            try Files.write(node.directory + "/a.txt", [])
            try Files.write(node.directory + "/empty.jsonl", [])
            let data = ["--data-path", node.dataPath]
            for (arguments, status) in [
                (["import", "a.npy"], Int32(2)), (["import", "a.txt"], 2), (["import", "missing.bin"], 1),
                (["import", "empty.jsonl"], 1), (["import", "empty.jsonl", "--m", "3"], 2),
                (["import", "empty.jsonl", "--dimensions", "0"], 2), (["import", "empty.jsonl", "--index", "a/b"], 2),
                (["export", "--format", "csv", "--out", "x"], 2), (["export", "--format", "npy", "--out", "x"], 1),
            ] {
                let result = try node.run(arguments + data)
                #expect(result.status == .exited(status) && !result.errors.isEmpty, "\(arguments): \(result)")
                #expect(!Files.exists(node.dataPath), "\(arguments)")
            }
            expectDone(try node.run(["import", "empty.jsonl", "--dimensions", "7", "--m", "8"] + data), "0 added")
            let missing = try node.run(["export", "other", "--format", "npy", "--out", "x"] + data)
            #expect(missing.status == .exited(1) && missing.errors.contains("there are: empty"), "\(missing)")
        }

        @Test func aLargeFileIsReadInLittleMemory() throws {
            let node = try NodeFixture()
            let (rows, dimensions) = (20_000, 4096)
            var text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rows), \(dimensions)), }"
            text += String(repeating: " ", count: 117 - text.utf8.count) + "\n"
            let header = [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0] + Array(text.utf8)
            let path = node.directory + "/large.npy"
            try Files.write(path, header)
            // A hole: 328 MB that take no room.
            #expect(truncate(path, header.count + rows * dimensions * 4) == 0)
            let ids = (0..<rows).map { "\($0)\n" }.joined()
            try Files.write(node.directory + "/large.ids.txt", Array(ids.utf8))
            let child = try ChildProcess(
                executable: BuiltProgram.path("springg"),
                arguments: ["import", path, "--dry-run"],
                environment: node.environment,
                workingDirectory: node.directory
            )
            var most = 0
            while child.isRunning {
                if let usage = try? ProcessUsage(pid: child.pid) { most = max(most, usage.residentBytes) }
            }
            #expect(try child.wait(seconds: 60) == .exited(0))
            print("at most \(most >> 20) MB resident")
            #expect(most > 0 && most < 64 << 20)
        }
    }
}
