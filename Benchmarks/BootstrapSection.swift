import Glibc
import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit
import Synchronization

/// A data directory from an archive in a real S3 server on this machine, graph included, beside plain downloads of the same objects; and
/// what one changed vector, or nothing new, sends there.
///
/// Needs `make test-servers`.
enum BootstrapSection {
    private static let rows = 100_000

    static func measure(_ settings: Settings) throws -> SectionReport {
        var report = SectionReport(title: "100,000 × 1,024 random components from an archive in SeaweedFS, loopback")
        let server = try RealServer(.seaweedFS)
        let store = try server.store(prefix: "archive")
        let place = try TemporaryDirectory(in: settings.directory)
        let digest = try archive(to: store, settings)
        var objects: [String] = []
        var bytes = 0
        try store.list(prefix: "", after: nil) { object in
            objects.append("archive/" + object.key.text)
            bytes += object.size
            return true
        }
        report.add("objects", Double(objects.count), "")
        report.add("bytes", Double(bytes), "bytes")

        let curl = try seconds {
            // Many objects on few connections, as the restore does, and nothing done with what comes.
            let lines = objects.map { object in
                """
                silent
                fail
                url = "\(server.endpoint)/test-bucket/\(object)"
                output = "\(place.path)/curl/\(object)"
                create-dirs
                aws-sigv4 = "aws:amz:us-east-1:s3"
                user = "\(RealServer.keys.id):\(RealServer.keys.secret)"
                header = "x-amz-content-sha256: UNSIGNED-PAYLOAD"

                """
            }.joined(separator: "next\n")
            try Files.write(place.path + "/curl.conf", lines.utf8)
            try run("curl", ["--parallel", "--parallel-max", "8", "--config", place.path + "/curl.conf"])
        }
        report.add("curl, 8 at once, to files", curl, "s")
        let aws = getenv("SPRINGG_BENCH_AWS").map { String(cString: $0) }
        var cli: Double?
        if let aws {
            let took = try seconds {
                try run(
                    aws,
                    [
                        "s3", "cp", "--recursive", "--only-show-errors", "--endpoint-url", server.endpoint,
                        "s3://test-bucket/archive", place.path + "/aws",
                    ]
                )
            }
            report.add("aws s3 cp --recursive", took, "s")
            cli = took
        } else {
            report.notes.append("SPRINGG_BENCH_AWS names no aws command: compared with curl alone")
        }

        let path = place.path + "/data"
        var restored: RestoreReport?
        let took = try seconds {
            let source = try RestoreSource(archive: store)
            restored = try Restorer(fileSystem: PosixFileSystem()).restore(
                source.prospect(.latest, excluding: false),
                from: source,
                into: path,
                origin: OriginID(high: 2, low: 2)
            )
        }
        report.add("restored into a data directory, graph included, synced", took, "s")
        report.add("share of curl's speed", curl / took, "")
        if let cli { report.add("share of the AWS CLI's speed", cli / took, "", .atLeast(0.6)) }
        if restored?.digest != digest { report.notes.append("the restored state has another digest") }
        report.add("rows linked by then", Double(restored?.rowsLinked ?? 0), "", .atLeast(Double(rows)))
        let memory = try seconds {
            let source = try RestoreSource(archive: store)
            _ = try source.load(source.prospect(.latest, excluding: false))
        }
        report.add("restored into memory, without graphs", memory, "s")

        var options = DatabaseOptions(dataPath: path)
        options.lastCheckpointSeconds = 0
        let begun = Monotonic.nanoseconds()
        let database = try Database.open(options)
        defer { database.close() }
        report.add("opened as a node does", Double(Monotonic.nanoseconds() - begun) / 1e9, "s")
        // Here for ever only if linking stands still, which other sections would show.
        let linked = seconds { while database.rowsToLink > 0 { usleep(50_000) } }
        report.add("until all rows are linked, searched all the while", linked, "s")
        try changeOne(database, store, stored: bytes, &report)
        return report
    }

