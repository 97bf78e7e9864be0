/// How a bucket is reached; `nil` and empty texts mean what AWS's own programs would do.
public struct S3Options: Sendable {
    /// Region of the bucket, part of every signature.
    public var region = "us-east-1"
    /// `https://host:port` of a service that is not AWS.
    public var endpoint = ""
    /// Whether the bucket stands in the path instead of the host's name.
    public var forcesPathStyle = false
    /// Encryption that is asked for with every object.
    public var encryption = S3Encryption.bucketDefault
    /// Bytes of one part of a large upload; what is no larger goes in one request.
    ///
    /// S3 allows no less than 5 MiB for all parts but the last.
    public var partBytes = 16 << 20
    /// Transfers at once; more callers wait.
    public var connectionsMax = 16
    /// Attempts that one call makes in a row without getting ahead.
    public var attemptsMax = 8
    /// Time until a connection stands.
    public var connectTimeoutMilliseconds = 5_000
    /// Time without a byte after which a transfer counts as broken.
    public var stallTimeoutSeconds = 60

    /// AWS, with the bucket's own encryption.
    public init() {}

    /// As the variables say that the server's settings have (`SPRINGG_S3_…`), and AWS's own for the region.
    ///
    /// An endpoint that none of these names is looked up in AWS's variables when the bucket is opened.
    public init(environment: (String) -> String?) {
        func value(_ names: String...) -> String? { names.lazy.compactMap(environment).first { !$0.isEmpty } }
        region = value("SPRINGG_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION") ?? region
        endpoint = value("SPRINGG_S3_ENDPOINT") ?? ""
        forcesPathStyle = value("SPRINGG_S3_FORCE_PATH_STYLE") == "true"
    }

    /// Parts that an upload may have.
    static let partsMax = 10_000
}

/// Encryption by the store.
public enum S3Encryption: Sendable, Equatable {
    /// What the bucket is set to.
    case bucketDefault
    /// With the service's own keys (`AES256`).
    case managedKeys
    /// With a key of the key service; empty for the account's default key.
    case keyService(keyID: String)

    /// Reads the settings `s3_sse` and `s3_sse_kms_key_id`.
    /// - Throws: `.invalidLocation` for any text but `bucket`, `AES256` and `aws:kms`.
    public init(setting: String, keyID: String) throws(ObjectStoreError) {
        guard keyID.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw .invalidLocation("s3_sse_kms_key_id", "the name of a key has no blanks")
        }
        switch setting {
        case "bucket" where keyID.isEmpty: self = .bucketDefault
        case "AES256" where keyID.isEmpty: self = .managedKeys
        case "aws:kms": self = .keyService(keyID: keyID)
        default:
            throw .invalidLocation(
                "s3_sse \(setting)",
                "s3_sse is bucket, AES256 or aws:kms, and only the last has a key"
            )
        }
    }

    /// The headers that ask for it.
    var headers: [HTTPField] {
        switch self {
        case .bucketDefault: []
        case .managedKeys: [HTTPField("x-amz-server-side-encryption", "AES256")]
        case .keyService(let keyID):
            [HTTPField("x-amz-server-side-encryption", "aws:kms")]
                + (keyID.isEmpty ? [] : [HTTPField("x-amz-server-side-encryption-aws-kms-key-id", keyID)])
        }
    }
}

/// Where the requests for a bucket go.
package struct S3Address: Sendable, Equatable {
    /// Scheme, host and port, the bucket in front of the host where that can be.
    package let endpoint: HTTPEndpoint
    /// What stands before the key in the path, with a slash at its end.
    package let root: String

    /// Works out host and path style.
    ///
    /// The path is used where a bucket cannot be a part of the host's name: for addresses and single words such as `localhost`
    /// and, since certificates cover one level only, for buckets with a dot.
    package init(
        bucket: String,
        _ options: S3Options,
        environment: (String) -> String?
    ) throws(ObjectStoreError) {
        guard !options.region.isEmpty, options.region.utf8.allSatisfy(PercentEncoding.isUnreserved) else {
            throw .invalidLocation("s3_region \(options.region)", "a region has letters, digits and dashes")
        }
        let given = [options.endpoint, environment("AWS_ENDPOINT_URL_S3") ?? "", environment("AWS_ENDPOINT_URL") ?? ""]
        let base: HTTPEndpoint
        if let text = given.first(where: { !$0.isEmpty }) {
            guard let parsed = HTTPEndpoint(text) else {
                throw .invalidLocation("s3_endpoint \(text)", "an endpoint is http://HOST:PORT or https://HOST:PORT")
            }
            base = parsed
        } else {
            let suffix = options.region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
            base = HTTPEndpoint(isSecure: true, host: "s3.\(options.region).\(suffix)")
        }
        let encoded = PercentEncoding.encode(bucket)
        if options.forcesPathStyle || base.isAddress || !base.host.contains(".") || bucket.contains(".") {
            (endpoint, root) = (base, "/" + encoded + "/")
        } else {
            (endpoint, root) = (
                HTTPEndpoint(isSecure: base.isSecure, host: bucket + "." + base.host, port: base.port), "/"
            )
        }
    }
}
