import SpringgArchive
import SpringgLog
import Synchronization

/// A store in memory with a clock of its own, which counts what it is asked and fails when it is told to.
final class MemoryStore: ObjectStore {
    enum Fault {
        /// Nothing happens, and the call fails.
        case before
        /// It happens, and the answer is lost.
        case after
    }

    struct Object: Sendable {
        var bytes: [UInt8]
        var modified: Int
    }

    struct State {
        var objects: [ObjectKey: Object] = [:]
        var calls = 0
        /// Keys of all puts, in order.
        var puts: [ObjectKey] = []
        /// By the number of a call.
        var faults: [Int: Fault] = [:]
        var isDown = false
        var now = 0
        /// Called, unlocked, before each call takes effect.
        var intrude: (@Sendable (Int) -> Void)?
    }

    let state = Mutex(State())

    var location: String { "memory" }

    /// The keys that there are, ascending.
    func keys(_ prefix: String = "") -> [ObjectKey] {
        state.withLock { $0.objects.keys.filter { $0.text.hasPrefix(prefix) }.sorted() }
    }

    func setNow(_ milliseconds: UInt64) { state.withLock { $0.now = Int(milliseconds / 1000) } }

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
    func put(
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
    func get(
        _ key: ObjectKey,
        _ range: ObjectRange,
        consume: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> ObjectInfo {
        let object = try run(key.text) { (state) throws(ObjectStoreError) in
            guard let object = state.objects[key] else { throw ObjectStoreError.notFound(at: key.text) }
            return object
        }
        try object.bytes.withUnsafeBytes { try consume($0) }
        return info(key, object.bytes, object.modified)
    }

    func head(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo {
        try run(key.text) { (state) throws(ObjectStoreError) in
            guard let object = state.objects[key] else { throw ObjectStoreError.notFound(at: key.text) }
            return self.info(key, object.bytes, object.modified)
        }
    }

    @discardableResult
    func list(
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

    func delete(_ keys: [ObjectKey]) throws(ObjectStoreError) {
        try run(keys.first?.text ?? "") { state in for key in keys { state.objects[key] = nil } }
    }

    @discardableResult
    func removeLeftovers(olderThanSeconds seconds: Int) throws(ObjectStoreError) -> Int { try run("") { _ in 0 } }

    func close() {}
}
