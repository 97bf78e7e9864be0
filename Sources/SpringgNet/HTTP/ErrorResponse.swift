import NIOHTTP1
import SpringgProjections

/// A request that is answered with an error: the one place where errors become status codes and texts.
struct RequestError: Error, Sendable {
    let status: HTTPResponseStatus
    let text: String
    let code: ErrorCode
    /// Seconds after which trying again makes sense, for the Retry-After header; 0 = none.
    var retryAfterSeconds = 0
    /// The limit that the request ran into; nil when there is another reason.
    let limit: Limit?

    /// - Parameters:
    ///   - status: Of the answer.
    ///   - text: For people.
    ///   - code: For programs; nil when the status says it all.
    ///   - retryAfterSeconds: When to try again; 0 = nobody knows.
    ///   - limit: What it ran into.
    init(
        _ status: HTTPResponseStatus,
        _ text: String,
        code: ErrorCode? = nil,
        retryAfterSeconds: Int = 0,
        limit: Limit? = nil
    ) {
        self.limit = limit
        self.status = status
        self.text = text
        self.code = code ?? ErrorCode(status)
        self.retryAfterSeconds = retryAfterSeconds
    }

    static func badRequest(_ text: String) -> RequestError {
        RequestError(.badRequest, text)
    }

    static func indexNotFound(_ name: IndexName) -> RequestError {
        RequestError(CommandError.indexNotFound(name))
    }

    static let invalidBody = RequestError.badRequest("Invalid request body")
    static let idRequired = RequestError.badRequest("ID is required")
    static let tooManyVectors = RequestError.badRequest("at most \(bulkItemsMax) vectors are allowed in one request")
    static let vectorRequired = RequestError.badRequest("Vector is required")

    static func invalidIndexName(_ name: String) -> RequestError {
        .badRequest("invalid index name: \(name) (allowed: 1 to 128 of A-Z a-z 0-9 _ . - but not . or ..)")
    }

    /// What the database refused a command with.
    init(_ error: CommandError) {
        let status: HTTPResponseStatus
        switch error {
        case .indexNotFound, .vectorNotFound: status = .notFound
        case .indexExists, .markExists: status = .conflict
        case .dimensionMismatch, .invalidDimensions, .invalidOptions, .indexFull: status = .badRequest
        case .memoryLimitExceeded, .writeFailed: status = .internalServerError
        case .writesRefused: status = .forbidden
        case .diskFull: status = .insufficientStorage
        case .readOnly, .shuttingDown: status = .serviceUnavailable
        }
        let code = ErrorCode(error)
        let limit: Limit? = code == .memoryLimit ? .memory : code == .diskFull ? .disk : nil
        self.init(status, error.description, code: code, limit: limit)
    }
}
