import NIOHTTP1

/// What the body of a request is.
///
/// Everything that is not one of ours is read as JSON: clients of the Go program send any type, or none.
enum MediaType {
    case json
    /// `application/x-ndjson`: one JSON document a line.
    case jsonLines
    /// `application/vnd.springg.f32`: components as little-endian float32.
    case float32

    init(_ headers: HTTPHeaders) {
        guard let value = headers.first(name: "content-type"), value.utf8.count > 16 else {
            self = .json
            return
        }
        switch value.prefix(while: { $0 != ";" }).lowercased() {
        case "application/x-ndjson", "application/x-ndjson ": self = .jsonLines
        case "application/vnd.springg.f32", "application/vnd.springg.f32 ": self = .float32
        default: self = .json
        }
    }
}
