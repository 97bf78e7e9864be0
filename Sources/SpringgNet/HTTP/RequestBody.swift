import NIOCore
import NIOHTTP1

/// A request's body while it arrives.
///
/// Invariant: `buffer` holds no more than `limit` bytes, and what it holds beyond `freeBytes` is paid for with permits
/// of the server's budget, so that many connections together cannot fill the memory either.
struct RequestBody {
    /// Bytes that cost nothing: with the connection limit they are bounded anyway, and most bodies are smaller.
    static let freeBytes = 64 << 10
    /// Bytes taken from the budget at a time when a body does not say how long it will be.
    private static let permitStep = 1 << 20
    /// Bytes reserved at once for a body that says that it will be longer: saying so costs nothing.
    private static let reserveMax = 4 << 20

    private(set) var buffer = ByteBuffer()
    /// Bytes that the Content-Length header announced.
    let announced: Int?
    private let limit: Int
    private let budget: PermitPool?
    private var permits: [Permit] = []
    private var paid = RequestBody.freeBytes

    init(announced: Int?, limit: Int, budget: PermitPool?) throws(RequestError) {
        self.announced = announced
        self.limit = limit
        self.budget = budget
        if let announced {
            try prepare(for: announced, payingFor: announced)
        }
    }

    mutating func append(_ part: ByteBuffer) throws(RequestError) {
        var part = part
        let total = buffer.readableBytes + part.readableBytes
        try prepare(for: total, payingFor: max(total, paid + Self.permitStep))
        guard buffer.readableBytes > 0 else {
            // Kept as it came from the socket: a body of one part is never copied.
            buffer = part
            return
        }
        if let announced, total > buffer.capacity {
            buffer.reserveCapacity(min(max(announced, total), max(total, Self.reserveMax)))
        }
        buffer.writeBuffer(&part)
    }

    private mutating func prepare(for total: Int, payingFor payment: Int) throws(RequestError) {
        guard limit == 0 || total <= limit else {
            throw RequestError(.payloadTooLarge, "request body is larger than \(limit) bytes", limit: .body)
        }
        guard let budget, total > paid else {
            return
        }
        guard let permit = budget.take(payment - paid) else {
            throw RequestError(
                .serviceUnavailable,
                "Server busy, please retry",
                retryAfterSeconds: 1,
                limit: .bodyMemory
            )
        }
        permits.append(permit)
        paid = payment
    }
}
