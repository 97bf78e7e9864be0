extension ObjectStoreURL {
    /// Opens the store that this names; `options` are those of a bucket.
    ///
    /// A bucket is not asked for anything yet, and never made; a directory is made when it is missing and may be. Where it need not
    /// be there (`mustExist`) every call fails until it is.
    public func open(
        _ options: S3Options,
        createIfMissing: Bool,
        mustExist: Bool = true
    ) throws(ObjectStoreError) -> any ObjectStore {
        switch self {
        case .directory(let path):
            try DirectoryStore(path: path, createIfMissing: createIfMissing, mustExist: mustExist)
        case .s3(let bucket, let prefix): try S3Store(bucket: bucket, prefix: prefix, options: options)
        }
    }
}
