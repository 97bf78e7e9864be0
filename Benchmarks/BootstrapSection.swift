import Glibc
import SpringgArchive
import SpringgLog
import SpringgProjections
import SpringgTestKit

/// A data directory from an archive in a real S3 server on this machine, beside plain downloads of the same objects.
///
/// Needs `make test-servers`.
enum BootstrapSection {
    private static let rows = 100_000
    private static let origin = OriginID(high: 1, low: 1)

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
        report.add("restored into a data directory, synced", took, "s")
        report.add("share of curl's speed", curl / took, "")
        if let cli { report.add("share of the AWS CLI's speed", cli / took, "", .atLeast(0.6)) }
        if restored?.digest != digest { report.notes.append("the restored state has another digest") }
        let memory = try seconds {
            let source = try RestoreSource(archive: store)
            _ = try source.load(source.prospect(.latest, excluding: false))
        }
        report.add("restored into memory", memory, "s")

        var options = DatabaseOptions(dataPath: path)
        options.lastCheckpointSeconds = 0
        let begun = Monotonic.nanoseconds()
        let database = try Database.open(options)
        defer { database.close() }
        report.add("opened as a node does", Double(Monotonic.nanoseconds() - begun) / 1e9, "s")
        // Here for ever only if linking stands still, which other sections would show.
        let linked = seconds { while database.rowsToLink > 0 { usleep(50_000) } }
        report.add("until its graph is built, searched all the while", linked, "s")
        return report
    }

    /// Writes a snapshot of the rows and the manifest of an archive that has nothing else.
    private static func archive(to store: any ObjectStore, _ settings: Settings) throws -> StateDigest {
        var random = SeededRandom(seed: settings.seed)
        let state = Materializer()
        var heads = VersionVector()
        func apply(_ event: EncodedEvent) {
            let lsn = state.appliedLSN.next
            event.stamp(
                origin: origin,
                sequence: Sequence(lsn.rawValue),
                hlc: HLC(milliseconds: lsn.rawValue, counter: 0),
                seen: .none,
                previousChain: 0
            )
            guard let decoded = event.envelope.event else { return }
            state.apply(decoded, of: event.envelope, recordBytes: 0, lsn: lsn)
            heads[origin] = event.envelope.head
        }
        apply(.indexCreated(name: "a", dimensions: Settings.dimensions, options: .empty))
        for row in 0..<rows { apply(EventSet.put("a", "row-\(row)", random.floats(Settings.dimensions))) }
        state.publish()
        let newest = EventVersion(hlc: HLC(milliseconds: state.appliedLSN.rawValue, counter: 0), origin: origin)
        let snapshot = try SnapshotWriter(to: store)
            .write(state.captureState(heads: heads), origin: origin, newest: newest).manifest
        var manifest = ArchiveManifest(cluster: "00000000000000000000000000000001")
        manifest.generation = 1
        manifest.heads = heads
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
