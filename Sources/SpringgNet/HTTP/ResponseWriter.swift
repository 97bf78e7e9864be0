import CSpringg
import NIOCore
import NIOHTTP1
import SpringgLog

/// Bytes of one answer's body: beyond that a search or a block is refused rather than built in memory.
let responseBytesMax = 256 << 20

/// Writes an answer's body straight into the buffer that goes to the socket.
///
/// Room for the head is kept in front of the body, so that head and body leave in one piece without being copied.
struct ResponseWriter: Sendable {
    /// Bytes kept for the status line and the headers, whose number and length are ours alone.
    static let headRoom = 1000

    private(set) var buffer: ByteBuffer

    init(capacity: Int = 192) {
        self.buffer = ByteBufferAllocator().buffer(capacity: Self.headRoom + capacity)
        self.buffer.moveWriterIndex(to: Self.headRoom)
        self.buffer.moveReaderIndex(to: Self.headRoom)
    }

    /// Bytes written so far.
    var count: Int { self.buffer.readableBytes }

    mutating func raw(_ text: StaticString) {
        self.buffer.writeStaticString(text)
    }

    mutating func raw(_ text: String) {
        self.buffer.writeString(text)
    }

    mutating func raw(_ bytes: UnsafeRawBufferPointer) {
        self.buffer.writeBytes(bytes)
    }

    /// A JSON string, quoted and escaped; the bytes are UTF-8.
    mutating func string(_ bytes: UnsafeRawBufferPointer) {
        self.buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: bytes.count * 6 + 2) { out in
            guard let start = out.baseAddress?.assumingMemoryBound(to: CChar.self) else {
                return 0
            }
            start[0] = 0x22
            var length = 1
            if let text = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) {
                length += springg_json_escape(text, bytes.count, start + 1)
            }
            start[length] = 0x22
            return length + 1
        }
    }

    mutating func string(_ text: String) {
        var text = text
        text.withUTF8 { string(UnsafeRawBufferPointer($0)) }
    }

    mutating func integer(_ value: Int) {
        self.buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 20) { out in
            var magnitude = value.magnitude
            var start = 20
            repeat {
                start -= 1
                out[start] = UInt8(truncatingIfNeeded: magnitude % 10) + 0x30
                magnitude /= 10
            } while magnitude > 0
            if value < 0 {
                start -= 1
                out[start] = 0x2D
            }
            let length = 20 - start
            out.copyBytes(from: UnsafeRawBufferPointer(rebasing: out[start..<20]))
            return length
        }
    }

    mutating func bool(_ value: Bool) {
        raw(value ? "true" : "false")
    }

    /// A finite number in the shortest form that reads back as the same float32.
    mutating func float(_ value: Float) {
        number { springg_format_float(value, $0) }
    }

    /// A finite number in the shortest form that reads back as the same double.
    mutating func double(_ value: Double) {
        number { springg_format_double(value, $0) }
    }

    /// The same, or null.
    mutating func optional(_ value: Double?) {
        if let value {
            double(value)
        } else {
            raw("null")
        }
    }

    private mutating func number(_ format: (UnsafeMutablePointer<CChar>) -> Int) {
        self.buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Int(SPRINGG_NUMBER_MAX)) { out in
            out.baseAddress.map { format($0.assumingMemoryBound(to: CChar.self)) } ?? 0
        }
    }

    /// An array of numbers.
    mutating func floats(_ values: UnsafeBufferPointer<Float>) {
        raw("[")
        if let first = values.baseAddress {
            // Written a piece at a time: what the formatter wants reserved is three times what it uses.
            let pieceMax = 1024
            var done = 0
            while done < values.count {
                let piece = min(pieceMax, values.count - done)
                if done > 0 {
                    raw(",")
                }
                let reserve = piece * (Int(SPRINGG_NUMBER_MAX) + 1)
                self.buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: reserve) { out in
                    out.baseAddress.map {
                        springg_format_floats(first + done, piece, $0.assumingMemoryBound(to: CChar.self))
                    } ?? 0
                }
                done += piece
            }
        }
        raw("]")
    }

    /// Takes back the end of a document of `Answer.success`, so that it can go on.
    mutating func reopenDocument() {
        buffer.moveWriterIndex(to: buffer.writerIndex - "}\n".utf8.count)
    }

    /// Writes the head in front of the body; nothing may be written after that.
    mutating func prepend(head: [UInt8]) -> ByteBuffer {
        precondition(head.count <= Self.headRoom, "a head of \(head.count) bytes has outgrown its room")
        let start = Self.headRoom - head.count
        buffer.setBytes(head, at: start)
        buffer.moveReaderIndex(to: start)
        return buffer
    }
}

/// A whole answer but for the headers that depend on the connection.
struct Answer: Sendable {
    enum ContentType: Sendable {
        case json
        case text
        /// A message between nodes.
        case binary
        /// Prometheus' text format.
        case metrics
        /// The page, with the headers that keep it to itself.
        case page
        case none
    }

