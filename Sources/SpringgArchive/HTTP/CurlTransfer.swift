import CCurl
import Glibc
import SpringgLog

/// A libcurl handle with the connections that it keeps.
final class CurlHandle: @unchecked Sendable {
    // Why @unchecked: the client hands a handle to one thread at a time, which is what libcurl asks for.
    let pointer: UnsafeMutableRawPointer

    /// Nil when there is no memory.
    init?() {
        guard let pointer = curl_easy_init() else { return nil }
        self.pointer = pointer
    }

    deinit { curl_easy_cleanup(pointer) }
}

/// One request on its way: what libcurl's callbacks share.
///
/// Lives on one thread.
final class CurlTransfer {
    private let request: HTTPRequest
    private let onBody: (HTTPAnswer, UnsafeRawBufferPointer) throws -> Void
    private let isClosed: () -> Bool
    private var answer = HTTPAnswer()
    private var headerBytes = 0
    private var sentBytes = 0
    /// Why a callback ended the transfer; libcurl itself then only says that one did.
    private var failure: HTTPFailure?

    /// All headers of an answer together; S3 sends about one KiB.
    private static let headerBytesMax = 64 << 10
    /// Pieces in which libcurl reads from and writes to the socket.
    private static let bufferBytes = 256 << 10

    init(
        _ request: HTTPRequest,
        onBody: @escaping (HTTPAnswer, UnsafeRawBufferPointer) throws -> Void,
        isClosed: @escaping () -> Bool
    ) {
        self.request = request
        self.onBody = onBody
        self.isClosed = isClosed
    }

