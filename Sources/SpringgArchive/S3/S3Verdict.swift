/// What an answer, or its absence, means for the call.
enum S3Verdict: Equatable {
    /// It worked.
    case success
    /// Send it again after a pause; the error is what is thrown when the patience ends.
    case retry(RetryRule.Reason, ObjectStoreError)
    /// This machine's clock is off: sign with the server's time.
    case correctClock(serverSeconds: Int, ObjectStoreError)
    /// The keys are no longer good: fetch new ones.
    case renewCredentials(ObjectStoreError)
    /// Nothing will change it.
    case fail(ObjectStoreError)

    /// What is thrown when this verdict is the last; nil for success.
    var error: ObjectStoreError? {
        switch self {
        case .success: nil
        case .retry(_, let error), .correctClock(_, let error), .renewCredentials(let error), .fail(let error): error
        }
    }

    /// Seconds by which S3 lets clocks differ, of its fifteen minutes; beyond it a refusal without a reason is the clock's.
    private static let clockTolerance = 14 * 60

    /// Judges an answer.
    ///
    /// `place` is store and key, `store` the bucket; `localSeconds` is the time that it was signed with.
    init(_ answer: HTTPAnswer, place: String, store: String, localSeconds: Int) {
        if answer.isSuccess {
            self = .success
            return
        }
        self.init(
            S3Problem(answer),
            serverSeconds: answer.dateSeconds,
            place: place,
            store: store,
            localSeconds: localSeconds
        )
    }

    init(_ problem: S3Problem, serverSeconds: Int?, place: String, store: String, localSeconds: Int) {
        let text = problem.description
        let isSkewed = serverSeconds.map { abs($0 - localSeconds) > S3Verdict.clockTolerance } ?? false
        switch (problem.code, problem.status) {
        case ("RequestTimeTooSkewed", _), ("RequestExpired", _), ("RequestInTheFuture", _):
            let error = ObjectStoreError.accessDenied(at: place, text + "; check this machine's clock")
            self = serverSeconds.map { .correctClock(serverSeconds: $0, error) } ?? .fail(error)
        // An answer to HEAD has no body and so no code.
        case (nil, 403) where isSkewed:
            self = .correctClock(serverSeconds: serverSeconds ?? 0, .accessDenied(at: place, text))
        case ("ExpiredToken", _), ("ExpiredTokenException", _), ("InvalidToken", _), ("TokenRefreshRequired", _),
            ("InvalidAccessKeyId", _), ("InvalidClientTokenId", _), ("SignatureDoesNotMatch", _), (nil, 403),
            (nil, 400), (_, 401):
            self = .renewCredentials(.accessDenied(at: place, text))
        case ("NoSuchBucket", _): self = .fail(.storeNotFound("bucket " + store))
        case ("SlowDown", _), ("SlowDownRead", _), ("SlowDownWrite", _), ("Throttling", _), ("ThrottlingException", _),
            ("RequestLimitExceeded", _), ("TooManyRequests", _), ("ServiceUnavailable", 503), (_, 429):
            self = .retry(.overload(afterSeconds: problem.retryAfterSeconds), .throttled(at: place, text))
        case ("ConditionalRequestConflict", _), ("OperationAborted", _):
            self = .retry(.trouble, .unavailable(at: place, text))
        // The body did not arrive as it was sent. What stays so is this machine's memory or the network's.
        case ("BadDigest", _), ("XAmzContentSHA256Mismatch", _), ("XAmzContentChecksumMismatch", _):
            self = .retry(.trouble, .damaged(at: place, "on its way to the store: " + text))
        case ("RequestTimeout", _), ("IncompleteBody", _), ("InternalError", _), (_, 408):
            self = .retry(.trouble, .unavailable(at: place, text))
        case (_, 503):
            self = .retry(.overload(afterSeconds: problem.retryAfterSeconds), .unavailable(at: place, text))
        case ("XMinioStorageFull", _), ("QuotaExceeded", _), (_, 507): self = .fail(.full(at: place, text))
        case ("NotImplemented", _), (_, 501): self = .fail(.unsupported(place, text))
        case (_, 403): self = .fail(.accessDenied(at: place, text))
        case (_, 404): self = .fail(.notFound(at: place))
        case (_, 412): self = .fail(.preconditionFailed(at: place))
        case (_, 416): self = .fail(.invalidRange(at: place))
        case (_, 300..<400), ("AuthorizationHeaderMalformed", _), ("PermanentRedirect", _):
            let region = problem.region.map { ", which is in region \($0): set s3_region" } ?? ""
            self = .fail(.invalidLocation(store, "this endpoint is not the bucket's" + region + " (\(text))"))
        case (_, 500...): self = .retry(.trouble, .unavailable(at: place, text))
        default: self = .fail(.unexpected(at: place, text))
        }
    }

    /// Judges a request that got no answer.
    init(_ failure: HTTPFailure, place: String) {
        switch failure {
        case .unreachable(let text), .timedOut(let text), .broken(let text):
            self = .retry(.trouble, .unavailable(at: place, text))
        case .tls(let text): self = .fail(.unavailable(at: place, "no secure connection: " + text))
        case .invalid(let text): self = .fail(.unexpected(at: place, text))
        case .localFile(let error): self = .fail(.localFile(error))
        case .consumer(let error): self = .fail(.unexpected(at: place, "\(error)"))
        case .closed: self = .fail(.closed)
        }
    }
}

/// Status and error document of a refusal.
struct S3Problem: Equatable, CustomStringConvertible {
    let status: Int
    /// The stable name of the error; nil when the answer has no error document.
    let code: String?
    let message: String?
    /// The region that the bucket is in, where the store says so.
    let region: String?
    let retryAfterSeconds: Int?

    init(_ answer: HTTPAnswer) {
        let document = XMLElement(answer.body)
        self.init(answer, document?.name == "Error" ? document : nil)
    }

    /// The error document may stand in a success: completing an upload answers 200 before the end is known.
    init(_ answer: HTTPAnswer, _ document: XMLElement?) {
        status = answer.status
        code = document?["Code"].map { S3Problem.printable($0, max: 64) }
        message = document?["Message"].map { S3Problem.printable($0, max: 200) }
        let region = answer.header("x-amz-bucket-region") ?? document?["Region"]
        self.region = region.map { S3Problem.printable($0, max: 32) }
        retryAfterSeconds = answer.header("retry-after").flatMap { Int($0) }
    }

    /// What a server wrote, made fit for a log: one line, of bounded length.
    private static func printable(_ text: String, max count: Int) -> String {
        // Sentences of ours go on behind it.
        let text = text.hasSuffix(".") ? text.dropLast() : text[...]
        return String(text.map { $0.isNewline || $0.asciiValue.map { $0 < 0x20 } == true ? " " : $0 }.prefix(count))
    }

    /// Status, code and message, such as `503 SlowDown: Please reduce your request rate`.
    var description: String {
        let parts = [code, message].compactMap { $0 }.filter { !$0.isEmpty }
        return parts.isEmpty ? "status \(status)" : "\(status) " + parts.joined(separator: ": ")
    }
}
