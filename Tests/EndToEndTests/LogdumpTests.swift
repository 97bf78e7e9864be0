import Glibc
import SpringgLog
import SpringgTestKit
import Testing

extension EndToEnd {
    /// The log as an audit trail, through the real tool on what the real node wrote.
    @Suite struct LogdumpCommands {
        /// Two indexes, two hundred events, several segments; the node runs.
        private func filled(_ flags: [String: String] = [:]) throws -> API {
            let api = try API(["log-segment-mb": "1"].merging(flags) { $1 })
            try api.createIndex("docs", 8)
            try api.createIndex("other", 2)
            for number in 0..<60 {
                try api.add(
                    "docs",
                    "v\(number)",
                    [Float](repeating: Float(number) + 0.5, count: 8),
                    metadata: #"{"custom":{"n":\#(number)}}"#
                )
            }
            for number in 0..<20 {
                #expect(try api.update("docs", "v\(number)", [Float](repeating: -1, count: 8)).status == 200)
            }
            for number in 0..<5 { try api.remove("docs", "v\(number)") }
            try api.add("other", "tab\there", [1, 2])
            return api
        }

        private func lines(_ result: CommandResult) throws -> [JSONValue] {
            try result.output.split(separator: "\n").map { try JSONValue(text: String($0)) }
        }

        @Test func showNamesTheTraceOfARequest() throws {
            let api = try API()
            try api.createIndex("docs", 8)
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            let traced = try api.http.request(
                "DELETE",
                "/api/indexes/docs",
                headers: [(name: "traceparent", value: trace)]
            )
            #expect(traced.status == 200)
            let shown = try lines(try Logdump.run("show", api.node.dataPath, "--json"))
            #expect(shown.map { $0["traceparent"]?.string } == [nil, trace])
            #expect(try Logdump.run("verify", api.node.dataPath).status == .exited(0))
            // Such an event is read back as any other.
            try api.crashAndRestart()
            #expect(try api.get("/api/indexes/docs/stats").status == 404)
        }

        @Test func showFiltersWhatItPrints() throws {
            let api = try filled()
            let path = api.node.dataPath
            let all = try lines(try Logdump.run("show", path, "--json"))
            #expect(all.count == 88)
            #expect(all.compactMap { $0["lsn"]?.int } == Array(1...88))
            func count(_ arguments: String...) throws -> Int {
                let result = try Logdump.run(["show", path, "--json"] + arguments)
                #expect(result.status == .exited(0), "\(result)")
                return try lines(result).count
            }
            #expect(try count("--index", "other") == 2)
            #expect(try count("--index", "docs", "--kind", "vectorDeleted") == 5)
            #expect(try count("--kind", "indexCreated", "--kind", "vectorDeleted") == 7)
            #expect(try count("--id", "v3") == 3)
            #expect(try count("--from", "10", "--to", "20") == 11)
            #expect(try count("--limit", "7") == 7)
            #expect(try count("--limit", "0") == 0)
            #expect(try count("--since", "1h") == 88)
            #expect(try count("--until", "1h") == 0)
            #expect(try count("--since", "2001-02-03") == 88)
            let origin = try #require(all[40]["origin"]?.string)
            let sequence = try #require(all[40]["sequence"]?.int)
            #expect(try count("--from", "\(origin):\(sequence)") == 48)
            #expect(try count("--origin", String(origin.prefix(6))) == 88)
            #expect(try count("--origin", "ffffffffffffffffffffffffffffffff") == 0)
            let time = try #require(all[40]["time"]?.string)
            #expect(try count("--since", time) + count("--until", time) >= 88)
            let full = try lines(
                try Logdump.run("show", path, "--json", "--id", "v7", "--vectors", "full", "--metadata")
            )
            #expect(full[0]["vector"]?.array?.count == 8)
            #expect(full[0]["metadata"]?["custom"]?["n"]?.int == 7)
            let head = try lines(try Logdump.run("show", path, "--json", "--id", "v7", "--vectors", "head"))
            #expect(head[0]["vector"]?.array?.count == 4)
            // A table stays a table, whatever an id holds.
            let table = try Logdump.run("show", path, "--index", "other").output.split(separator: "\n")
            #expect(table.allSatisfy { $0.split(separator: "\t", omittingEmptySubsequences: false).count == 9 })
        }

