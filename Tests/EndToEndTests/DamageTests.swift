import SpringgTestKit
import Testing

extension EndToEnd {
    /// A data directory that is in use, or damaged.
    @Suite struct Damage {
        @Test func twoNodesNeverShareADirectory() throws {
            let api = try API()
            try api.createIndex("a", 1)
            let second = try NodeFixture(flags: ["data-path": api.node.dataPath])
            let result = try second.startExpectingExit()
            #expect(result.status == .exited(1), "\(result)")
            #expect(result.errors.contains(api.node.dataPath), "\(result)")
            let says = result.errors.lowercased()
            #expect(["in use", "lock", "another"].contains { says.contains($0) }, "\(result)")
            // The first one did not notice.
            #expect(try api.add("a", "x", [1]).status == 200)
            try api.crashAndRestart()
            #expect(try api.count("a") == 1)
        }

        /// A node whose log holds a hundred records, each with a text to find it by.
        private func filled(_ flags: [String: String] = [:]) throws -> API {
            let api = try API(flags)
            try api.createIndex("a", 16)
            for number in 100..<200 {
                let metadata = #"{"custom":{"marker":"marker-\#(number)-here"}}"#
                try api.add("a", "v\(number)", [Float](repeating: Float(number), count: 16), metadata: metadata)
            }
            return api
        }

        /// Segment and offset of a text in the log.
        private func place(of text: String, in node: NodeFixture) throws -> (segment: String, offset: Int) {
            let directory = node.dataPath + "/log"
            let pattern = Array(text.utf8)
            for name in try Files.list(directory) {
                let bytes = try Files.read(directory + "/" + name)
                var at = 0
                while let start = bytes[at...].firstIndex(of: pattern[0]) {
                    if bytes[start...].starts(with: pattern) { return (name, start) }
                    at = start + 1
                }
            }
            throw TestKitError("\(text) is nowhere in \(directory)")
        }

        @Test func aFlippedByteInTheMiddleStopsTheStartAndIsNamed() throws {
            let api = try filled()
            try api.stop()
            #expect(try Logdump.run("verify", api.node.dataPath).status == .exited(0))
            let (segment, offset) = try place(of: "marker-150-here", in: api.node)
            let path = api.node.dataPath + "/log/" + segment
            try Files.flip(path, offset: offset + 3, mask: 0x10)
            let damaged = try Files.read(path)

            for _ in 0..<2 {
                let result = try api.node.startExpectingExit()
                #expect(result.status == .exited(1), "\(result)")
                #expect(result.errors.contains(segment), "\(result)")
                let says = result.errors.lowercased()
                #expect(says.contains("offset") && says.contains("lsn"), "\(result)")
                #expect(says.contains("logdump"), "\(result)")
            }
            // Looking changes nothing: what is left of the record may be all there is.
            #expect(try Files.read(path) == damaged)
            let verdict = try Logdump.run("verify", api.node.dataPath)
            #expect(verdict.status == .exited(6), "\(verdict)")
            #expect((verdict.output + verdict.errors).contains(segment), "\(verdict)")

            try Files.flip(path, offset: offset + 3, mask: 0x10)
            try api.start()
            #expect(try api.count("a") == 100)
        }

        @Test func everyByteOfARecordIsGuarded() throws {
            // A small segment: what lies behind the damage is looked through each time.
            let api = try filled(["log-segment-mb": "1"])
            try api.stop()
            let before = try Logdump.digest(api.node.dataPath)
            let (segment, offset) = try place(of: "marker-150-here", in: api.node)
            let path = api.node.dataPath + "/log/" + segment
            // From the record before to the record behind: every frame, envelope and payload byte in between.
            let first = try place(of: "marker-149-here", in: api.node).offset
            let last = try place(of: "marker-151-here", in: api.node).offset
            #expect(first < offset && offset < last)
            for at in stride(from: first, through: last, by: 3) {
                try Files.flip(path, offset: at)
                #expect(try Logdump.run("verify", api.node.dataPath).status == .exited(6), "byte \(at)")
                try Files.flip(path, offset: at)
            }
            #expect(try Logdump.run("verify", api.node.dataPath).status == .exited(0))
            #expect(try Logdump.digest(api.node.dataPath) == before)
        }

        /// What was being written when the power went is no damage: some sectors of it are missing, and nothing behind it
        /// was ever promised.
        @Test func aTornTailIsCutAndTheNodeStarts() throws {
            let api = try filled()
            let ones = [Float](repeating: 1, count: 16)
            let long = String(repeating: "x", count: 4000)
            try api.add(
                "a",
                "torn",
                ones,
                metadata: #"{"custom":{"first":"torn-begins","long":"\#(long)","last":"torn-ends"}}"#
            )
            try api.node.kill()
            let (segment, start) = try place(of: "torn-begins", in: api.node)
            let end = try place(of: "torn-ends", in: api.node).offset
            let path = api.node.dataPath + "/log/" + segment
            var bytes = try Files.read(path)
            let whole = bytes
            // One sector lost from the middle, and everything from a sector on.
            for lost in [(start / 512 + 2) * 512..<(start / 512 + 3) * 512, (end / 512 - 1) * 512..<bytes.count] {
                bytes = whole
                for at in lost { bytes[at] = 0 }
                try Files.write(path, bytes)
                try api.start()
                #expect(try api.count("a") == 100)
                expect(try api.vector("a", "torn"), error: "vector torn not found", status: 404)
                // What is cut off is kept beside the log, and said.
                #expect(api.node.log.contains("torn"))
                #expect(try Files.list(api.node.dataPath + "/log").contains { $0.hasPrefix("torn-") })
                #expect(try api.add("a", "next", ones).status == 200)
                try api.crashAndRestart()
                #expect(try api.count("a") == 101)
                try api.node.kill()
                for name in try Files.list(api.node.dataPath + "/log") where name.hasPrefix("torn-") {
                    Files.removeTree(api.node.dataPath + "/log/" + name)
                }
            }
        }

        @Test func aMissingSegmentIsNotPassedOver() throws {
            let api = try API(["log-segment-mb": "1", "bulk-cpu-threshold-percent": "0"])
            try api.createIndex("a", 1024)
            for round in 0..<8 {
                let part = (0..<100).map { API.vectorBody("v\(round)-\($0)", [Float](repeating: 1, count: 1024)) }
                let body = #"{"vectors":[\#(part.joined(separator: ","))]}"#
                #expect(try api.post("/api/indexes/a/vectors/bulk", body).status == 200)
            }
            try api.stop()
            let segments = try Files.list(api.node.dataPath + "/log").filter { $0.hasSuffix(".seg") }
            try #require(segments.count >= 3)
            let path = api.node.dataPath + "/log/" + segments[1]
            let bytes = try Files.read(path)
            Files.removeTree(path)
            let result = try api.node.startExpectingExit()
            #expect(result.status == .exited(1), "\(result)")
            try Files.write(path, bytes)
            try api.start()
            #expect(try api.count("a") == 800)
        }

        @Test func aDirectoryThatCannotBeUsedIsAClearRefusal() throws {
            let node = try NodeFixture(flags: ["data-path": "/dev/null/data"])
            let result = try node.startExpectingExit()
            #expect(result.status == .exited(1), "\(result)")
            #expect(result.errors.contains("/dev/null/data"), "\(result)")
        }
    }
}
