import SpringgTestKit
import Synchronization
import Testing

extension EndToEnd {
    /// Marks, snapshots, restore and the past, as an operator uses them.
    @Suite struct History {
        /// A running node with an index of `count` vectors.
        private func filled(_ count: Int) throws -> API {
            let api = try API()
            try api.createIndex("a", 8)
            for number in 0..<count { try api.add("a", "v\(number)", vector(number)) }
            return api
        }

        private func vector(_ number: Int) -> [Float] { (0..<8).map { Float(number * 8 + $0) } }

        private func run(_ api: API, _ arguments: [String]) throws -> CommandResult {
            try api.node.run(arguments)
        }

        /// `springg mark` with the running node's own settings.
        private func mark(_ api: API, _ arguments: String...) throws -> CommandResult {
            try api.node.run(
                ["mark", "--json", "--data-path", api.node.dataPath, "--bind-address", "127.0.0.1"]
                    + ["--port", String(api.node.port), "--require-jwt", "false"] + arguments
            )
        }

        private func digest(_ api: API, _ index: String) throws -> String {
            try #require(try api.get("/api/indexes/\(index)/stats").data()["digest"]?.string)
        }

        private func json(_ result: CommandResult) throws -> JSONValue {
            try #require(result.status == .exited(0), "\(result)")
            return try JSONValue(text: result.output)
        }

        /// A node on a restored directory.
        private func start(_ path: String, on api: API) throws -> API { try API(["data-path": path]) }

        @Test func anIndexDeletedByMistakeComesBackFromTheMark() throws {
            let api = try filled(40)
            let digest = try digest(api, "a")
            let marked = try json(mark(api, "before-cleanup"))
            #expect(marked["name"]?.string == "before-cleanup")
            #expect(try api.delete("/api/indexes/a").status == 200)
            try api.createIndex("a", 3)
            try api.add("a", "other", [1, 2, 3])

            // Beside the running node.
            let target = api.node.directory + "/restored"
            let arguments = [
                "restore", "--from", api.node.dataPath, "--to", "before-cleanup", "--data-path", target, "--json",
            ]
            let dry = try json(run(api, arguments + ["--dry-run"]))
            #expect(dry["last_included"]?["event"] == marked["event"])
            let next = try #require(dry["first_excluded"]?["lsn"]?.int)
            #expect(next == dry["last_included"]?["lsn"]?.int.map { $0 + 1 })
            #expect(!Files.exists(target))
            let done = try json(run(api, arguments))
            #expect(done["restored"]?["vectors"]?.int == 40)
            #expect(try Logdump.run("verify", target).status == .exited(0))
            let shown = try Logdump.run("show", target, "--json")
            #expect(shown.output.contains(#""kind":"mark""#) && shown.output.contains("before-cleanup"))

            // A second restore does not touch what is there.
            let again = try run(api, arguments)
            #expect(again.status == .exited(1) && again.errors.contains("not empty"), "\(again)")

            let restored = try start(target, on: api)
            #expect(try self.digest(restored, "a") == digest)
            #expect(try restored.hits("a", vector(7), k: 1) == ["v7"])
            #expect(try restored.add("a", "new", vector(99)).status == 200)
            try restored.crashAndRestart()
            #expect(try restored.count("a") == 41)
            #expect(try api.count("a") == 1)
            try restored.stop()
        }

        @Test func marksAreListedMovedOnlyOnRequestAndWorkWithoutAServer() throws {
            let api = try filled(1)
            let first = try json(mark(api, "one"))
            let refused = try mark(api, "one")
            #expect(refused.status == .exited(1) && refused.errors.contains("already exists"), "\(refused)")
            let moved = try json(mark(api, "one", "--move"))
            #expect(moved["event"] != first["event"])
            #expect(try mark(api, "latest").status == .exited(2))
            #expect(try api.post("/api/marks", #"{"name":"1st"}"#).status == 400)
            #expect(try api.post("/api/marks", #"{"name":"one"}"#).status == 409)
            #expect(try api.post("/api/marks", #"{"name":"two"}"#).status == 200)
            let names = try #require(try api.get("/api/marks").data().array).map { $0["name"]?.string }
            #expect(names == ["one", "two"])
            try api.stop()
            _ = try json(mark(api, "three"))
            let listed = try #require(try json(mark(api)).array).map { $0["name"]?.string }
            #expect(listed == ["one", "two", "three"])
            // The former place of a moved mark can still be named by its event.
            let event = try #require(first["event"]?.string)
            let dry = try json(
                run(api, ["restore", "--from", api.node.dataPath, "--to", event, "--dry-run", "--json"])
            )
            #expect(dry["last_included"]?["event"] == first["event"])
            try api.start()
            #expect(try #require(try api.get("/api/marks").data().array).count == 3)
            try api.stop()
        }

