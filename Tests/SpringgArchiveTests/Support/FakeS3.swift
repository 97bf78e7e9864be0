import SpringgArchive
import SpringgLog
import SpringgTestKit
import Synchronization

/// A bucket in memory that checks every request by AWS's rules, records what is wrong, and misbehaves on demand.
final class FakeS3: Sendable {
    struct Object: Sendable {
        var bytes: [UInt8]
        var tag: String
        var headers: [(name: String, value: String)]
    }

    struct Upload: Sendable {
        var key: String
        var parts: [Int: [UInt8]] = [:]
        var headers: [(name: String, value: String)]
        var begunSeconds: Int
    }

    /// What happens to a request: the operation may be done before the answer is spoiled.
    typealias Fault = @Sendable (StubServer.Request, _ operate: () -> StubServer.Answer) -> StubServer.Reply

    struct State: Sendable {
        var objects: [String: Object] = [:]
        var uploads: [String: Upload] = [:]
        var requests: [String] = []
        var broken: [String] = []
        var faults: [(matches: @Sendable (StubServer.Request) -> Bool, act: Fault)] = []
        var counter = 0
        /// The server's clock.
        var seconds = FakeS3.start
        var keys = FakeS3.keys
        var sessionToken: String?
        var ignoresConditions = false
        var pageMax = 7
    }

    static let start = 1_795_000_000
    static let keys = (id: "AKIDSTUB0001", secret: "stub/secret+with=signs")
    static let bucket = "test-bucket"

    let state = Mutex(State())
    private let server = Mutex<StubServer?>(nil)

    /// Starts the server.
    init() throws {
        let stub = try StubServer { [weak self] request in
            guard let self else { return .drop }
            return reply(request)
        }
        server.withLock { $0 = stub }
    }

    var endpoint: String { server.withLock { $0?.endpoint ?? "" } }

    /// Kills the server.
    func stop() { server.withLock { $0?.stop() } }

    /// Requests that broke a rule, with the rule.
    var broken: [String] { state.withLock { $0.broken } }

    /// `METHOD target` of every request so far.
    var requests: [String] { state.withLock { $0.requests } }

    /// Does `fault` to the next request that `matches`.
    func next(
        where matches: @escaping @Sendable (StubServer.Request) -> Bool = { _ in true },
        times: Int = 1,
        _ fault: @escaping Fault
    ) {
        state.withLock { state in for _ in 0..<times { state.faults.append((matches, fault)) } }
    }

    /// Answers the next request with a refusal.
    func refuse(
        _ method: String? = nil,
        status: Int,
        code: String,
        times: Int = 1,
        _ headers: [(name: String, value: String)] = []
    ) {
        next(where: { method == nil || $0.method == method }, times: times) { _, _ in
            .answer(FakeS3.error(status, code, headers))
        }
    }

    static func error(
        _ status: Int,
        _ code: String,
        _ headers: [(name: String, value: String)] = []
    ) -> StubServer.Answer {
        let document = "<?xml version=\"1.0\"?>\n<Error><Code>\(code)</Code><Message>As asked.</Message></Error>"
        return StubServer.Answer(status, headers, body: Array(document.utf8))
    }

    // MARK: - Requests

    private func reply(_ request: StubServer.Request) -> StubServer.Reply {
        let (fault, date): (Fault?, String) = state.withLock { state in
            state.requests.append(request.method + " " + request.target)
            let rules = RequestRules(secretKey: state.keys.secret, region: "eu-test-1")
            state.broken += rules.violations(request).map { "\(request.method) \(request.target): \($0)" }
            let index = state.faults.firstIndex { $0.matches(request) }
            return (index.map { state.faults.remove(at: $0).act }, FakeS3.httpDate(state.seconds))
        }
        func operate() -> StubServer.Answer {
            var answer = refusal(request) ?? operation(request)
            answer.headers.append(("Date", date))
            return answer
        }
        guard let fault else { return .answer(operate()) }
        return fault(request, operate)
    }

    /// Who may ask, and when.
    private func refusal(_ request: StubServer.Request) -> StubServer.Answer? {
        state.withLock { state in
            let time = request.header("x-amz-date") ?? ""
            let distance = FakeS3.compactSeconds(time).map { abs($0 - state.seconds) } ?? .max
            guard distance <= 15 * 60 else {
                return request.method == "HEAD" ? StubServer.Answer(403) : FakeS3.error(403, "RequestTimeTooSkewed")
            }
            guard request.header("authorization")?.contains("Credential=\(state.keys.id)/") == true else {
                return request.method == "HEAD" ? StubServer.Answer(403) : FakeS3.error(403, "InvalidAccessKeyId")
            }
            guard request.header("x-amz-security-token") == state.sessionToken else {
                return FakeS3.error(400, "ExpiredToken")
            }
            return nil
        }
    }

