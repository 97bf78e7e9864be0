import Glibc
import SpringgArchive
import SpringgLog
import SpringgTestKit
import Synchronization
import Testing

@Suite("An object store in a bucket")
struct S3StoreTests {
    @Test("keeps what every store promises, by requests that AWS would accept", arguments: ["", "some/pre fix+ü"])
    func contract(prefix: String) throws {
        let fixture = try StoreFixture(prefix: prefix)
        try StoreContract(store: fixture.store).check()
        #expect(fixture.fake.broken == [])
        #expect(fixture.pauses == [])
    }

    @Test("a large body goes in parts, is one object, and is checked as a whole")
    func parts() throws {
        let fixture = try StoreFixture { $0.partBytes = 64 << 10 }
        try StoreContract(store: fixture.store).check()
        #expect(fixture.fake.broken == [])
        #expect(
            fixture.fake.requests.contains { $0.hasPrefix("PUT") && $0.contains("partNumber=10&uploadId=upload%2F") }
        )
        #expect(fixture.fake.state.withLock { $0.uploads.isEmpty })
    }

    @Test("encryption is asked for with every object", arguments: [true, false])
    func encryption(inParts: Bool) throws {
        let fixture = try StoreFixture { options in
            options.encryption = .keyService(keyID: "arn:aws:kms:x:1:key/2")
            options.partBytes = inParts ? 10 : 1_000
        }
        try fixture.store.put(ObjectKey("a"), bytes: [UInt8](repeating: 1, count: 25))
        let headers = fixture.fake.state.withLock { $0.objects["some/prefix/a"]?.headers ?? [] }
        #expect(headers.contains { $0 == ("x-amz-server-side-encryption", "aws:kms") })
        #expect(headers.contains { $0 == ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:x:1:key/2") })
        #expect(fixture.fake.broken == [])
    }

    // MARK: - Faults that pass

    /// What can happen to any request and is over at the next.
    static let passing: [(name: String, fault: FakeS3.Fault)] = [
        ("500", { _, _ in .answer(FakeS3.error(500, "InternalError")) }),
        ("503", { _, _ in .answer(FakeS3.error(503, "ServiceUnavailable")) }),
        ("SlowDown", { _, _ in .answer(FakeS3.error(503, "SlowDown")) }),
        ("429", { _, _ in .answer(FakeS3.error(429, "TooManyRequests")) }),
        (
            "400",
            { request, operate in
                // S3 gives this to bodies that come too slowly; an answer to HEAD could not name it.
                .answer(request.method == "HEAD" ? operate() : FakeS3.error(400, "RequestTimeout"))
            }
        ),
        (
            "409",
            { request, operate in
                .answer(request.method == "HEAD" ? operate() : FakeS3.error(409, "ConditionalRequestConflict"))
            }
        ),
        ("502 without a document", { _, _ in .answer(StubServer.Answer(502, body: Array("<html>".utf8))) }),
        ("dropped before it was done", { _, _ in .drop }),
        (
            "done, and the answer lost",
            { _, operate in
                _ = operate(); return .drop
            }
        ),
        (
            "done, and a 500 said",
            { _, operate in
                _ = operate(); return .answer(FakeS3.error(500, "InternalError"))
            }
        ),
        ("answer without an end", { _, operate in .stall(operate(), after: 0) }),
    ]

    @Test(
        "a fault of one moment is not seen by the caller, at any request of any operation",
        arguments: passing.indices
    )
    func passingFaults(index: Int) throws {
        let (name, fault) = S3StoreTests.passing[index]
        // A stall is only over after a second of real time: fewer of them.
        let isSlow = name == "answer without an end"
        for position in 1... {
            let fixture = try StoreFixture(seed: UInt64(position)) { $0.partBytes = 1_000 }
            let counter = Mutex(0)
            let target = isSlow ? position * 8 : position
            fixture.fake.next(
                where: { _ in
                    counter.withLock {
                        $0 += 1; return $0 == target
                    }
                },
                fault
            )
            let store = fixture.store
            let large = (0..<3_500).map { UInt8(truncatingIfNeeded: $0 / 7) }
            try store.put(ObjectKey("large"), bytes: large)
            #expect(try store.putIfAbsent(ObjectKey("once"), bytes: [1, 2, 3]), "\(name) at \(target)")
            #expect(try store.putIfAbsent(ObjectKey("once, large"), bytes: large), "\(name) at \(target)")
            #expect(try store.read(ObjectKey("large"), limit: 10_000) == large)
            #expect(try store.read(ObjectKey("large"), .bytes(10..<3_000), limit: 10_000) == Array(large[10..<3_000]))
            #expect(try store.head(ObjectKey("once")).size == 3)
            #expect(try store.list(prefix: "", limit: 10).count == 3)
            try store.delete([ObjectKey("large"), ObjectKey("once, large")])
            try store.delete([ObjectKey("once")])
            #expect(fixture.fake.state.withLock { $0.objects.isEmpty })
            #expect(fixture.fake.broken == [])
            // Beyond the last request: every one of them has had its fault.
            if counter.withLock({ $0 }) < target { break }
        }
    }

    @Test("a download that breaks goes on where it broke, as often as it gets ahead")
    func brokenDownload() throws {
        let fixture = try StoreFixture()
        let key = try ObjectKey("large")
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        try fixture.store.put(key, bytes: bytes)
        fixture.fake.next(where: { $0.method == "GET" }, times: 12) { _, operate in .cut(operate(), after: 200_000) }
        #expect(try fixture.store.read(key, limit: bytes.count) == bytes)
        let gets = fixture.fake.requests.filter { $0.hasPrefix("GET") }
        #expect(gets.count == 13)
        #expect(fixture.fake.broken == [])
        // A range breaks and goes on too.
        fixture.fake.next(where: { $0.method == "GET" }, times: 2) { _, operate in .cut(operate(), after: 100_000) }
        #expect(try fixture.store.read(key, .bytes(17..<1_000_017), limit: bytes.count) == Array(bytes[17..<1_000_017]))
    }

    @Test("a download that never gets ahead ends")
    func hopelessDownload() throws {
        let fixture = try StoreFixture()
        let key = try ObjectKey("large")
        try fixture.store.put(key, bytes: [UInt8](repeating: 5, count: 1_000_000))
        fixture.fake.next(where: { $0.method == "GET" }, times: 100) { _, operate in .cut(operate(), after: 100) }
        #expect(throws: ObjectStoreError.self) { try fixture.store.read(key, limit: 1_000_000) }
        #expect(fixture.fake.requests.filter { $0.hasPrefix("GET") }.count == 8)
    }

    @Test("an object that is replaced in the middle of a download is not mixed with the old one")
    func replacedInTheMiddle() throws {
        let fixture = try StoreFixture()
        let key = try ObjectKey("large")
        try fixture.store.put(key, bytes: [UInt8](repeating: 1, count: 500_000))
        fixture.fake.next(where: { $0.method == "GET" }) { [fake = fixture.fake] _, operate in
            let answer = operate()
            fake.state.withLock { $0.objects["some/prefix/large"]?.tag = "\"another\"" }
            return .cut(answer, after: 300_000)
        }
        #expect(throws: ObjectStoreError.changed(at: fixture.store.path(of: key))) {
            try fixture.store.read(key, limit: 500_000)
        }
    }

    @Test("bytes that the store did not keep as they were are noticed")
    func damaged() throws {
        let fixture = try StoreFixture()
        let key = try ObjectKey("a")
        try fixture.store.put(key, bytes: [1, 2, 3])
        fixture.fake.next { _, operate in
            var answer = operate()
            answer.body[1] ^= 4
            return .answer(answer)
        }
        #expect {
            try fixture.store.read(key, limit: 3)
        } throws: { error in
            if case .damaged? = error as? ObjectStoreError { true } else { false }
        }
    }

    @Test("a store that knows no ranges is not believed to have sent one")
    func noRanges() throws {
        let fixture = try StoreFixture()
        let key = try ObjectKey("a")
        try fixture.store.put(key, bytes: [1, 2, 3])
        fixture.fake.next { _, operate in
            var answer = operate()
            answer.status = 200
            return .answer(answer)
        }
        #expect {
            try fixture.store.read(key, .bytes(0..<2), limit: 3)
        } throws: { error in
            if case .unsupported? = error as? ObjectStoreError { true } else { false }
        }
    }

    // MARK: - Faults that stay

    @Test(
        "patience ends, with an error that says so",
        arguments: [
            (
                503, "SlowDown",
                ObjectStoreError.throttled(at: "s3://test-bucket/some/prefix/a", "503 SlowDown: As asked")
            ),
            (500, "InternalError", .unavailable(at: "s3://test-bucket/some/prefix/a", "500 InternalError: As asked")),
        ]
    )
    func patience(status: Int, code: String, error: ObjectStoreError) throws {
        let fixture = try StoreFixture { $0.attemptsMax = 5 }
        fixture.fake.refuse(status: status, code: code, times: 100)
        #expect(throws: error) { try fixture.store.put(ObjectKey("a"), bytes: [1]) }
        #expect(error.isTransient)
        #expect(fixture.fake.requests.count == 5)
        // Each pause is at least half of a bound that doubles.
        #expect(fixture.pauses.filter { $0 > 0 }.count >= 4)
    }

    @Test("a store that asks for a rest gets it from every caller")
    func retryAfter() throws {
        let fixture = try StoreFixture()
        fixture.fake.refuse(status: 503, code: "SlowDown", [("Retry-After", "7")])
        try fixture.store.put(ObjectKey("a"), bytes: [1])
        #expect(fixture.pauses.reduce(0, +) >= 7_000)
    }

    @Test(
        "refusals that no repetition would change are reported at once",
        arguments: [
            (
                403, "AccessDenied",
                ObjectStoreError.accessDenied(at: "s3://test-bucket/some/prefix/a", "403 AccessDenied: As asked")
            ),
            (404, "NoSuchBucket", .storeNotFound("bucket test-bucket")),
            (403, "QuotaExceeded", .full(at: "s3://test-bucket/some/prefix/a", "403 QuotaExceeded: As asked")),
            (501, "NotImplemented", .unsupported("s3://test-bucket/some/prefix/a", "501 NotImplemented: As asked")),
        ]
    )
    func refusals(status: Int, code: String, error: ObjectStoreError) throws {
        let fixture = try StoreFixture()
        fixture.fake.refuse(status: status, code: code)
        #expect(throws: error) { try fixture.store.put(ObjectKey("a"), bytes: [1]) }
        #expect(fixture.fake.requests.count == 1)
        #expect(fixture.pauses == [])
    }

    @Test("a bucket elsewhere is answered with the setting to change")
    func otherRegion() throws {
        let fixture = try StoreFixture()
        fixture.fake.refuse(status: 301, code: "PermanentRedirect", [("x-amz-bucket-region", "ap-south-1")])
        #expect {
            try fixture.store.put(ObjectKey("a"), bytes: [1])
        } throws: { error in
            "\(error)".contains("ap-south-1: set s3_region")
        }
    }

    @Test("an upload in parts that fails for good is dropped")
    func aborted() throws {
        let fixture = try StoreFixture { $0.partBytes = 10 }
        fixture.fake.next(where: { $0.target.contains("partNumber=3&") }) { _, _ in
            .answer(FakeS3.error(403, "AccessDenied"))
        }
        #expect(throws: ObjectStoreError.self) {
            try fixture.store.put(ObjectKey("a"), bytes: [UInt8](repeating: 1, count: 45))
        }
        #expect(fixture.fake.state.withLock { $0.uploads.isEmpty && $0.objects.isEmpty })
        #expect(fixture.fake.requests.last?.hasPrefix("DELETE") == true)
    }

    @Test("what a killed upload left is dropped once it is old, and nothing else")
    func leftovers() throws {
        let fixture = try StoreFixture()
        fixture.fake.state.withLock { state in
            let old = FakeS3.start - 10_000
            state.uploads["1"] = FakeS3.Upload(key: "some/prefix/a", headers: [], begunSeconds: old)
            state.uploads["2"] = FakeS3.Upload(key: "some/prefix/b", headers: [], begunSeconds: FakeS3.start - 10)
            state.uploads["3"] = FakeS3.Upload(key: "some/prefixed/c", headers: [], begunSeconds: old)
        }
        #expect(try fixture.store.removeLeftovers(olderThanSeconds: 3_600) == 1)
        #expect(fixture.fake.state.withLock { $0.uploads.keys.sorted() } == ["2", "3"])
        #expect(fixture.fake.broken == [])
    }

    @Test("an upload that ends in an error after it began with 200 is no success")
    func errorInSuccess() throws {
        let fixture = try StoreFixture { $0.partBytes = 10 }
        fixture.fake.next(where: { $0.method == "POST" && $0.query.hasPrefix("uploadId=") }) { _, _ in
            .answer(StubServer.Answer(200, body: FakeS3.error(200, "InternalError").body))
        }
        try fixture.store.put(ObjectKey("a"), bytes: [UInt8](repeating: 1, count: 25))
        #expect(try fixture.store.read(ObjectKey("a"), limit: 25) == [UInt8](repeating: 1, count: 25))
    }

    @Test("a server that is killed makes calls fail, not hang")
    func killed() throws {
        let fixture = try StoreFixture { $0.attemptsMax = 2 }
        try fixture.store.put(ObjectKey("a"), bytes: [1])
        fixture.fake.stop()
        #expect {
            try fixture.store.read(ObjectKey("a"), limit: 1)
        } throws: { error in
            (error as? ObjectStoreError)?.isTransient == true
        }
    }

    @Test("closing ends a call that hangs")
    func closing() throws {
        let fixture = try StoreFixture { $0.stallTimeoutSeconds = 600 }
        try fixture.store.put(ObjectKey("a"), bytes: [1])
        let arrived = Semaphore()
        fixture.fake.next { _, operate in
            arrived.signal()
            return .stall(operate(), after: 0)
        }
        let result = Mutex<ObjectStoreError?>(nil)
        let store = fixture.store
        let key = try ObjectKey("a")
        let thread = try WorkerThread {
            do throws(ObjectStoreError) {
                _ = try store.read(key, limit: 1)
            } catch {
                result.withLock { $0 = error }
            }
        }
        arrived.wait()
        store.close()
        thread.join()
        #expect(result.withLock { $0 } == .closed)
    }

    // MARK: - Clock, credentials, conditions

    @Test("a clock that is hours off is corrected by the store's", arguments: [-7_200, 7_200])
    func clock(offset: Int) throws {
        let fixture = try StoreFixture()
        fixture.fake.state.withLock { $0.seconds += offset }
        let key = try ObjectKey("a")
        // HEAD has no body that could name the reason.
        #expect(try !fixture.store.exists(key))
        try fixture.store.put(key, bytes: [1])
        #expect(try fixture.store.read(key, limit: 1) == [1])
        #expect(fixture.fake.requests.count == 4)
    }

    @Test("a store whose clock makes no sense is not chased")
    func senselessClock() throws {
        let fixture = try StoreFixture()
        fixture.fake.refuse(status: 403, code: "RequestTimeTooSkewed", times: 10, [("Date", FakeS3.httpDate(0))])
        #expect(throws: ObjectStoreError.self) { try fixture.store.put(ObjectKey("a"), bytes: [1]) }
        #expect(fixture.fake.requests.count == 2)
    }

    @Test("a store that ignores conditions is found out")
    func probe() throws {
        let fixture = try StoreFixture()
        #expect(try fixture.store.honoursIfAbsent())
        #expect(try fixture.store.honoursIfAbsent())
        fixture.fake.state.withLock { $0.ignoresConditions = true }
        #expect(try !fixture.store.honoursIfAbsent())
        let directory = try TemporaryDirectory()
        #expect(try DirectoryStore(path: directory.path, createIfMissing: false).honoursIfAbsent())
    }

    @Test("names in the bucket that are nobody's keys are left alone and counted")
    func foreign() throws {
        let fixture = try StoreFixture()
        try fixture.store.put(ObjectKey("a/b"), bytes: [1])
        fixture.fake.state.withLock { state in
            let object = state.objects["some/prefix/a/b"]
            for key in ["some/prefix/a/", "some/prefix//x", "some/prefix/a\nb", "some/prefixed"] {
                state.objects[key] = object
            }
        }
        var seen: [String] = []
        let summary = try fixture.store.list(prefix: "", after: nil) { object in
            seen.append(object.key.text)
            return true
        }
        #expect(seen == ["a/b"])
        #expect(summary.foreign == 3)
    }

    @Test("no error, print or dump gives a secret away")
    func secrets() throws {
        let fixture = try StoreFixture()
        var texts: [String] = []
        for (status, code) in [(403, "SignatureDoesNotMatch"), (400, "ExpiredToken"), (500, "InternalError")] {
            fixture.fake.refuse(status: status, code: code, times: 8)
            do {
                try fixture.store.put(ObjectKey("a"), bytes: [1])
            } catch {
                texts += ["\(error)", String(reflecting: error)]
            }
        }
        let keys = try #require(
            AWSCredentials(
                accessKeyID: FakeS3.keys.id,
                secretAccessKey: FakeS3.keys.secret,
                sessionToken: "session-secret",
                expirySeconds: nil
            )
        )
        var dumped = ""
        dump([keys], to: &dumped)
        texts += ["\(keys)", String(reflecting: keys), dumped, "\([keys])"]
        #expect(texts.count == 10)
        for text in texts {
            #expect(!text.contains(FakeS3.keys.secret) && !text.contains("session-secret"), "\(text)")
        }
    }
}
