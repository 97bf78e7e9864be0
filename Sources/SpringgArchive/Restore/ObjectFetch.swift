package import SpringgLog
import SpringgProjections

/// Brings objects to files of a directory, several at once, ahead of the one who reads them.
///
/// An object is handed out when its SHA-256 is what it must be, and not before. One that is there already, from a restore
/// that was interrupted, is not fetched again. Large ones come in parts, each on a connection of its own; what is in memory
/// is a piece of each.
package final class ObjectFetch: @unchecked Sendable {
    // Why @unchecked: the fields that change are only touched while `doorbell` is locked; `threads` by the owner alone.

    /// An object, and what it must be.
    package struct Item: Equatable, Sendable {
        package var key: ObjectKey
        package var bytes: Int
        package var hash: ContentHash

        package init(key: ObjectKey, bytes: Int, hash: ContentHash) {
            self.key = key
            self.bytes = bytes
            self.hash = hash
        }
    }

    /// Transfers at once: enough to fill a line although each waits for its answer.
    private static let threadsMax = 8
    /// Of one request: long enough that asking costs nothing, short enough that a line is shared by several.
    private static let partBytes = 8 << 20
    /// Bytes that lie there unread, where they need not stay.
    private static let aheadBytesMax = 256 << 20

    private enum Work {
        case begin(Int)
        case part(Int, Range<Int>, any File)
    }

    private let items: [Item]
    private let places: [ObjectKey: Int]
    private let store: any ObjectStore
    private let directory: String
    private let fileSystem: any FileSystem
    /// Whether files stay for the case that all of this has to be done again.
    private let keeps: Bool
    private let doorbell = Doorbell()
    private var threads: [WriterThread] = []

    private var next = 0
    private var parts: [Work] = []
    private var partsLeft: [Int: Int] = [:]
    private var files: [Int: Result<any File, any Error>] = [:]
    private var bytesAhead = 0
    private var wanted = -1
    private var isStopping = false
    private var bytesFetched = 0

    /// Begins to fetch `items`, in their order, into `directory`, which exists.
    ///
    /// `keeps` leaves the files there; else they go as they are read. To be closed.
    package init(
        _ items: [Item],
        from store: any ObjectStore,
        into directory: String,
        keeps: Bool,
        fileSystem: any FileSystem
    ) {
        var places: [ObjectKey: Int] = [:]
        var unique: [Item] = []
        for item in items where places[item.key] == nil {
            places[item.key] = unique.count
            unique.append(item)
        }
        self.items = unique
        self.places = places
        self.store = store
        self.directory = directory
        self.keeps = keeps
        self.fileSystem = fileSystem
        for number in 0..<min(ObjectFetch.threadsMax, unique.count) {
            threads.append(WriterThread(name: "springg-fetch\(number)") { [self] in work() })
        }
    }

    /// Bytes of all objects.
    package var bytesTotal: Int { items.reduce(0) { $0 + $1.bytes } }
    /// Bytes that are there.
    package var bytesDone: Int { doorbell.withLock { bytesFetched } }

    /// Waits for an object of the list, each once.
    /// - Throws: why it could not be had, with its name.
    package func take(_ key: ObjectKey) throws -> (file: any File, bytes: Int) {
        guard let number = places[key] else { preconditionFailure("\(key) is not fetched") }
        let item = items[number]
        let result = doorbell.withLock {
            wanted = max(wanted, number)
            doorbell.ringAll()
            while files[number] == nil { doorbell.wait(nanoseconds: nil) }
            bytesAhead -= item.bytes
            return files.removeValue(forKey: number)
        }
        doorbell.ringAll()
        guard let file = try result?.get() else { preconditionFailure("\(key) was taken before") }
        // The open file keeps its bytes.
        if !keeps { try fileSystem.remove(path(item)) }
        return (file, item.bytes)
    }

    /// The bytes of an object of the list, each once.
    package func read(_ key: ObjectKey) throws -> [UInt8] {
        let (file, count) = try take(key)
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = try file.read(at: 0, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// Ends what is under way; blocking.
    package func close() {
        doorbell.withLock { isStopping = true }
        doorbell.ringAll()
        for thread in threads { thread.join() }
        threads.removeAll()
        guard !keeps else { return }
        for number in files.keys { try? fileSystem.remove(path(items[number])) }
    }

    private func path(_ item: Item) -> String { "\(directory)/\(item.hash)" }

    // MARK: - The threads

    private func work() {
        while let work = nextWork() {
            switch work {
            case .begin(let number):
                do {
                    if let file = present(items[number]) {
                        finish(number, .success(file), items[number].bytes)
                    } else {
                        try begin(number)
                    }
                } catch {
                    finish(number, .failure(error), 0)
                }
            case .part(let number, let range, let file):
                do {
                    try fetch(items[number], range, to: file)
                    let left = doorbell.withLock {
                        partsLeft[number, default: 0] -= 1
                        bytesFetched += range.count
                        return partsLeft[number]
                    }
                    if left == 0 { try finish(number, .success(checked(items[number], file)), 0) }
                } catch {
                    finish(number, .failure(error), 0)
                }
            }
        }
    }

    private func nextWork() -> Work? {
        doorbell.withLock {
            while !isStopping {
                if let part = parts.popLast() { return part }
                if next < items.count {
                    let bytes = items[next].bytes
                    if keeps || next <= wanted || bytesAhead + bytes <= ObjectFetch.aheadBytesMax {
                        bytesAhead += bytes
                        next += 1
                        return .begin(next - 1)
                    }
                } else if partsLeft.isEmpty {
                    return nil
                }
                doorbell.wait(nanoseconds: nil)
            }
            return nil
        }
    }

    /// The first word on an object counts: of several parts that fail, one is told.
    private func finish(_ number: Int, _ result: Result<any File, any Error>, _ bytes: Int) {
        doorbell.withLock {
            if files[number] == nil { files[number] = result }
            partsLeft[number] = nil
            bytesFetched += bytes
        }
        doorbell.ringAll()
    }

    /// What an interrupted restore brought, if it is whole.
    private func present(_ item: Item) -> (any File)? {
        guard keeps, let file = try? fileSystem.open(path(item), .read), (try? file.size()) == item.bytes else {
            return nil
        }
        return try? checked(item, file)
    }

    private func begin(_ number: Int) throws {
        let item = items[number]
        let file = try fileSystem.open(path(item), .create)
        let ranges = stride(from: 0, to: max(item.bytes, 1), by: ObjectFetch.partBytes)
            .map { $0..<min(item.bytes, $0 + ObjectFetch.partBytes) }
        doorbell.withLock {
            partsLeft[number] = ranges.count
            parts += ranges.reversed().map { .part(number, $0, file) }
        }
        doorbell.ringAll()
    }

    private func fetch(_ item: Item, _ range: Range<Int>, to file: any File) throws {
        var offset = range.lowerBound
        let isWhole = range == 0..<item.bytes
        let info = try store.get(item.key, isWhole ? .all : .bytes(range)) { piece in
            guard !doorbell.withLock({ isStopping }) else { throw ObjectStoreError.closed }
            guard offset + piece.count <= range.upperBound else { throw size(item, "more than \(item.bytes)") }
            try file.write(piece, at: offset)
            offset += piece.count
        }
        guard offset == range.upperBound, info.size == item.bytes else {
            throw size(item, "\(info.size) instead of \(item.bytes)")
        }
    }

    private func size(_ item: Item, _ what: String) -> ObjectStoreError {
        .damaged(at: store.path(of: item.key), "it has \(what) bytes")
    }

    private func checked(_ item: Item, _ file: any File) throws -> any File {
        let hash = try PayloadDigest(.file(file, 0..<item.bytes), 0..<item.bytes).sha256Hex
        guard hash == item.hash.description else {
            throw ObjectStoreError.damaged(at: store.path(of: item.key), "its SHA-256 is not \(item.hash)")
        }
        return file
    }
}