        @Test func standardInputAndSingleSegments() throws {
            let api = try filled()
            try api.stop()
            let path = api.node.dataPath
            let program = try BuiltProgram.path("logdump")
            let piped = try shell("cat \(path)/log/*.seg | \(program) show - --json")
            #expect(try lines(piped).count == 88)
            let segment = try #require(try Files.list(path + "/log").first { $0.hasSuffix(".seg") })
            let single = try Logdump.run("show", path + "/log/" + segment, "--json")
            #expect(single.status == .exited(0) && !single.output.isEmpty)
            #expect(try Logdump.run("verify", path + "/log/" + segment).status == .exited(0))
            #expect(try Logdump.run("verify", path + "/log").status == .exited(0))
        }

        @Test func statsCountEverything() throws {
            let api = try filled()
            let stats = try JSONValue(text: try Logdump.run("stats", api.node.dataPath, "--json").output)
            #expect(stats["events"]?.int == 88)
            let kinds = try #require(stats["kinds"]?.array)
            let counts = Dictionary(
                uniqueKeysWithValues: kinds.map { ($0["kind"]?.string ?? "", $0["events"]?.int ?? 0) }
            )
            #expect(counts == ["indexCreated": 2, "vectorPut": 81, "vectorDeleted": 5])
            #expect(stats["indexes"]?.array?.compactMap { $0["events"]?.int } == [86, 2])
            #expect(stats["origins"]?.array?.count == 1)
            for group in ["kinds", "indexes", "origins", "hours"] {
                let sum = try #require(stats[group]?.array).compactMap { $0["bytes"]?.int }.reduce(0, +)
                #expect(sum == stats["bytes"]?.int, "\(group)")
            }
            #expect(try Logdump.run("stats", api.node.dataPath).output.contains("amplification"))
        }

        @Test func historyTellsEveryVersion() throws {
            let api = try filled()
            func history(_ index: String, _ id: String) throws -> [JSONValue] {
                let result = try Logdump.run("history", api.node.dataPath, index, id, "--json")
                #expect(result.status == .exited(0), "\(result)")
                return try lines(result)
            }
            let deleted = try history("docs", "v2")
            #expect(
                deleted.compactMap { $0["kind"]?.string } == [
                    "indexCreated", "vectorPut", "vectorPut", "vectorDeleted",
                ]
            )
            #expect(deleted.compactMap { $0["outcome"]?.string } == ["in force", "replaced", "replaced", "won"])
            #expect(deleted.last?["now"]?.string == "deleted")
            let updated = try history("docs", "v9")
            #expect(updated.last?["now"]?.string == "visible")
            #expect(updated.last?["hlc"]?.string == updated[updated.count - 2]["hlc"]?.string)
            #expect(try history("docs", "never").last?["now"]?.string == "none")
            try api.delete("/api/indexes/docs")
            #expect(try history("docs", "v9").last?["now"]?.string == "none")
            #expect(try Logdump.run("conflicts", api.node.dataPath).status == .exited(0))
        }

