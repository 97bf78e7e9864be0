import SpringgArchive
import SpringgTestKit
import Synchronization
import Testing

@Suite("Real S3 servers", .serialized)
struct RealServerTests {
    @Test("keep what every store promises", arguments: RealServer.Kind.allCases)
    func contract(kind: RealServer.Kind) throws {
        let server = try RealServer(kind)
        try StoreContract(store: server.store(prefix: "some/prefix"), isRealServer: true).check()
        #expect(try server.store(prefix: "").honoursIfAbsent())
        try largeObjects(server)
        try wrongKeys(server)
        try killed(server)
    }

    /// In parts of the smallest size that S3 allows.
    private func largeObjects(_ server: RealServer) throws {
        let store = try server.store(prefix: "large") { $0.partBytes = 5 << 20 }
        let key = try ObjectKey("object")
        let bytes = (0..<12_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 20) }
        #expect(try store.putIfAbsent(key, bytes: bytes))
        #expect(try !store.putIfAbsent(key, bytes: bytes))
        #expect(try store.read(key, limit: bytes.count) == bytes)
        #expect(
            try store.read(key, .bytes(5_000_000..<11_000_000), limit: bytes.count)
                == Array(bytes[5_000_000..<11_000_000])
        )
        #expect(try store.removeLeftovers(olderThanSeconds: 0) == 0)
        try store.delete([key])
    }

    private func wrongKeys(_ server: RealServer) throws {
        var options = S3Options()
        options.endpoint = server.endpoint
        let store = try S3Store(
            bucket: "test-bucket",
            prefix: "",
            options: options,
            environment: { ["AWS_ACCESS_KEY_ID": "nobody00001", "AWS_SECRET_ACCESS_KEY": "x"][$0] }
        )
        #expect {
            try store.put(ObjectKey("a"), bytes: [1])
        } throws: { error in
            if case .accessDenied? = error as? ObjectStoreError { true } else { false }
        }
        let missing = try S3Store(
            bucket: "no-such-bucket",
            prefix: "",
            options: options,
            environment: {
                ["AWS_ACCESS_KEY_ID": RealServer.keys.id, "AWS_SECRET_ACCESS_KEY": RealServer.keys.secret][$0]
            }
        )
        #expect(throws: ObjectStoreError.storeNotFound("bucket no-such-bucket")) {
            try missing.list(prefix: "", limit: 1)
        }
    }

    private func killed(_ server: RealServer) throws {
        let store = try server.store(prefix: "") { $0.attemptsMax = 2 }
        try store.put(ObjectKey("a"), bytes: [1])
        server.kill()
        #expect {
            try store.put(ObjectKey("a"), bytes: [1])
        } throws: { error in
            (error as? ObjectStoreError)?.isTransient == true
        }
    }
}
