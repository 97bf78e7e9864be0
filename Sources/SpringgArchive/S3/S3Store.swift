import Glibc
public import SpringgLog

/// An object store in a bucket of S3, or of a service that speaks its language.
///
/// What is sent is signed by us and carried by libcurl. Each call blocks its caller's thread; `S3Options.connectionsMax` bounds
/// how many are under way at once. Memory does not depend on the size of objects: bodies are read and consumed in pieces.
public final class S3Store: ObjectStore {
    /// See `ObjectStore`.
    public let location: String
    let prefix: String
    let connection: S3Connection

    /// Opens a bucket; nothing is sent yet.
    ///
    /// `environment` is where credentials, certificates and a default endpoint are looked up.
    /// - Throws: `.invalidLocation` when the settings cannot be used.
    public convenience init(
        bucket: String,
        prefix: String,
        options: S3Options = S3Options(),
        environment: (@Sendable (String) -> String?)? = nil,
        fileSystem: any FileSystem = PosixFileSystem()
    ) throws(ObjectStoreError) {
        let environment = environment ?? { name in getenv(name).map { String(cString: $0) } }
        let certificates = environment("AWS_CA_BUNDLE").flatMap { $0.isEmpty ? nil : $0 }
        let transport = CurlClient(connectionsMax: options.connectionsMax, certificates: certificates)
        let closing = Turnstile(0)
        let clock = StoreClock.system(closing: closing)
        try self.init(
            bucket: bucket,
            prefix: prefix,
            options: options,
            environment: environment,
            transport: transport,
            credentials: CredentialChain(
                environment: environment,
                transport: transport,
                fileSystem: fileSystem,
                wallClockSeconds: clock.wallSeconds
            ),
            clock: clock,
            closing: closing,
            random: SystemRandomNumberGenerator()
        )
    }

    /// A store whose time, luck and network are a test's.
    package convenience init(
        bucket: String,
        prefix: String,
        options: S3Options,
        environment: @escaping Environment,
        transport: any HTTPTransport,
        credentials: CredentialChain,
        clock: StoreClock,
        random: any RandomNumberGenerator & Sendable
    ) throws(ObjectStoreError) {
        try self.init(
            bucket: bucket,
            prefix: prefix,
            options: options,
            environment: environment,
            transport: transport,
            credentials: credentials,
            clock: clock,
            closing: Turnstile(0),
            random: random
        )
    }

    private init(
        bucket: String,
        prefix: String,
        options: S3Options,
        environment: Environment,
        transport: any HTTPTransport,
        credentials: CredentialChain,
        clock: StoreClock,
        closing: Turnstile,
        random: any RandomNumberGenerator & Sendable
    ) throws(ObjectStoreError) {
        let place = try ObjectStoreURL.checkedS3(bucket: bucket, prefix: prefix)
        guard case .s3(_, let prefix) = place else { preconditionFailure("an S3 location that is none: \(place)") }
        guard options.partBytes > 0, options.connectionsMax > 0, options.attemptsMax > 0 else {
            throw .invalidLocation(place.description, "sizes and counts of the options must be positive")
        }
        self.location = place.description
        self.prefix = prefix
        self.connection = S3Connection(
            bucket: bucket,
            options: options,
            address: try S3Address(bucket: bucket, options, environment: environment),
            transport: transport,
            credentials: credentials,
            clock: clock,
            closing: closing,
            random: random
        )
    }

    /// See `ObjectStore`.
    public func close() { connection.close() }

    /// The key as the bucket knows it.
    func fullKey(_ key: String) -> String { prefix.isEmpty ? key : prefix + "/" + key }

    /// An operation on one object.
    func operation(_ method: String, _ key: ObjectKey) -> S3Operation {
        S3Operation(method: method, fullKey: fullKey(key.text), place: path(of: key))
    }
}
