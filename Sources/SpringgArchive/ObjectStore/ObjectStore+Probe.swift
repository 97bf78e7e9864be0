extension ObjectStore {
    /// Whether the store keeps `.ifAbsent`, on which the archive relies to have one writer for each manifest.
    ///
    /// Some services accept the condition and overwrite all the same. Writes one small object, `probe/conditional-write`,
    /// which stays: removing it would need another permission, and two nodes that probe at once do not disturb each other.
    public func honoursIfAbsent() throws(ObjectStoreError) -> Bool {
        let key = try ObjectKey("probe/conditional-write")
        let bytes = Array("Springg writes this to see whether the store refuses to write it twice.\n".utf8)
        try put(key, bytes: bytes)
        return try !putIfAbsent(key, bytes: bytes)
    }
}

extension ObjectStoreURL {
    /// Opens the store at this place; a directory is made when `createIfMissing`, a bucket never.
    public func open(
        s3 options: S3Options = S3Options(),
        createIfMissing: Bool
    ) throws(ObjectStoreError) -> any ObjectStore {
        switch self {
        case .s3(let bucket, let prefix): try S3Store(bucket: bucket, prefix: prefix, options: options)
        case .directory(let path): try DirectoryStore(path: path, createIfMissing: createIfMissing)
        }
    }
}
