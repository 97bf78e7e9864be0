import NIOHTTP1
import SpringgProjections

/// What went wrong, in a word that programs may rely on: a word never changes its meaning, while texts may be improved.
package enum ErrorCode: String, Sendable, CaseIterable {
    case invalidRequest = "invalid_request"
    case unauthorized
    case forbidden
    case notFound = "not_found"
    case conflict
    case requestTimeout = "request_timeout"
    case payloadTooLarge = "payload_too_large"
    case unsupportedMediaType = "unsupported_media_type"
    case tooManyRequests = "too_many_requests"
    case headerTooLarge = "header_too_large"
    case internalError = "internal_error"
    case unavailable
    case timeout
    case indexNotFound = "index_not_found"
    case indexExists = "index_exists"
    case indexFull = "index_full"
    case vectorNotFound = "vector_not_found"
    case dimensionMismatch = "dimension_mismatch"
    case markExists = "mark_exists"
    case memoryLimit = "memory_limit"
    case diskFull = "disk_full"
    case readOnly = "read_only"
    case writeFailed = "write_failed"
    case writesRefused = "writes_refused"
    case overloaded
    case starting
    case shuttingDown = "shutting_down"
    case notReady = "not_ready"

    /// The word for an error that says no more than its status does.
    init(_ status: HTTPResponseStatus) {
        switch status {
        case .unauthorized: self = .unauthorized
        case .forbidden: self = .forbidden
        case .notFound: self = .notFound
        case .conflict: self = .conflict
        case .requestTimeout: self = .requestTimeout
        case .payloadTooLarge: self = .payloadTooLarge
        case .unsupportedMediaType: self = .unsupportedMediaType
        case .tooManyRequests: self = .tooManyRequests
        case .requestHeaderFieldsTooLarge: self = .headerTooLarge
        case .serviceUnavailable: self = .unavailable
        case .gatewayTimeout: self = .timeout
        default: self = status.code < 500 ? .invalidRequest : .internalError
        }
    }

    /// The word for what the database refused a command with.
    init(_ error: CommandError) {
        switch error {
        case .indexNotFound: self = .indexNotFound
        case .indexExists: self = .indexExists
        case .vectorNotFound: self = .vectorNotFound
        case .markExists: self = .markExists
        case .dimensionMismatch: self = .dimensionMismatch
        case .invalidDimensions, .invalidOptions: self = .invalidRequest
        case .indexFull: self = .indexFull
        case .memoryLimitExceeded: self = .memoryLimit
        case .diskFull: self = .diskFull
        case .readOnly: self = .readOnly
        case .writeFailed: self = .writeFailed
        case .writesRefused: self = .writesRefused
        case .shuttingDown: self = .shuttingDown
        }
    }
}
