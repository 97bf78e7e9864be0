import Glibc
import SpringgArchive
import SpringgLog
import SpringgTestKit
import Synchronization
import Testing

@Suite("An object store in a directory")
struct DirectoryStoreTests {
    @Test("keeps what every store promises", arguments: [UInt64(1)])
    func contract(seed: UInt64) throws {
        let directory = try TemporaryDirectory()
        let store = try DirectoryStore(path: directory.path + "/made/here", createIfMissing: true)
        try StoreContract(store: store).check()
    }

    @Test("a directory that is not there is not made by somebody who wants to read")
    func missing() throws {
        let directory = try TemporaryDirectory()
        #expect(throws: ObjectStoreError.storeNotFound("directory \(directory.path)/x")) {
            try DirectoryStore(path: directory.path + "/x", createIfMissing: false)
        }
        #expect(!Files.exists(directory.path + "/x"))
    }

    @Test("unfinished uploads are invisible, and go when they are old")
    func leftovers() throws {
        let files = SimulatedFileSystem()
        let store = try DirectoryStore(
            path: "/store",
            createIfMissing: true,
            fileSystem: files,
            writer: "test",
            wallClockSeconds: { 10_000 }
        )
        files.setWallClock(seconds: 5_000)
        files.setContents("/store/.incoming/other-1", [1, 2, 3])
        try store.put(ObjectKey("a"), bytes: [1])
        #expect(try store.list(prefix: "", limit: 10).map(\.key.text) == ["a"])
        #expect(try store.removeLeftovers(olderThanSeconds: 20_000) == 0)
        #expect(files.paths == ["/store/.incoming/other-1", "/store/a"])
        #expect(try store.removeLeftovers(olderThanSeconds: 60) == 1)
        #expect(files.paths == ["/store/a"])
    }

    @Test("whatever call is the last one before power is lost, an object is there whole or not at all")
    func powerLoss() throws {
        var random = SeededRandom.fromEnvironment("DirectoryStoreTests.powerLoss")
        var points = 0
        for condition in [PutCondition.none, .ifAbsent] {
            var isComplete = false
            var call = 0
            while !isComplete {
                call += 1
                for _ in 0..<6 {
                    let files = SimulatedFileSystem()
                    let old = try open(files)
                    let kept = try ObjectKey("kept/object")
                    try old.put(kept, bytes: [7, 7, 7])
                    let bytes = (0..<5_000).map { _ in UInt8.random(in: 0...255, using: &random) }
                    files.fail(callFromNow: call, .stop)
                    let key = try ObjectKey("new/object")
                    var isAcknowledged = false
                    do throws(ObjectStoreError) {
                        try old.put(key, .bytes(bytes), condition: condition)
                        isAcknowledged = true
                    } catch {
                        points += 1
                    }
                    isComplete = !files.isStopped
                    files.crash(using: &random)
                    let store = try open(files)
                    #expect(try store.read(kept, limit: 100) == [7, 7, 7])
                    if try isAcknowledged || store.exists(key) {
                        #expect(try store.read(key, limit: 10_000) == bytes, "\(condition), call \(call)")
                    }
                    // Whatever was left does not stand in the way of the next attempt.
                    try store.put(key, bytes: [1])
                    #expect(try store.read(key, limit: 10) == [1])
                }
            }
        }
        print("DirectoryStoreTests.powerLoss: \(points) crash points")
        #expect(points > 40)
    }

    private func open(_ files: SimulatedFileSystem) throws -> DirectoryStore {
        try DirectoryStore(path: "/store", createIfMissing: true, fileSystem: files, writer: "test")
    }

    @Test("errors of the disk are told apart and leave nothing")
    func diskErrors() throws {
        let files = SimulatedFileSystem()
        let store = try open(files)
        try store.put(ObjectKey("warm"), bytes: [1])
        files.setCapacity(100)
        let key = try ObjectKey("big")
        #expect {
            try store.put(key, bytes: [UInt8](repeating: 1, count: 1000))
        } throws: { error in
            if case .full? = error as? ObjectStoreError { true } else { false }
        }
        files.setCapacity(nil)
        files.setSyncError(EIO)
        #expect {
            try store.put(key, bytes: [1])
        } throws: { error in
            if case .unavailable? = error as? ObjectStoreError { true } else { false }
        }
        #expect(files.paths == ["/store/warm"])
    }
}
