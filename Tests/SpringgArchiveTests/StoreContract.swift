import SpringgArchive
import SpringgLog
import SpringgTestKit
import Synchronization
import Testing

/// What users of any object store rely on; checked against each implementation.
///
/// The store must be empty, and is emptied.
struct StoreContract {
    let store: any ObjectStore

    func check() throws {
        try wholeObjects()
        try ranges()
        try conditions()
        try oneWinner()
        try listings()
        try names()
        try files()
        try closing()
    }

    private func wholeObjects() throws {
        let key = try ObjectKey("a/b-1.zst")
        #expect(throws: ObjectStoreError.notFound(at: store.path(of: key))) { try store.head(key) }
        #expect(throws: ObjectStoreError.notFound(at: store.path(of: key))) { try store.read(key, limit: 10) }
        #expect(try !store.exists(key))
        for size in [0, 1, 1_000, 300_000] {
            let bytes = pattern(size)
            let stored = try store.put(key, bytes: bytes)
            #expect(stored.key == key)
            #expect(stored.size == size)
            #expect(stored.crc32c == bytes.withUnsafeBytes { Checksum.crc32c($0) })
            let info = try store.head(key)
            #expect(info.size == size)
            #expect(info.tag == stored.tag)
            #expect(try store.read(key, limit: size) == bytes)
        }
        #expect(throws: ObjectStoreError.tooLarge(at: store.path(of: key), limit: 299_999)) {
            try store.read(key, limit: 299_999)
        }
        try store.delete([key, key])
        #expect(try !store.exists(key))
    }

    private func ranges() throws {
        let key = try ObjectKey("ranges")
        let bytes = pattern(100_000)
        try store.put(key, bytes: bytes)
        for range in [0..<1, 0..<100_000, 5..<77, 99_999..<100_000, 50_000..<50_000] {
            #expect(try store.read(key, .bytes(range), limit: 100_000) == Array(bytes[range]))
        }
        #expect(try store.read(key, .last(17), limit: 100) == Array(bytes.suffix(17)))
        #expect(try store.read(key, .last(1_000_000), limit: 100_000) == bytes)
        for range in [0..<100_001, 100_000..<100_001, 200_000..<200_001] {
            #expect(throws: ObjectStoreError.invalidRange(at: store.path(of: key))) {
                try store.read(key, .bytes(range), limit: 1_000_000)
            }
        }
        struct Enough: Error {}
        #expect(throws: Enough.self) { try store.get(key, .all) { _ in throw Enough() } }
        #expect(try store.read(key, .bytes(1..<3), limit: 2) == Array(bytes[1..<3]))
        try store.delete([key])
    }

    private func conditions() throws {
        let key = try ObjectKey("manifests/00000000000000000001.json")
        #expect(try store.putIfAbsent(key, bytes: [1]))
        #expect(try !store.putIfAbsent(key, bytes: [2]))
        #expect(throws: ObjectStoreError.preconditionFailed(at: store.path(of: key))) {
            try store.put(key, .bytes([2]), condition: .ifAbsent)
        }
        #expect(try store.read(key, limit: 10) == [1])
        try store.put(key, bytes: [3])
        #expect(try store.read(key, limit: 10) == [3])
        try store.delete([key])
        #expect(try store.putIfAbsent(key, bytes: [4]))
        try store.delete([key])
    }

    /// Eight writers, several rounds: one of them gets the key, and its bytes are there.
    private func oneWinner() throws {
        for round in 0..<8 {
            let key = try ObjectKey("race/\(round)")
            let winners = Mutex<[Int]>([])
            let failures = Mutex<[String]>([])
            try WorkerThread.run(8) { [store] writer in
                do {
                    if try store.putIfAbsent(key, bytes: [UInt8](repeating: UInt8(writer), count: 1_000)) {
                        winners.withLock { $0.append(writer) }
                    }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
            #expect(failures.withLock { $0 } == [])
            let winner = try #require(winners.withLock { $0.count == 1 ? $0.first : nil })
            #expect(try store.read(key, limit: 1_000) == [UInt8](repeating: UInt8(winner), count: 1_000))
            try store.delete([key])
        }
    }

    private func listings() throws {
        let names = (0..<25).map { number in "list/x/\(1_000 + number)" } + ["list/x.json", "list/y/z/deep", "listing"]
        for name in names.shuffled() { try store.put(ObjectKey(name), bytes: pattern(name.utf8.count)) }
        let all = try store.list(prefix: "", limit: 100)
        #expect(all.map(\.key.text) == names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        #expect(all.allSatisfy { $0.size == $0.key.text.utf8.count })
        #expect(try store.list(prefix: "list/", limit: 100).count == 27)
        #expect(try store.list(prefix: "list/x/101", limit: 100).map(\.key.text) == (0..<10).map { "list/x/101\($0)" })
        #expect(try store.list(prefix: "nothing", limit: 100) == [])
        #expect(try store.list(prefix: "../", limit: 100) == [])
        #expect(throws: ObjectStoreError.tooMany(below: store.location + "/", limit: 27)) {
            try store.list(prefix: "", limit: 27)
        }
        // In one folder the order is the same everywhere, and a listing can begin and end anywhere.
        for start in [nil, 1_000, 1_010, 1_023, 1_024, 5_000] as [Int?] {
            var seen: [String] = []
            try store.list(prefix: "list/x/", after: start.map { try ObjectKey("list/x/\($0)") }) { object in
                seen.append(object.key.text)
                return seen.count < 7
            }
            let expected = (1_000..<1_025).filter { $0 > start ?? 0 }.prefix(7).map { "list/x/\($0)" }
            #expect(seen == expected)
        }
        try store.delete(all.map(\.key))
        #expect(try store.list(prefix: "", limit: 100) == [])
    }

    /// Everything that a URL, a signature or a file name could get wrong.
    private func names() throws {
        let keys = try [
            "a b", "a+b=c", "100%", "%20", "ü/ö", "q?x=1&y=2#z", "~'()*!;,@:$", "<x>&amp;\"", "..a/b..", "a\\b", "日本語",
        ].map { try ObjectKey($0) }
        for (number, key) in keys.enumerated() { try store.put(key, bytes: [UInt8(number)]) }
        for (number, key) in keys.enumerated() { #expect(try store.read(key, limit: 1) == [UInt8(number)]) }
        #expect(try store.list(prefix: "", limit: 100).map(\.key) == keys.sorted())
        #expect(try store.list(prefix: "a+", limit: 100).map(\.key.text) == ["a+b=c"])
        try store.delete(keys)
        #expect(try store.list(prefix: "", limit: 100) == [])
    }

    private func files() throws {
        let directory = try TemporaryDirectory()
        let bytes = pattern(700_000)
        try Files.write(directory.path + "/file", bytes)
        let file = try PosixFileSystem().open(directory.path + "/file", .read)
        let key = try ObjectKey("from/file")
        try store.put(key, .file(file, 1_000..<650_000), condition: .none)
        #expect(try store.read(key, limit: 1_000_000) == Array(bytes[1_000..<650_000]))
        #expect(throws: (any Error).self) { try store.put(key, .file(file, 0..<700_001), condition: .none) }
        #expect(try store.head(key).size == 649_000)
        try store.delete([key])
    }

    private func closing() throws {
        store.close()
        let key = try ObjectKey("a")
        #expect(throws: ObjectStoreError.closed) { try store.put(key, bytes: []) }
        #expect(throws: ObjectStoreError.closed) { try store.read(key, limit: 1) }
        #expect(throws: ObjectStoreError.closed) { try store.list(prefix: "", limit: 1) }
    }

    /// Bytes in which no two places look alike.
    private func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 8) }
    }
}
