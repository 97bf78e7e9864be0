package import SpringgArchive
import SpringgLog
package import Synchronization

/// A store in memory with a clock of its own, which counts what it is asked and fails when it is told to.
package final class MemoryStore: ObjectStore {
    /// How a call fails.
    package enum Fault: Sendable {
        /// Nothing happens, and the call fails.
        case before
        /// It happens, and the answer is lost.
        case after
    }

    /// What is stored under a key.
    package struct Object: Sendable {
        package var bytes: [UInt8]
        /// Last change, by the store's clock, in seconds.
        package var modified: Int

        package init(bytes: [UInt8], modified: Int) {
            self.bytes = bytes
            self.modified = modified
        }
    }

    /// Everything that a test may look at and change.
    package struct State: Sendable {
        package var objects: [ObjectKey: Object] = [:]
        package var calls = 0
        /// Keys of all puts, in order.
        package var puts: [ObjectKey] = []
        /// By the number of a call.
        package var faults: [Int: Fault] = [:]
        package var isDown = false
        /// Unix time in seconds.
        package var now = 0
        /// Called, unlocked, before each call takes effect.
        package var intrude: (@Sendable (Int) -> Void)?
    }

    /// The objects and the faults to come.
    package let state = Mutex(State())

    package var location: String { "memory" }

    /// An empty store.
    package init() {}

    /// The keys that there are, ascending.
    package func keys(_ prefix: String = "") -> [ObjectKey] {
        state.withLock { $0.objects.keys.filter { $0.text.hasPrefix(prefix) }.sorted() }
    }

    /// Sets the store's clock to a Unix time.
    package func setNow(_ milliseconds: UInt64) { state.withLock { $0.now = Int(milliseconds / 1000) } }

    private func run<R: Sendable>(
        _ key: String,
        _ body: (inout State) throws(ObjectStoreError) -> R
    ) throws(ObjectStoreError) -> R {
        let (intrude, number) = state.withLock { ($0.intrude, $0.calls) }
        intrude?(number)
        let result: Result<R, ObjectStoreError> = state.withLock { state in
            let fault = state.isDown ? .before : state.faults[state.calls]
            state.calls += 1
            let failure = ObjectStoreError.unavailable(at: "memory/" + key, "told to fail")
            if fault == .before { return .failure(failure) }
            do throws(ObjectStoreError) {
                let value = try body(&state)
                return fault == .after ? .failure(failure) : .success(value)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    @discardableResult
    package func put(
        _ key: ObjectKey,
        _ body: ObjectBody,
        condition: PutCondition
    ) throws(ObjectStoreError) -> ObjectInfo {
        guard case .bytes(let bytes) = body else { preconditionFailure("files are not archived") }
        return try run(key.text) { (state) throws(ObjectStoreError) in
            guard condition == .none || state.objects[key] == nil else {
                throw ObjectStoreError.preconditionFailed(at: key.text)
            }
            state.objects[key] = Object(bytes: bytes, modified: state.now)
            state.puts.append(key)
            return self.info(key, bytes, state.now)
        }
    }

    private func info(_ key: ObjectKey, _ bytes: [UInt8], _ modified: Int) -> ObjectInfo {
        ObjectInfo(
            key: key,
            size: bytes.count,
            tag: nil,
            modifiedSeconds: modified,
            crc32c: bytes.withBytes { Checksum.crc32c($0) }
        )
    }

    @discardableResult
    package func get(
        _ key: ObjectKey,
        _ range: ObjectRange,
        consume: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> ObjectInfo {
        let object = try run(key.text) { (state) throws(ObjectStoreError) in
            guard let object = state.objects[key] else { throw ObjectStoreError.notFound(at: key.text) }
            return object
        }
        let count = object.bytes.count
        let wanted =
            switch range {
            case .all: 0..<count
            case .bytes(let wanted): wanted
            case .last(let bytes): max(0, count - bytes)..<count
            }
        guard wanted.upperBound <= count else { throw ObjectStoreError.invalidRange(at: key.text) }
        try object.bytes.withUnsafeBytes { try consume(UnsafeRawBufferPointer(rebasing: $0[wanted])) }
        return info(key, object.bytes, object.modified)
    }

    package func head(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo {
        try run(key.text) { (state) throws(ObjectStoreError) in
            guard let object = state.objects[key] else { throw ObjectStoreError.notFound(at: key.text) }
            return self.info(key, object.bytes, object.modified)
        }
    }

    @discardableResult
    package func list(
        prefix: String,
        after start: ObjectKey?,
        _ body: (ObjectInfo) throws -> Bool
    ) throws -> ListSummary {
        let found = try run(prefix) { state in
            state.objects.filter { key, _ in key.text.hasPrefix(prefix) && (start.map { $0 < key } ?? true) }
                .map { self.info($0.key, $0.value.bytes, $0.value.modified) }
        }
        var summary = ListSummary()
        for object in found.sorted(by: { $0.key < $1.key }) {
            summary.objects += 1
            guard try body(object) else { break }
        }
        return summary
    }

    package func delete(_ keys: [ObjectKey]) throws(ObjectStoreError) {
        try run(keys.first?.text ?? "") { state in for key in keys { state.objects[key] = nil } }
    }

    @discardableResult
    package func removeLeftovers(olderThanSeconds seconds: Int) throws(ObjectStoreError) -> Int {
        try run("") { _ in 0 }
    }

    package func close() {}
}
