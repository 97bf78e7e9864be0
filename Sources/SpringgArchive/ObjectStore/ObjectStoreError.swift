public import SpringgLog

/// Every way in which an object store can fail.
///
/// `at` is store and key in one text. Each description ends with what an operator can do; none holds a secret.
public enum ObjectStoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A text that cannot be a key.
    case invalidKey(String, String)
    /// A text that cannot be the place of a store, or settings that contradict each other.
    case invalidLocation(String, String)
    /// There is no such object.
    case notFound(at: String)
    /// There is no such bucket or directory.
    case storeNotFound(String)
    /// The key was taken by somebody else.
    case preconditionFailed(at: String)
    /// The object became another one while it was read.
    case changed(at: String)
    /// The range asked for goes beyond the object's end.
    case invalidRange(at: String)
    /// No credentials were found or could be had; the text says where was looked.
    case noCredentials(String)
    /// The store knows who asks, or refuses to, and says no.
    case accessDenied(at: String, String)
    /// The store asked to be left alone, again and again.
    case throttled(at: String, String)
    /// The store cannot be reached, does not answer, or answers that it is in trouble.
    case unavailable(at: String, String)
    /// The bytes that came are not those that were stored.
    case damaged(at: String, String)
    /// An object has more bytes than the caller accepts.
    case tooLarge(at: String, limit: Int)
    /// A listing has more objects than the caller accepts.
    case tooMany(below: String, limit: Int)
    /// The store lacks something that cannot be done without.
    case unsupported(String, String)
    /// The store is full, or a quota is.
    case full(at: String, String)
    /// A local file could not be read or written.
    case localFile(FileSystemError)
    /// An answer that no store should give.
    case unexpected(at: String, String)
    /// The store object was closed.
    case closed

    /// True when it says something about the object, and not about the way to it.
    var isOfTheObject: Bool {
        switch self {
        case .notFound, .damaged, .tooLarge, .invalidRange: true
        default: false
        }
    }

    /// What a call threw that may throw anything.
    init(wrapping error: any Error, at place: String) {
        switch error {
        case let error as ObjectStoreError: self = error
        case let error as FileSystemError: self = .localFile(error)
        default: self = .unexpected(at: place, "\(error)")
        }
    }

    /// True when the same call may well succeed later without anybody doing anything.
    public var isTransient: Bool {
        switch self {
        case .throttled, .unavailable, .noCredentials: true
        default: false
        }
    }

    /// What happened, where, and what to do.
    public var description: String {
        switch self {
        case .invalidKey(let text, let reason): "\"\(text.prefix(80))\" is no key of an object: \(reason)."
        case .invalidLocation(let text, let reason):
            "\(text): \(reason). Give s3://BUCKET/PREFIX or file:///DIRECTORY."
        case .notFound(let path):
            "there is no object \(path). Check bucket and prefix; `springg backups` lists what is there."
        case .storeNotFound(let place): "there is no \(place). Create it, or correct its name, region or endpoint."
        case .preconditionFailed(let path): "\(path) exists already: another writer was first. Nothing was changed."
        case .changed(let path): "\(path) was replaced while it was read. Run the command again."
        case .invalidRange(let path):
            "\(path) is shorter than what refers to it says. Verify the archive with `springg backups verify`."
        case .noCredentials(let reason):
            "no credentials: \(reason). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile in ~/.aws/credentials, or give the instance a role."
        case .accessDenied(let path, let reason):
            "\(path): access denied (\(reason)). Check the credentials and that their policy allows s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket there."
        case .throttled(let path, let reason):
            "\(path): the store asks for fewer requests (\(reason)). It is tried again later; if this stays, raise s3_sync_interval or the store's limits."
        case .unavailable(let path, let reason):
            "\(path): \(reason). It is tried again later; if this stays, check network, endpoint and the store itself."
        case .damaged(let path, let reason):
            "\(path) is damaged: \(reason). Run the command again; if it stays, restore the object from a copy or an older version."
        case .tooLarge(let path, let limit):
            "\(path) has more than \(limit) bytes, more than such an object can have. Check what stored it."
        case .tooMany(let path, let limit):
            "there are more than \(limit) objects below \(path). Check s3_retention, and that nobody else uses this prefix."
        case .unsupported(let place, let reason): "\(place): \(reason). Use another store."
        case .full(let path, let reason):
            "\(path): no room (\(reason)). Free space or raise the quota."
        case .localFile(let error): "\(error). Check the disk and the permissions."
        case .unexpected(let path, let reason):
            "\(path): unexpected answer: \(reason). Check that the endpoint is an S3 service."
        case .closed: "the object store was closed. Start the node or the command again."
        }
    }
}
