/// A place for immutable objects under keys, shared by all nodes: S3 or a directory.
///
/// Calls block and may come from any number of threads at once. Each one does its own retries; what it throws has been
/// given up. An object appears whole or not at all, and is durable when `put` returns.
public protocol ObjectStore: Sendable {
    /// Where it is, such as `s3://bucket/prefix`, for texts; holds no secret.
    var location: String { get }

    /// Stores `body` under `key`, replacing what was there unless `condition` says otherwise.
    ///
    /// An attempt whose answer was lost is told apart from another writer's object, so `.preconditionFailed` always means
    /// that somebody else was first.
    /// - Throws: `.preconditionFailed` when the key is taken and the condition was `.ifAbsent`.
    @discardableResult
    func put(
        _ key: ObjectKey,
        _ body: ObjectBody,
        condition: PutCondition
    ) throws(ObjectStoreError) -> ObjectInfo

    /// Hands the object's bytes, or a part of them, to `consume`: each byte once, in order, in pieces of any size.
    ///
    /// Exactly the range arrives, or an error is thrown: a broken transfer goes on where it broke, and only while the object
    /// is still the same. What has been consumed before an error must be dropped by the caller.
    /// - Throws: `.notFound`, `.damaged` when a checksum or a length is wrong, and whatever `consume` throws.
    @discardableResult
    func get(
        _ key: ObjectKey,
        _ range: ObjectRange,
        consume: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> ObjectInfo

    /// Size, tag and time of an object.
    func head(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo

    /// Calls `body` with each object whose key begins with `prefix` and stands after `start`, until it returns false.
    ///
    /// The order is that of the keys' bytes among objects of one folder (AWS and directories: among all). Fetched page by
    /// page: objects that come or go meanwhile may or may not be seen, every other one is seen once.
    @discardableResult
    func list(prefix: String, after start: ObjectKey?, _ body: (ObjectInfo) throws -> Bool) throws -> ListSummary

    /// Removes objects; one that is not there is fine. After an error, any part of them may be gone.
    func delete(_ keys: [ObjectKey]) throws(ObjectStoreError)

    /// Removes what interrupted uploads left behind and nobody has touched for `seconds`; returns how many there were.
    ///
    /// No object is ever concerned. Choose an age beyond that of the slowest upload.
    @discardableResult
    func removeLeftovers(olderThanSeconds seconds: Int) throws(ObjectStoreError) -> Int

    /// Ends running calls soon, and makes every later one throw `.closed`.
    func close()
}

/// What must hold for a `put` to take place.
public enum PutCondition: Sendable, Equatable {
    /// Nothing: an object under the key is replaced.
    case none
    /// No object is under the key. The store decides, so of any number of writers exactly one succeeds.
    case ifAbsent
}

/// A part of an object.
public enum ObjectRange: Sendable, Equatable {
    /// The whole object.
    case all
    /// These bytes, all of which must exist.
    case bytes(Range<Int>)
    /// The last so many bytes, or the whole object when it is smaller.
    case last(Int)
}

/// What a store says of an object.
public struct ObjectInfo: Sendable, Equatable {
    /// The key, without the store's own prefix.
    public let key: ObjectKey
    /// Size in bytes, of the whole object.
    public let size: Int
    /// Changes whenever the content does; opaque.
    ///
    /// Nil in a directory.
    public let tag: String?
    /// Last change, in seconds since 1970, by the store's clock.
    public let modifiedSeconds: Int
    /// CRC-32C of the whole object where the store keeps it.
    public let crc32c: UInt32?

    /// Makes a description from its parts.
    public init(key: ObjectKey, size: Int, tag: String?, modifiedSeconds: Int, crc32c: UInt32?) {
        self.key = key
        self.size = size
        self.tag = tag
        self.modifiedSeconds = modifiedSeconds
        self.crc32c = crc32c
    }
}

/// What a listing went through.
public struct ListSummary: Sendable, Equatable {
    /// Objects handed to the caller.
    public var objects = 0
    /// Names below the prefix that are no keys, such as folder markers; somebody else's, and left alone.
    public var foreign = 0

    /// Nothing yet.
    public init() {}
}

extension ObjectStore {
    /// Stores bytes under `key`, replacing what was there.
    @discardableResult
    public func put(_ key: ObjectKey, bytes: [UInt8]) throws(ObjectStoreError) -> ObjectInfo {
        try put(key, .bytes(bytes), condition: .none)
    }

    /// Stores bytes under `key` unless there is an object already.
    /// - Returns: false when there is one.
    public func putIfAbsent(_ key: ObjectKey, bytes: [UInt8]) throws(ObjectStoreError) -> Bool {
        do throws(ObjectStoreError) {
            try put(key, .bytes(bytes), condition: .ifAbsent)
            return true
        } catch .preconditionFailed {
            return false
        }
    }

    /// The bytes of an object, or a part of them.
    /// - Throws: `.tooLarge` before more than `limit` bytes are kept.
    public func read(_ key: ObjectKey, _ range: ObjectRange = .all, limit: Int) throws(ObjectStoreError) -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            try get(key, range) { piece in
                guard piece.count <= limit - bytes.count else {
                    throw ObjectStoreError.tooLarge(at: path(of: key), limit: limit)
                }
                bytes.append(contentsOf: piece)
            }
        } catch let error as ObjectStoreError {
            throw error
        } catch {
            throw .unexpected(at: path(of: key), "\(error)")
        }
        return bytes
    }

    /// Objects whose key begins with `prefix`, sorted by key.
    /// - Throws: `.tooMany` when there are more than `limit`.
    public func list(prefix: String, limit: Int) throws(ObjectStoreError) -> [ObjectInfo] {
        var objects: [ObjectInfo] = []
        do {
            try list(prefix: prefix, after: nil) { object in
                guard objects.count < limit else {
                    throw ObjectStoreError.tooMany(below: location + "/" + prefix, limit: limit)
                }
                objects.append(object)
                return true
            }
        } catch let error as ObjectStoreError {
            throw error
        } catch {
            throw .unexpected(at: location + "/" + prefix, "\(error)")
        }
        return objects.sorted { $0.key < $1.key }
    }

    /// Whether there is an object under `key`.
    public func exists(_ key: ObjectKey) throws(ObjectStoreError) -> Bool {
        do throws(ObjectStoreError) {
            _ = try head(key)
            return true
        } catch .notFound {
            return false
        }
    }

    /// Key and store in one text, for messages.
    public func path(of key: ObjectKey) -> String { location + "/" + key.text }
}
