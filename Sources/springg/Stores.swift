import Glibc
import SpringgArchive
import SpringgConfiguration
import SpringgLog

/// Opens what commands are given as places of logs and snapshots.
struct Stores {
    /// The configuration, read only when a bucket is to be opened.
    private let settings: () throws -> Configuration

    /// By a configuration that is at hand.
    init(_ settings: Configuration) { self.settings = { settings } }

    /// By the configuration that a command would find.
    init(_ file: ConfigurationFileOption) { settings = { try Configuration.load(explicitFile: file.file) } }

    /// A store by its place: a directory or a bucket.
    func open(_ place: String, createIfMissing: Bool) throws -> any ObjectStore {
        try CommandFailure.wrap {
            let url = try ObjectStoreURL(place)
            // A directory's store needs no configuration, and so no flaw of one stands in its way.
            guard case .s3 = url else { return try url.open(S3Options(), createIfMissing: createIfMissing) }
            return try url.open(S3Options(settings()), createIfMissing: createIfMissing)
        }
    }

    /// The archive of the configuration; nil without one.
    func archive(createIfMissing: Bool) throws -> (any ObjectStore)? {
        let settings = try settings()
        return try Node.archivePlace(settings).map { place in
            try CommandFailure.wrap { try place.open(S3Options(settings), createIfMissing: createIfMissing) }
        }
    }

    /// What a restore reads from.
    func source(_ places: [String]) throws -> RestoreSource {
        try CommandFailure.wrap {
            var source = RestoreSource()
            for place in places {
                try source.add(place, fileSystem: PosixFileSystem()) { try open($0, createIfMissing: false) }
            }
            return source
        }
    }
}

extension S3Options {
    /// How the settings want buckets reached; the region of AWS's own variables where they say none.
    init(_ settings: Configuration) throws(ObjectStoreError) {
        self.init()
        let names = settings.isSet(Keys.s3Region) ? [] : ["AWS_REGION", "AWS_DEFAULT_REGION"]
        let regions = names.compactMap { getenv($0).map { String(cString: $0) } }
        region = regions.first { !$0.isEmpty } ?? settings[Keys.s3Region]
        endpoint = settings[Keys.s3Endpoint]
        forcesPathStyle = settings[Keys.s3ForcePathStyle]
        encryption = try S3Encryption(setting: settings[Keys.s3SSE], keyID: settings[Keys.s3SSEKMSKeyID])
    }
}