    /// Sends the request and waits for the answer.
    func perform(on handle: CurlHandle, certificates: String?) throws(HTTPFailure) -> HTTPAnswer {
        let curl = handle.pointer
        curl_easy_reset(curl)
        var list: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(list) }
        // Empty values take out what libcurl would add: only what has been signed is sent.
        for line in ["Expect:", "Accept:", "Content-Type:"] { list = curl_slist_append(list, line) }
        list = curl_slist_append(list, "Host: " + request.endpoint.authority)
        for field in request.headers { list = curl_slist_append(list, field.name + ": " + field.value) }
        springg_curl_set_pointer(curl, CURLOPT_HTTPHEADER, list)
        var detour: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(detour) }
        var url = request.url
        if request.endpoint.isSecure, let name = request.certificateName {
            // The name stands in the address, and the connection goes elsewhere.
            let port = request.endpoint.port ?? 443
            url = request.url(at: HTTPEndpoint(isSecure: true, host: name, port: port))
            detour = curl_slist_append(nil, "::\(request.endpoint.host):\(port)")
        }
        springg_curl_set_pointer(curl, CURLOPT_CONNECT_TO, detour)
        var message = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
        let code = message.withUnsafeMutableBufferPointer { text in
            springg_curl_set_pointer(curl, CURLOPT_ERRORBUFFER, text.baseAddress)
            configure(curl, url, certificates)
            // The callbacks run within this call, so the reference they use needs no count of its own.
            let context = Unmanaged.passUnretained(self).toOpaque()
            for option in [
                CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_READDATA, CURLOPT_SEEKDATA, CURLOPT_XFERINFODATA,
            ] {
                springg_curl_set_pointer(curl, option, context)
            }
            defer { springg_curl_set_pointer(curl, CURLOPT_ERRORBUFFER, nil) }
            return withExtendedLifetime(self) { curl_easy_perform(curl) }
        }
        if let failure { throw failure }
        guard code == CURLE_OK else {
            let end = message.firstIndex(of: 0) ?? 0
            let detail = String(decoding: message[..<end].map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw failure(code, detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail)
        }
        return answer
    }

    private func configure(_ curl: UnsafeMutableRawPointer, _ url: String, _ certificates: String?) {
        springg_curl_set_text(curl, CURLOPT_URL, url)
        springg_curl_set_text(curl, CURLOPT_PROTOCOLS_STR, "http,https")
        springg_curl_set_long(curl, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        springg_curl_set_long(curl, CURLOPT_PATH_AS_IS, 1)
        springg_curl_set_long(curl, CURLOPT_NOSIGNAL, 1)
        springg_curl_set_long(curl, CURLOPT_TCP_KEEPALIVE, 1)
        springg_curl_set_long(curl, CURLOPT_BUFFERSIZE, CurlTransfer.bufferBytes)
        springg_curl_set_long(curl, CURLOPT_UPLOAD_BUFFERSIZE, CurlTransfer.bufferBytes)
        springg_curl_set_text(curl, CURLOPT_USERAGENT, "springg")
        if let certificates {
            springg_curl_set_text(curl, CURLOPT_CAINFO, certificates)
            // Else the system's authorities would count beside them.
            springg_curl_set_pointer(curl, CURLOPT_CAPATH, nil)
        }
        if !request.usesProxy { springg_curl_set_text(curl, CURLOPT_PROXY, "") }

        springg_curl_set_long(curl, CURLOPT_CONNECTTIMEOUT_MS, request.timeouts.connectMilliseconds)
        // A byte a second: an answer that S3 keeps alive with single blanks while it works is no stall.
        springg_curl_set_long(curl, CURLOPT_LOW_SPEED_LIMIT, 1)
        springg_curl_set_long(curl, CURLOPT_LOW_SPEED_TIME, request.timeouts.stallSeconds)
        if let total = request.timeouts.totalMilliseconds { springg_curl_set_long(curl, CURLOPT_TIMEOUT_MS, total) }

        springg_curl_set_transfer(curl, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            CurlTransfer.from(context).received(UnsafeRawBufferPointer(start: bytes, count: size * count))
        }
        springg_curl_set_transfer(curl, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            CurlTransfer.from(context).receivedHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
        }
        springg_curl_set_progress(curl) { context, _, _, _, _ in CurlTransfer.from(context).isClosed() ? 1 : 0 }
        springg_curl_set_long(curl, CURLOPT_NOPROGRESS, 0)

        switch request.method {
        case "HEAD": springg_curl_set_long(curl, CURLOPT_NOBODY, 1)
        case "GET": springg_curl_set_long(curl, CURLOPT_HTTPGET, 1)
        default: springg_curl_set_text(curl, CURLOPT_CUSTOMREQUEST, request.method)
        }
        guard let body = request.body else { return }
        springg_curl_set_long(curl, CURLOPT_UPLOAD, 1)
        springg_curl_set_text(curl, CURLOPT_CUSTOMREQUEST, request.method)
        springg_curl_set_size(curl, CURLOPT_INFILESIZE_LARGE, curl_off_t(body.range.count))
        springg_curl_set_transfer(curl, CURLOPT_READFUNCTION) { bytes, size, count, context in
            CurlTransfer.from(context).send(into: UnsafeMutableRawBufferPointer(start: bytes, count: size * count))
        }
        springg_curl_set_seek(curl) { context, offset, origin in
            CurlTransfer.from(context).seek(to: Int(offset), origin)
        }
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> CurlTransfer {
        guard let context else { preconditionFailure("libcurl called back without its context") }
        return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
    }

    // MARK: - Callbacks

    /// Takes a piece of the body; anything but its size ends the transfer.
    private func received(_ bytes: UnsafeRawBufferPointer) -> Int {
        if request.streamsAnswer && answer.isSuccess {
            do {
                try onBody(answer, bytes)
            } catch {
                failure = .consumer(error)
                return bytes.count + 1
            }
        } else {
            guard bytes.count <= request.answerBytesMax - answer.body.count else {
                failure = .invalid("the answer has more than \(request.answerBytesMax) bytes")
                return bytes.count + 1
            }
            answer.body.append(contentsOf: bytes)
        }
        return bytes.count
    }

    /// Takes a line of the head.
    ///
    /// A status line begins a new answer: what stood before it was a 100 Continue.
    private func receivedHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
        headerBytes += bytes.count
        guard headerBytes <= CurlTransfer.headerBytesMax else {
            failure = .invalid("the answer has more than \(CurlTransfer.headerBytesMax) bytes of headers")
            return bytes.count + 1
        }
        var line = String(decoding: bytes, as: UTF8.self)[...]
        while let last = line.last, last.isWhitespace { line.removeLast() }
        if line.hasPrefix("HTTP/") {
            answer = HTTPAnswer()
            answer.status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...].drop { $0.isWhitespace }
            answer.headers.append(HTTPField(line[..<colon].lowercased(), String(value)))
        }
        return bytes.count
    }

    /// Gives the next bytes of the request's body.
    private func send(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let body = request.body else { return 0 }
        let count = min(buffer.count, body.range.count - sentBytes)
        do throws(FileSystemError) {
            try body.source.read(
                at: body.range.lowerBound + sentBytes,
                into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            )
        } catch {
            failure = .localFile(error)
            return Int(CURL_READFUNC_ABORT)
        }
        sentBytes += count
        if sentBytes == body.range.count { request.bodySent?() }
        return count
    }

    /// Goes back to where libcurl must begin again, as it must when a kept connection turns out to be dead.
    private func seek(to offset: Int, _ origin: Int32) -> Int32 {
        guard let body = request.body, origin == SEEK_SET, (0...body.range.count).contains(offset) else {
            return CURL_SEEKFUNC_FAIL
        }
        sentBytes = offset
        return CURL_SEEKFUNC_OK
    }

    // MARK: - Failures

    private func failure(_ code: CURLcode, _ text: String) -> HTTPFailure {
        switch code {
        case CURLE_ABORTED_BY_CALLBACK: .closed
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .unreachable(text)
        case CURLE_OPERATION_TIMEDOUT: .timedOut(text)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE,
            CURLE_SSL_ENGINE_NOTFOUND,
            CURLE_SSL_CIPHER, CURLE_SSL_ISSUER_ERROR:
            .tls(text)
        case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_SEND_FAIL_REWIND,
            CURLE_SSL_CONNECT_ERROR:
            .broken(text)
        default: .invalid(text)
        }
    }
}