        @Test func extractWritesWhatNumPyReads() throws {
            let api = try filled()
            let directory = try TemporaryDirectory()
            let file = directory.path + "/docs.npy"
            let result = try Logdump.run(
                "extract",
                api.node.dataPath,
                "--index",
                "docs",
                "--format",
                "npy",
                "--out",
                file
            )
            #expect(result.status == .exited(0), "\(result)")
            let bytes = try Files.read(file)
            #expect(bytes.count == 128 + 80 * 8 * 4)
            let header = String(decoding: bytes[10..<128], as: UTF8.self)
            #expect(header.hasPrefix("{'descr': '<f4', 'fortran_order': False, 'shape': (80, 8), }"))
            #expect(header.hasSuffix("\n"))
            let rows = try Files.read(file + ".jsonl")
            #expect(rows.split(separator: UInt8(ascii: "\n")).count == 80)
            // Vector 7 of the first round.
            let floats = bytes[(128 + 7 * 32)...].withUnsafeBytes { $0.loadUnaligned(as: Float.self) }
            #expect(floats == 7.5)
            #expect(
                try Logdump.run("extract", api.node.dataPath, "--format", "npy", "--out", file).status == .exited(1)
            )
            let mixed = directory.path + "/mixed.npy"
            let refused = try Logdump.run("extract", api.node.dataPath, "--format", "npy", "--out", mixed)
            #expect(refused.status == .exited(1) && refused.errors.contains("dimensions"), "\(refused)")
            #expect(!Files.exists(mixed))
            let json = try lines(try Logdump.run("extract", api.node.dataPath, "--id", "v9"))
            #expect(json.compactMap { $0["vector"]?.array?.count } == [8, 8])
        }

        @Test func diffAndReplayGoToAMoment() throws {
            let api = try filled()
            let path = api.node.dataPath
            let directory = try TemporaryDirectory()
            let out = directory.path + "/then"
            func diff(_ arguments: String...) throws -> (status: ProcessStatus, lines: [JSONValue]) {
                let result = try Logdump.run(["diff"] + arguments + ["--json"])
                #expect(result.errors.isEmpty, "\(result)")
                return (result.status, try lines(result))
            }
            // LSN 62 is the last of the first sixty vectors.
            let hlc = try #require(
                try lines(try Logdump.run("show", path, "--json", "--from", "62", "--limit", "1"))[0]["hlc"]?.string
            )
            for moment in ["62", hlc] {
                let found = try diff(path, "--old-at", moment)
                #expect(found.status == .exited(6))
                let summary = try #require(found.lines.last)
                #expect(summary["removed"]?.int == 5 && summary["changed"]?.int == 15 && summary["added"]?.int == 1)
                #expect(summary["equal"]?.int == 40 && summary["rewritten"]?.int == 0 && summary["indexes"]?.int == 0)
                #expect(
                    found.lines.filter { $0["change"]?.string == "removed" }.compactMap { $0["id"]?.string }
                        == (0..<5).map { "v\($0)" }
                )
            }
            #expect(try diff(path).status == .exited(0))
            let replayed = try Logdump.run("replay", path, "--to", "62", "--out", out, "--json")
            #expect(replayed.status == .exited(0), "\(replayed)")
            #expect(try Logdump.run("replay", path, "--to", "62", "--out", out).status == .exited(1))
            #expect(try Logdump.run("verify", out, "--deep").status == .exited(0))
            #expect(try diff(path, out, "--old-at", "62").status == .exited(0))
            let between = try #require(try diff(out, path).lines.last)
            #expect(between["removed"]?.int == 5 && between["changed"]?.int == 15 && between["added"]?.int == 1)
            let node = try NodeFixture(flags: ["data-path": out])
            try node.start()
            let stats = try node.client().request("GET", "/api/indexes/docs/stats").data()
            #expect(stats["count"]?.int == 60)
            #expect(try node.terminate() == .exited(0))
        }

        @Test func verifyDeepComparesWithCheckpoints() throws {
            let api = try filled()
            try api.stop()
            let path = api.node.dataPath
            let good = try Logdump.run("verify", path, "--deep", "--json")
            #expect(good.status == .exited(0), "\(good)")
            let document = try JSONValue(text: good.output)
            #expect(document["verdict"]?.string == "fine" && document["records"]?.int == 88)
            let checkpoints = try #require(document["checkpoints"]?.array)
            #expect(!checkpoints.isEmpty && checkpoints.allSatisfy { $0["verdict"]?.string == "equal" })
            #expect(document["digest"]?.string == (try Logdump.digest(path).digest))
            let rows = try #require(try Files.list(path + "/checkpoints").first { $0.hasSuffix(".index") })
            try Files.flip(path + "/checkpoints/" + rows, offset: 90)
            let bad = try Logdump.run("verify", path, "--deep")
            #expect(bad.status == .exited(6) && bad.output.contains("damaged"), "\(bad)")
        }

        /// What a person does when a node will not start: every step as the texts say it.
        @Test func damageIsShownSalvagedAndServedKnowingly() throws {
            var random = SeededRandom.fromEnvironment("salvage")
            let api = try filled()
            try api.node.kill()
            let path = api.node.dataPath
            let whole = try lines(try Logdump.run("show", path, "--json"))
            let checkpoints = try? Files.list(path + "/checkpoints")
            #expect((checkpoints ?? []).isEmpty)
            for round in 0..<6 {
                let segments = try Files.list(path + "/log").filter { $0.hasSuffix(".seg") }
                let segment = path + "/log/" + (try #require(segments.randomElement(using: &random)))
                let bytes = try Files.read(segment)
                let end = try #require(bytes.lastIndex { $0 != 0 }) + 1
                let offset = Int.random(in: 64..<end, using: &random)
                try Files.flip(segment, offset: offset)
                defer { try? Files.flip(segment, offset: offset) }

                let shown = try Logdump.run("show", path, "--json")
                #expect(shown.status == .exited(6), "byte \(offset): \(shown)")
                let found = try lines(shown)
                let lost = whole.filter { !found.contains($0) }
                // The frame's own bytes are not the event's: that one is shown too, with another "bytes" at most.
                #expect(lost.count <= 1 && found.count >= whole.count - 1, "byte \(offset) cost \(lost)")
                let verified = try Logdump.run("verify", path)
                #expect(verified.status == .exited(6), "\(verified)")
                #expect(verified.output.contains("salvage") || verified.output.contains("torn"), "\(verified)")
                let refused = try api.node.startExpectingExit()
                #expect(refused.status == .exited(1), "\(refused)")
                #expect(refused.errors.contains("logdump salvage \(path) --out \(path).salvaged"), "\(refused)")

                let out = path + ".salvaged\(round)"
                let salvaged = try Logdump.run("salvage", path, "--out", out, "--json")
                #expect(salvaged.status == .exited(lost.isEmpty ? 0 : 6), "\(salvaged)")
                let report = try JSONValue(text: salvaged.output)
                #expect(report["records"]?.int == found.count)
                #expect(try Logdump.run("verify", out).status == .exited(0))
                #expect(try Logdump.run("salvage", path, "--out", out).status == .exited(1))

                let node = try NodeFixture(flags: ["data-path": out])
                try node.start()
                if let lsn = lost.first?["lsn"]?.int, lsn < whole.count {
                    #expect(node.log.contains("events are missing in it: LSN \(lsn)"), "\(node.log)")
                }
                // It goes on writing, as another origin, and starts again.
                let response = try node.client().request(
                    "POST",
                    "/api/indexes/other/vectors",
                    json: #"{"id":"after","vector":[3,4]}"#
                )
                // Without the event that made the index there is none.
                let isIndexLost =
                    lost.first?["kind"]?.string == "indexCreated" && lost.first?["index"]?.string == "other"
                #expect(response.status == (isIndexLost ? 404 : 200), "\(response)")
                try node.kill()
                try node.start()
                #expect(try node.terminate() == .exited(0))
                if !isIndexLost {
                    let after = try #require(try lines(try Logdump.run("show", out, "--json", "--id", "after")).first)
                    #expect(after["origin"]?.string == report["origin"]?.string && after["sequence"]?.int == 1)
                }
            }
            try api.start()
        }

        @Test func followPrintsWhatIsWrittenAcrossRotations() throws {
            let api = try API(["log-segment-mb": "1", "bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 1024)
            let child = try ChildProcess(
                executable: try BuiltProgram.path("logdump"),
                arguments: ["show", api.node.dataPath, "--follow", "--json"],
                environment: ["PATH": "/usr/bin:/bin"],
                workingDirectory: "/"
            )
            let output = child.takeOutput()
            defer { close(output) }
            for round in 0..<6 {
                let part = (0..<100).map { API.vectorBody("v\(round)-\($0)", [Float](repeating: 1, count: 1024)) }
                let body = #"{"vectors":[\#(part.joined(separator: ","))]}"#
                #expect(try api.post("/api/indexes/a/vectors/bulk", body).status == 200)
            }
            #expect(try Files.list(api.node.dataPath + "/log").count { $0.hasSuffix(".seg") } >= 3)
            var text = ""
            var piece = [UInt8](repeating: 0, count: 1 << 16)
            while text.utf8.count(where: { $0 == UInt8(ascii: "\n") }) < 601 {
                var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
                try #require(poll(&entry, 1, 30_000) == 1, "nothing more came behind \(text.suffix(500))")
                let got = read(output, &piece, piece.count)
                try #require(got > 0, "the tool ended: \(text.suffix(500))")
                text += String(decoding: piece[..<got], as: UTF8.self)
            }
            let lsns = try text.split(separator: "\n").map { try JSONValue(text: String($0))["lsn"]?.int }
            #expect(lsns == Array(1...601))
            #expect(child.isRunning)
            child.send(signal: SIGTERM)
            #expect(try child.wait(seconds: 10) == .signalled(SIGTERM))
        }

        /// The newest bytes of a log that is being written are no damage.
        @Test func aLiveLogIsReadWithoutFalseAlarm() throws {
            let api = try API(["log-segment-mb": "1", "bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 256)
            let port = api.node.port
            let writer = try WorkerThread {
                let client = HTTPClient(port: port)
                for round in 0..<40 {
                    let part = (0..<50).map { API.vectorBody("v\(round)-\($0)", [Float](repeating: 1, count: 256)) }
                    _ = try? client.request(
                        "POST",
                        "/api/indexes/a/vectors/bulk",
                        json: #"{"vectors":[\#(part.joined(separator: ","))]}"#
                    )
                }
            }
            for _ in 0..<6 {
                let result = try Logdump.run("show", api.node.dataPath, "--json")
                #expect(result.status == .exited(0), "\(result.errors)")
                let lsns = try lines(result).compactMap { $0["lsn"]?.int }
                #expect(lsns == Array(1..<lsns.count + 1))
                let verified = try Logdump.run("verify", api.node.dataPath)
                #expect(verified.status == .exited(0), "\(verified)")
            }
            writer.join()
            #expect(try Logdump.run("verify", api.node.dataPath).output.contains("2001 records"))
        }

        @Test func aClosedPipeEndsItQuietly() throws {
            let api = try filled()
            let program = try BuiltProgram.path("logdump")
            // Several times more than a pipe holds.
            let show = "\(program) show \(api.node.dataPath) --json --vectors full || echo failed: $? >&2"
            let result = try shell("(for i in 1 2 3 4 5 6 7 8; do \(show); done) | head -n 1")
            #expect(result.output.split(separator: "\n").count == 1)
            #expect(result.errors.isEmpty, "\(result)")
        }

        @Test func exitCodesAndHelp() throws {
            for command in [
                "show", "verify", "stats", "history", "conflicts", "diff", "replay", "extract", "salvage", "digest",
            ] {
                let help = try Logdump.run(command, "--help")
                #expect(help.status == .exited(0) && help.output.contains("Examples:"), "\(help)")
            }
            for wrong in [
                ["show"], ["show", "/tmp", "--frob"], ["frob"], ["show", "-", "--from", "x"],
                ["show", "-", "--since", "soon"],
                ["show", "-", "--kind", "frob"], ["extract", "-", "--format", "npy"], ["salvage", "/tmp"],
                ["replay", "/tmp"],
                ["diff", "/tmp", "--old-at", "?"],
            ] {
                let result = try Logdump.run(wrong)
                #expect(result.status == .exited(2) && !result.errors.isEmpty, "\(wrong): \(result)")
            }
            let missing = try Logdump.run("show", "/nonexistent/log")
            #expect(missing.status == .exited(1) && missing.errors.contains("/nonexistent/log"), "\(missing)")
        }

        /// 200 MB of log in less than 100 MB of memory: the kernel refuses more.
        @Test func memoryDoesNotGrowWithTheLog() throws {
            let directory = try TemporaryDirectory()
            try writeLog(of: 200 << 20, in: directory.path + "/log")
            let program = try BuiltProgram.path("logdump")
            for command in ["stats", "verify", "show --limit 1", "history docs v1"] {
                let words = command.split(separator: " ", maxSplits: 1)
                let rest = words.count > 1 ? String(words[1]) : ""
                let result = try shell("ulimit -d 102400 && exec \(program) \(words[0]) \(directory.path) \(rest)")
                #expect(result.status == .exited(0) && !result.output.isEmpty, "\(command): \(result)")
            }
        }

        private func writeLog(of bytes: Int, in path: String) throws {
            var options = LogOptions()
            options.durability = .interval(milliseconds: 1000)
            let (_, writer, _) = try Log.open(
                directory: path,
                options: options,
                fileSystem: PosixFileSystem(),
                newOrigin: OriginID(high: 1, low: 1)
            ) { _ throws(LogError) in }
            let vector = [Float](repeating: 0.25, count: 1024)
            for number in 0..<bytes / 4300 {
                let event = Array("v\(number)".utf8).withUnsafeBytes { id in
                    vector.withUnsafeBufferPointer { vector in
                        EncodedEvent.vectorPut(
                            index: "docs",
                            id: id,
                            vector: vector,
                            metadata: UnsafeRawBufferPointer(start: nil, count: 0)
                        )
                    }
                }
                if !writer.hasRoom(forRecordBytes: event.recordBytes) { try writer.commit() }
                _ = try writer.stage(event, hlc: HLC(UInt64(number + 1) << 16), seen: .none)
            }
            try writer.commit()
            writer.close()
        }

        private func shell(_ command: String) throws -> CommandResult {
            try ChildProcess.run(
                "/bin/sh",
                ["-c", command],
                environment: ["PATH": "/usr/bin:/bin"],
                workingDirectory: "/"
            )
        }
    }
}