    private func operation(_ request: StubServer.Request) -> StubServer.Answer {
        let path = String(decoding: decode(request.path), as: UTF8.self)
        let root = "/" + FakeS3.bucket + "/"
        guard path.hasPrefix(root) else { return FakeS3.error(404, "NoSuchBucket") }
        let key = String(path.dropFirst(root.count))
        var query: [String: String] = [:]
        for pair in request.query.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            query[halves[0]] = String(decoding: decode(halves[1]), as: UTF8.self)
        }
        return state.withLock { state in
            switch (request.method, key.isEmpty) {
            case ("GET", true): query["uploads"] != nil ? FakeS3.uploads(state) : FakeS3.list(state, query)
            case ("POST", true): FakeS3.deleteMany(&state, request)
            case ("PUT", false) where query["partNumber"] != nil: FakeS3.putPart(&state, query, request)
            case ("PUT", false): FakeS3.put(&state, key, request.body, request)
            case ("GET", false), ("HEAD", false): FakeS3.get(state, key, request)
            case ("POST", false) where query["uploads"] != nil: FakeS3.begin(&state, key, request)
            case ("POST", false): FakeS3.complete(&state, key, query, request)
            case ("DELETE", false): FakeS3.delete(&state, key, query)
            default: FakeS3.error(405, "MethodNotAllowed")
            }
        }
    }

    private static func metadata(_ request: StubServer.Request) -> [(name: String, value: String)] {
        request.headers.filter { $0.name.hasPrefix("x-amz-meta-") || $0.name.hasPrefix("x-amz-server-side") }
    }

    private static func put(
        _ state: inout State,
        _ key: String,
        _ bytes: [UInt8],
        _ request: StubServer.Request,
        headers: [(name: String, value: String)]? = nil
    ) -> StubServer.Answer {
        if request.header("if-none-match") == "*", state.objects[key] != nil, !state.ignoresConditions {
            return error(412, "PreconditionFailed")
        }
        state.counter += 1
        let tag = "\"tag-\(state.counter)\""
        state.objects[key] = Object(bytes: bytes, tag: tag, headers: headers ?? metadata(request))
        return StubServer.Answer(200, [("ETag", tag)])
    }

    private static func get(_ state: State, _ key: String, _ request: StubServer.Request) -> StubServer.Answer {
        guard let object = state.objects[key] else {
            return request.method == "HEAD" ? StubServer.Answer(404) : error(404, "NoSuchKey")
        }
        if let wanted = request.header("if-match"), wanted != object.tag { return error(412, "PreconditionFailed") }
        var headers = object.headers + [("ETag", object.tag), ("Last-Modified", httpDate(state.seconds))]
        if request.header("x-amz-checksum-mode") == "ENABLED" {
            headers.append(("x-amz-checksum-crc32c", crcText(object.bytes)))
        }
        guard let range = request.header("range")?.dropFirst("bytes=".count) else {
            return StubServer.Answer(200, headers, body: object.bytes)
        }
        let ends = range.split(separator: "-", omittingEmptySubsequences: false)
        let first = Int(ends[0]) ?? 0
        let last = min(Int(ends[1]) ?? .max, object.bytes.count - 1)
        guard first <= last else { return error(416, "InvalidRange") }
        headers.append(("Content-Range", "bytes \(first)-\(last)/\(object.bytes.count)"))
        return StubServer.Answer(206, headers, body: Array(object.bytes[first...last]))
    }

    private static func list(_ state: State, _ query: [String: String]) -> StubServer.Answer {
        let start = query["continuation-token"] ?? query["start-after"] ?? ""
        let keys = state.objects.keys.filter { $0.hasPrefix(query["prefix"] ?? "") }
            .filter { start.utf8.lexicographicallyPrecedes($0.utf8) }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        var text =
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        text += "<IsTruncated>\(keys.count > state.pageMax)</IsTruncated>"
        if keys.count > state.pageMax {
            text += "<NextContinuationToken>\(escape(keys[state.pageMax - 1]))</NextContinuationToken>"
        }
        for key in keys.prefix(state.pageMax) {
            let object = state.objects[key]
            text += "<Contents><Key>\(escape(key))</Key><LastModified>2026-11-22T15:00:00.000Z</LastModified>"
            text +=
                "<ETag>&quot;\(object?.tag.dropFirst().dropLast() ?? "")&quot;</ETag><Size>\(object?.bytes.count ?? 0)</Size></Contents>"
        }
        return StubServer.Answer(200, body: Array((text + "</ListBucketResult>").utf8))
    }

    private static func deleteMany(_ state: inout State, _ request: StubServer.Request) -> StubServer.Answer {
        let text = String(decoding: request.body, as: UTF8.self)
        for piece in text.components(between: "<Key>", and: "</Key>") {
            state.objects[unescape(piece)] = nil
        }
        return StubServer.Answer(200, body: Array("<DeleteResult/>".utf8))
    }

    private static func delete(_ state: inout State, _ key: String, _ query: [String: String]) -> StubServer.Answer {
        guard let upload = query["uploadId"] else {
            state.objects[key] = nil
            return StubServer.Answer(204)
        }
        return state.uploads.removeValue(forKey: upload) == nil ? error(404, "NoSuchUpload") : StubServer.Answer(204)
    }

    // MARK: - Uploads in parts

    private static func begin(_ state: inout State, _ key: String, _ request: StubServer.Request) -> StubServer.Answer {
        state.counter += 1
        let id = "upload/\(state.counter)+="
        state.uploads[id] = Upload(key: key, headers: metadata(request), begunSeconds: state.seconds)
        let text = "<InitiateMultipartUploadResult><UploadId>\(id)</UploadId></InitiateMultipartUploadResult>"
        return StubServer.Answer(200, body: Array(text.utf8))
    }

    private static func putPart(
        _ state: inout State,
        _ query: [String: String],
        _ request: StubServer.Request
    ) -> StubServer.Answer {
        guard let id = query["uploadId"], let number = query["partNumber"].flatMap({ Int($0) }),
            state.uploads[id] != nil
        else { return error(404, "NoSuchUpload") }
        state.uploads[id]?.parts[number] = request.body
        return StubServer.Answer(200, [("ETag", "\"part-\(number)\"")])
    }

    private static func complete(
        _ state: inout State,
        _ key: String,
        _ query: [String: String],
        _ request: StubServer.Request
    ) -> StubServer.Answer {
        guard let id = query["uploadId"], let upload = state.uploads[id] else { return error(404, "NoSuchUpload") }
        let bytes = upload.parts.sorted { $0.key < $1.key }.flatMap(\.value)
        let text = String(decoding: request.body, as: UTF8.self)
        let numbers = text.components(between: "<PartNumber>", and: "</PartNumber>").compactMap { Int($0) }
        let sums = text.components(between: "<ChecksumCRC32C>", and: "</ChecksumCRC32C>")
        guard upload.key == key, !numbers.isEmpty, numbers == Array(1...upload.parts.count),
            sums == numbers.map({ crcText(upload.parts[$0] ?? []) }),
            request.header("x-amz-mp-object-size") == "\(bytes.count)"
        else { return error(400, "InvalidPart") }
        let answer = put(&state, key, bytes, request, headers: upload.headers)
        if answer.status == 200 {
            state.uploads[id] = nil
            let tag = state.objects[key]?.tag.dropFirst().dropLast() ?? ""
            let text = "<CompleteMultipartUploadResult><ETag>&quot;\(tag)&quot;</ETag></CompleteMultipartUploadResult>"
            return StubServer.Answer(200, body: Array(("  \n" + text).utf8))
        }
        return answer
    }

    private static func uploads(_ state: State) -> StubServer.Answer {
        var text = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
        for (id, upload) in state.uploads.sorted(by: { $0.key < $1.key }) {
            text += "<Upload><Key>\(escape(upload.key))</Key><UploadId>\(id)</UploadId>"
            text += "<Initiated>\(isoDate(upload.begunSeconds))</Initiated></Upload>"
        }
        return StubServer.Answer(200, body: Array((text + "</ListMultipartUploadsResult>").utf8))
    }

    // MARK: - Texts

    private static func escape(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }

    private static func unescape(_ text: String) -> String {
        text.replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&quot;", with: "\"")
            .replacing("&amp;", with: "&")
    }

    static func httpDate(_ seconds: Int) -> String { date(seconds, "%a, %d %b %Y %H:%M:%S GMT") }

    static func isoDate(_ seconds: Int) -> String { date(seconds, "%Y-%m-%dT%H:%M:%S.000Z") }
}

extension String {
    /// What stands between two marks, each time.
    func components(between start: String, and end: String) -> [String] {
        var found: [String] = []
        var rest = self[...]
        while let from = rest.firstRange(of: start) {
            rest = rest[from.upperBound...]
            guard let to = rest.firstRange(of: end) else { break }
            found.append(String(rest[..<to.lowerBound]))
            rest = rest[to.upperBound...]
        }
        return found
    }
}