    /// Archives one changed vector from a node that has been restored, as nodes do: its event, a snapshot, two manifests.
    private static func changeOne(
        _ database: Database,
        _ store: S3Store,
        stored: Int,
        _ report: inout SectionReport
    ) throws {
        let counted = CountedStore(store)
        var options = ArchiveOptions()
        options.requestPause = 0
        // Each round takes one, if there is something new.
        options.snapshotInterval = 1
        let archiver = Archiver(
            to: counted,
            options: options,
            log: database.log,
            capture: { database.captureState() }
        )
        archiver.start()
        defer { archiver.close() }
        func round() throws {
            let before = archiver.status.lastSuccess ?? 0
            // The end of a round is known to the millisecond.
            usleep(2_000)
            archiver.requestRound()
            let deadline = Deadline(seconds: 60)
            while archiver.status.lastSuccess ?? 0 <= before || archiver.status.lagEvents > 0 {
                if let failure = archiver.status.lastError { throw TestKitError(failure) }
                guard !deadline.isOver else { throw TestKitError("nothing was archived") }
                usleep(5_000)
            }
        }
        // The first looks whether the store keeps conditions.
        try round()
        _ = counted.take()
        try round()
        report.add(
            "bytes sent by a round with nothing new",
            Double(counted.take().values.reduce(0, +)),
            "bytes",
            .atMost(0)
        )
        var random = SeededRandom(seed: 99)
        guard let name = IndexName("a"), let id = VectorID("row-4711") else { throw TestKitError("no name") }
        let row = random.floats(Settings.dimensions).withUnsafeBufferPointer { vector in
            PreparedVector(
                index: name,
                id: id,
                vector: vector,
                metadata: UnsafeRawBufferPointer(start: nil, count: 0)
            )
        }
        let done = Semaphore()
        database.submit([.put(row, mustExist: true)]) { _ in done.signal() }
        done.wait()
        try round()
        let sent = counted.take()
        for (folder, bytes) in sent.sorted(by: { $0.key < $1.key }) {
            report.add("bytes sent for one changed vector, \(folder)", Double(bytes), "bytes")
        }
        let sum = sent.values.reduce(0, +)
        report.add("bytes sent for one changed vector, all", Double(sum), "bytes")
        report.add("all of the archive for each of them", Double(stored) / Double(max(sum, 1)), "")
        report.add(
            "the bytes of the vectors for each of them",
            Double(rows * Settings.dimensions * 4) / Double(max(sum, 1)),
            ""
        )
    }

    /// Writes a snapshot of the rows and the manifest of an archive that has nothing else.
    private static func archive(to store: any ObjectStore, _ settings: Settings) throws -> StateDigest {
        var random = SeededRandom(seed: settings.seed)
        let state = Materializer()
        var writer = LoneOrigin()
        func apply(_ event: EncodedEvent) {
            let lsn = writer.stamp(event)
            guard let decoded = event.envelope.event else { return }
            state.apply(decoded, of: event.envelope, recordBytes: 0, lsn: lsn)
        }
        apply(.indexCreated(name: "a", dimensions: Settings.dimensions, options: .empty))
        for row in 0..<rows { apply(EventSet.put("a", "row-\(row)", random.floats(Settings.dimensions))) }
        state.publish()
        state.indexes[0].indexNow(threads: sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let newest = EventVersion(hlc: HLC(milliseconds: state.appliedLSN.rawValue, counter: 0), origin: writer.id)
        let snapshot = try SnapshotWriter(to: store, uploads: ArchiveOptions().uploads)
            .write(state.captureState(heads: writer.heads), origin: writer.id, newest: newest).manifest
        let identity = ArchiveIdentity(cluster: "00000000000000000000000000000001", label: "", createdAt: 0)
        try store.put(ArchiveIdentity.key, bytes: identity.encoded())
        var manifest = ArchiveManifest(cluster: identity.cluster)
        manifest.generation = 1
        manifest.heads = writer.heads
        manifest.highestHLC = newest.hlc
        manifest.snapshots = [try .init(snapshot)]
        try store.put(ArchiveManifest.key(1), bytes: manifest.encoded())
        return state.digest
    }

    private static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let begun = Monotonic.nanoseconds()
        try body()
        return Double(Monotonic.nanoseconds() - begun) / 1e9
    }

    private static func run(_ program: String, _ arguments: [String]) throws {
        let result = try ChildProcess.run(
            "/usr/bin/env",
            [program] + arguments,
            environment: [
                "PATH": "/usr/bin:/bin", "AWS_ACCESS_KEY_ID": RealServer.keys.id,
                "AWS_SECRET_ACCESS_KEY": RealServer.keys.secret, "AWS_DEFAULT_REGION": "us-east-1",
            ],
            workingDirectory: "/",
            timeoutSeconds: 120
        )
        guard result.status == .exited(0) else { throw TestKitError("\(program): \(result)") }
    }
}

/// Counts the bytes that are sent to a store, by the first part of their keys.
private final class CountedStore: ObjectStore {
    private let inner: any ObjectStore
    private let sent = Mutex<[String: Int]>([:])

    init(_ inner: any ObjectStore) { self.inner = inner }

    /// What was sent since the last call.
    func take() -> [String: Int] {
        sent.withLock { sent in
            defer { sent = [:] }
            return sent
        }
    }

    var location: String { inner.location }

    func put(_ key: ObjectKey, _ body: ObjectBody, condition: PutCondition) throws(ObjectStoreError) -> ObjectInfo {
        let folder = key.text.prefix { $0 != "/" }
        sent.withLock { $0[String(folder), default: 0] += body.count }
        return try inner.put(key, body, condition: condition)
    }

    func get(
        _ key: ObjectKey,
        _ range: ObjectRange,
        consume: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> ObjectInfo { try inner.get(key, range, consume: consume) }

    func head(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo { try inner.head(key) }

    func list(
        prefix: String,
        after start: ObjectKey?,
        _ body: (ObjectInfo) throws -> Bool
    ) throws -> ListSummary { try inner.list(prefix: prefix, after: start, body) }

    func delete(_ keys: [ObjectKey]) throws(ObjectStoreError) { try inner.delete(keys) }

    func removeLeftovers(olderThanSeconds seconds: Int) throws(ObjectStoreError) -> Int {
        try inner.removeLeftovers(olderThanSeconds: seconds)
    }

    func close() { inner.close() }
}