        @Test func thePastIsServedBesideTheLiveNodeAndTakesNoWrites() throws {
            let api = try filled(30)
            let digest = try digest(api, "a")
            _ = try json(mark(api, "then"))
            for number in 0..<20 { try api.remove("a", "v\(number)") }
            try api.createIndex("b", 2)

            let past = try API(["data-path": api.node.dataPath, "as-of": "then", "read-only": ""])
            #expect(try self.digest(past, "a") == digest)
            #expect(try past.hits("a", vector(3), k: 1) == ["v3"])
            #expect(try past.get("/api/indexes/b/stats").status == 404)
            #expect(try past.get("/api/health").status == 200)
            for refused in [
                try past.add("a", "x", vector(1)), try past.remove("a", "v1"), try past.delete("/api/indexes/a"),
                try past.createIndex("c", 2), try past.post("/api/marks", #"{"name":"no"}"#),
            ] {
                #expect(refused.status == 403, "\(refused)")
                #expect(refused.error?.contains("as of then") == true, "\(refused)")
            }
            // The live node has not noticed, and is not shown.
            #expect(try api.add("a", "later", vector(5)).status == 200)
            #expect(try past.vector("a", "later").status == 404)
            let now = try API(["data-path": api.node.dataPath, "read-only": ""])
            #expect(try now.vector("a", "later").status == 200)
            try past.stop()
            try now.stop()
            try api.crashAndRestart()
            #expect(try api.count("a") == 11)
            try api.stop()
        }

        @Test func aSnapshotIsMadeBesideTheServerCheckedAndRestored() throws {
            let api = try filled(300)
            let store = "file://" + api.node.directory + "/store"
            let create = ["snapshot", "create", "--data-path", api.node.dataPath, "--to", store, "--json"]
            let first = try json(run(api, create))
            #expect(first["vectors"]?.int == 300)
            _ = try api.update("a", "v17", vector(1000))
            let digest = try digest(api, "a")
            let second = try json(run(api, create))
            #expect(second["blocks_written"]?.int == 1)
            let list = try #require(try json(run(api, ["snapshot", "list", "--from", store, "--json"])).array)
            #expect(list.map { $0["id"] } == [first["id"], second["id"]])
            let verify = ["snapshot", "verify", "--from", store]
            #expect(try run(api, verify).status == .exited(0))

            let target = api.node.directory + "/restored"
            _ = try json(run(api, ["snapshot", "restore", "--from", store, "--data-path", target, "--json"]))
            #expect(try Logdump.run("verify", target).status == .exited(0))
            let restored = try start(target, on: api)
            #expect(try self.digest(restored, "a") == digest)
            #expect(try restored.add("a", "more", vector(2)).status == 200)
            try restored.crashAndRestart()
            #expect(try restored.count("a") == 301)
            try restored.stop()

            let blocks = api.node.directory + "/store/blocks"
            for name in try Files.list(blocks) { try Files.flip(blocks + "/" + name, offset: 40, mask: 1) }
            let damaged = try run(api, verify)
            #expect(damaged.status == .exited(6) && damaged.output.contains("SHA-256"), "\(damaged)")
            let refused = try run(api, ["snapshot", "restore", "--from", store, "--data-path", target + "-2"])
            #expect(refused.status == .exited(1) && refused.errors.contains("SHA-256"), "\(refused)")
            // What was begun says so, and is not started.
            let unfinished = try NodeFixture(flags: ["data-path": target + "-2"]).startExpectingExit()
            #expect(unfinished.status == .exited(1) && unfinished.errors.contains("not finished"), "\(unfinished)")
            try api.stop()
        }

        @Test func everySnapshotBesideAWriterHoldsWhatWasAcknowledgedBefore() throws {
            // Small segments and a short retention: files come and go while they are read.
            let api = try API([
                "log-segment-mb": "1", "log-retention-mb": "1", "log-retention": "1ms", "persistence-interval": "100ms",
                "bulk-cpu-threshold-percent": "0",
            ])
            try api.createIndex("a", 256)
            let acknowledged = Mutex(0)
            let stops = Mutex(false)
            let port = api.node.port
            let writer = try WorkerThread {
                let client = HTTPClient(port: port, headers: [], timeoutSeconds: 30)
                var number = 0
                while !stops.withLock({ $0 }) {
                    let items = (number..<number + 50).map {
                        API.vectorBody("v\($0)", [Float](repeating: Float($0), count: 256))
                    }
                    let body = #"{"vectors":[\#(items.joined(separator: ","))]}"#
                    guard (try? client.request("POST", "/api/indexes/a/vectors/bulk", json: body))?.status == 200 else {
                        return
                    }
                    number += 50
                    acknowledged.withLock { $0 = number }
                }
            }
            let store = "file://" + api.node.directory + "/store"
            let first = "00000000000000000001.seg"
            var rounds = 0
            while try rounds < 15 || (rounds < 300 && Files.list(api.node.dataPath + "/log").contains(first)) {
                rounds += 1
                let before = acknowledged.withLock { $0 }
                let made = try json(
                    run(api, ["snapshot", "create", "--data-path", api.node.dataPath, "--to", store, "--json"])
                )
                #expect(try #require(made["vectors"]?.int) >= before)
            }
            stops.withLock { $0 = true }
            writer.join()
            #expect(acknowledged.withLock { $0 } > 50)
            #expect(
                try !Files.list(api.node.dataPath + "/log").contains(first),
                "nothing was removed in \(rounds) rounds"
            )
            #expect(try run(api, ["snapshot", "verify", "--from", store]).status == .exited(0))
            #expect(try api.count("a") == acknowledged.withLock { $0 })
            try api.stop()
        }