    var status: HTTPResponseStatus
    var contentType: ContentType
    var body: ResponseWriter
    var retryAfterSeconds = 0
    /// The limit that the request ran into.
    var limit: Limit?
    /// The methods of the Allow header.
    var allow: String?
    /// True when this answers a CORS preflight.
    var isPreflight = false

    init(_ status: HTTPResponseStatus, contentType: ContentType, body: ResponseWriter) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    /// `{"status":"success","data":…}`, where `write` writes the data.
    static func success(capacity: Int = 192, _ write: (inout ResponseWriter) -> Void) -> Answer {
        var body = ResponseWriter(capacity: capacity)
        body.raw(#"{"status":"success","data":"#)
        write(&body)
        body.raw("}\n")
        return Answer(.ok, contentType: .json, body: body)
    }

    /// `{"status":"error","error":…,"code":…}`.
    static func failure(_ error: RequestError) -> Answer {
        var body = ResponseWriter()
        body.raw(#"{"status":"error","error":"#)
        body.string(error.text)
        body.raw(#","code":""#)
        body.raw(error.code.rawValue)
        body.raw(#"""#)
        body.raw("}\n")
        var answer = Answer(error.status, contentType: .json, body: body)
        answer.retryAfterSeconds = error.retryAfterSeconds
        answer.limit = error.limit
        return answer
    }

    static func text(_ status: HTTPResponseStatus, _ text: StaticString) -> Answer {
        var body = ResponseWriter(capacity: 64)
        body.raw(text)
        return Answer(status, contentType: .text, body: body)
    }

    static func empty(_ status: HTTPResponseStatus) -> Answer {
        Answer(status, contentType: .none, body: ResponseWriter(capacity: 0))
    }
}

/// Writes status lines and headers; one for each event loop, so that its buffer is reused.
struct HeadEncoder {
    private var head: [UInt8] = []
    private var date: [UInt8] = []

    init(now: Double) {
        setDate(now)
    }

    /// Sets the Date header of the answers to come; called about once a second.
    mutating func setDate(_ now: Double) {
        date = Array("\r\nDate: \(CivilTime.httpDate(now))".utf8)
    }

    /// What an answer's head must know about its connection.
    struct Context {
        var keepAlive = true
        /// HTTP/1.0 closes unless told otherwise.
        var isHTTP10 = false
        /// The request named an origin, hence comes from a page in a browser.
        var hasOrigin = false
        /// See `RequestID`; checked, so that it cannot end its line.
        var requestID = ""
        /// What the request said of its trace, if that is anything.
        var trace: TraceContext?
    }

    mutating func encode(_ answer: Answer, _ context: Context) -> [UInt8] {
        head.removeAll(keepingCapacity: true)
        if answer.status == .ok {
            add("HTTP/1.1 200 OK")
        } else {
            add("HTTP/1.1 ")
            add(answer.status.code)
            add(" ")
            head.append(contentsOf: answer.status.reasonPhrase.utf8)
        }
        switch answer.contentType {
        case .json: add("\r\nContent-Type: application/json")
        case .text: add("\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff")
        case .binary: add("\r\nContent-Type: application/octet-stream")
        case .metrics: add("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8")
        case .page: head.append(contentsOf: PageHeaders.lines.utf8)
        case .none: ()
        }
        head.append(contentsOf: date)
        add("\r\nX-Request-Id: ")
        head.append(contentsOf: context.requestID.utf8)
        if let trace = context.trace {
            add("\r\nTraceparent: ")
            head.append(contentsOf: trace.description.utf8)
        }
        if context.hasOrigin {
            addCrossOrigin(isPreflight: answer.isPreflight)
        }
        if answer.retryAfterSeconds > 0 {
            add("\r\nRetry-After: ")
            add(UInt(answer.retryAfterSeconds))
        }
        if let allow = answer.allow {
            add("\r\nAllow: ")
            head.append(contentsOf: allow.utf8)
        }
        if !context.keepAlive {
            add("\r\nConnection: close")
        } else if context.isHTTP10 {
            add("\r\nConnection: keep-alive")
        }
        add("\r\nContent-Length: ")
        add(UInt(answer.body.count))
        add("\r\n\r\n")
        return head
    }

    /// Any page may call this server: what protects it is the token, which a browser does not send by itself.
    private mutating func addCrossOrigin(isPreflight: Bool) {
        add("\r\nVary: Origin\r\nAccess-Control-Allow-Origin: *")
        guard isPreflight else {
            add("\r\nAccess-Control-Expose-Headers: Link, X-Request-Id")
            return
        }
        add("\r\nAccess-Control-Allow-Methods: GET, POST, PUT, DELETE, OPTIONS")
        add("\r\nAccess-Control-Allow-Headers: Accept, Authorization, Content-Type, Traceparent, X-Request-Id")
        add(", X-Springg-After")
        add("\r\nAccess-Control-Max-Age: 300")
    }

    private mutating func add(_ text: StaticString) {
        head.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func add(_ value: UInt) {
        guard value >= 10 else {
            head.append(UInt8(value) + 0x30)
            return
        }
        add(value / 10)
        head.append(UInt8(value % 10) + 0x30)
    }
}
