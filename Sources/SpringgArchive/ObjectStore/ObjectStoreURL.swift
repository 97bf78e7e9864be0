/// Where an archive is: `s3://bucket/prefix`, `file:///directory` or the path of a directory.
public enum ObjectStoreURL: Sendable, Equatable, CustomStringConvertible {
    /// A bucket, and the beginning that all keys have there, without slashes at its ends; may be empty.
    case s3(bucket: String, prefix: String)
    /// A directory.
    case directory(path: String)

    /// Leaves room for `ObjectKey.bytesMax` and a slash within the 1,024 bytes of S3.
    public static let prefixBytesMax = 300

    /// Reads one of the three forms.
    /// - Throws: `.invalidLocation`, which says what is wrong.
    public init(_ text: String) throws(ObjectStoreError) {
        if let rest = text.dropping(prefix: "s3://") {
            let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            self = try .checkedS3(bucket: parts[0], prefix: parts.count > 1 ? parts[1] : "", text)
        } else if let rest = text.dropping(prefix: "file://") {
            // A host between the slashes would be another machine's file.
            guard rest.hasPrefix("/") else {
                throw .invalidLocation(text, "a file URL has three slashes: file:///directory")
            }
            guard !rest.contains("%") else {
                throw .invalidLocation(text, "percent signs are not decoded: give the path without file://")
            }
            self = try .checkedDirectory(rest, text)
        } else if let colon = text.firstRange(of: "://") {
            throw .invalidLocation(text, "\(text[..<colon.lowerBound]) is no known kind of store")
        } else {
            self = try .checkedDirectory(text, text)
        }
    }

    /// A bucket and prefix from settings, slashes at the prefix's ends forgiven.
    public static func checkedS3(bucket: String, prefix: String) throws(ObjectStoreError) -> ObjectStoreURL {
        try checkedS3(bucket: bucket, prefix: prefix, "s3://\(bucket)/\(prefix)")
    }

    private static func checkedS3(
        bucket: String,
        prefix: String,
        _ text: String
    ) throws(ObjectStoreError) -> ObjectStoreURL {
        // AWS allows less; other services have had capitals and underscores.
        let isName = bucket.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
            default: false
            }
        }
        guard isName, (3...63).contains(bucket.utf8.count), !bucket.hasPrefix("."), !bucket.contains("..") else {
            throw .invalidLocation(text, "a bucket's name has 3 to 63 letters, digits, dots and dashes")
        }
        var prefix = prefix[...]
        while prefix.hasPrefix("/") { prefix.removeFirst() }
        while prefix.hasSuffix("/") { prefix.removeLast() }
        guard prefix.utf8.count <= prefixBytesMax else {
            throw .invalidLocation(text, "the prefix has more than \(prefixBytesMax) bytes")
        }
        if !prefix.isEmpty, let problem = ObjectKey.problem(with: String(prefix)) {
            throw .invalidLocation(text, "the prefix cannot be used: \(problem)")
        }
        return .s3(bucket: bucket, prefix: String(prefix))
    }

    private static func checkedDirectory(_ path: String, _ text: String) throws(ObjectStoreError) -> ObjectStoreURL {
        guard !path.isEmpty, !path.utf8.contains(0) else { throw .invalidLocation(text, "there is no path") }
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return .directory(path: path)
    }

    /// The form that `init` reads.
    public var description: String {
        switch self {
        case .s3(let bucket, let prefix): prefix.isEmpty ? "s3://" + bucket : "s3://" + bucket + "/" + prefix
        case .directory(let path): path.hasPrefix("/") ? "file://" + path : path
        }
    }
}

extension String {
    /// What follows `prefix`, or nil when the text does not begin with it.
    func dropping(prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