        @Test func marksNeedAnAdministratorAndTheCommandIsOne() throws {
            let node = try NodeFixture(flags: ["require-jwt": "true"])
            node.environment["SPRINGG_JWT_SECRET"] = "a-secret-of-more-than-32-bytes-for-this-test"
            try node.start()
            let token = try node.run(["generate-jwt"]).output.filter { $0 != "\n" }
            let writer = node.client(token: token)
            #expect(try writer.request("POST", "/api/marks", json: #"{"name":"one"}"#).status == 403)
            #expect(try writer.request("GET", "/api/marks").status == 403)
            #expect(try node.client().request("GET", "/api/marks").status == 401)
            let arguments = ["--data-path", node.dataPath, "--bind-address", "127.0.0.1", "--port", String(node.port)]
            #expect(try node.run(["mark", "one"] + arguments).status == .exited(0))
            #expect(try node.run(["mark"] + arguments).output.hasPrefix("one  "))
            // With another secret it is nobody.
            let stranger = try node.run(
                ["mark", "two"] + arguments,
                environment: ["SPRINGG_JWT_SECRET": "another-secret-of-more-than-32-bytes-here"]
            )
            #expect(stranger.status == .exited(1) && stranger.errors.contains("token"), "\(stranger)")
            writer.close()
            #expect(try node.terminate() == .exited(0))
        }

        @Test func aTargetThatCannotBeReachedIsSaidSo() throws {
            let api = try filled(3)
            let from = ["restore", "--from", api.node.dataPath, "--dry-run", "--to"]
            #expect(try run(api, from + ["no-such-mark"]).errors.contains("there are no marks"))
            #expect(try run(api, from + ["2026-13-01T00:00:00Z"]).status == .exited(2))
            #expect(try run(api, from + [String(repeating: "ab", count: 16) + ":1"]).status == .exited(1))
            let nothing = try run(
                api,
                ["restore", "--from", api.node.directory + "/nothing", "--dry-run", "--to", "latest"]
            )
            #expect(nothing.status == .exited(1) && !nothing.errors.isEmpty, "\(nothing)")
            try api.stop()
        }
    }
}
