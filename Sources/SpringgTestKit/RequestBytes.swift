import Glibc

/// Requests rendered beforehand, end to end in one piece of memory, so that sending one costs nothing but the `send`.
public final class RequestBytes {
    private var storage: UnsafeMutableRawBufferPointer
    private var used = 0
    private var places: [Range<Int>] = []

    /// Memory for requests of `capacity` bytes altogether; it grows when that is too little.
    public init(capacity: Int) {
        storage = .allocate(byteCount: max(capacity, 64), alignment: 64)
    }

    deinit { storage.deallocate() }

    /// How many requests there are.
    public var count: Int { places.count }

    /// Adds a request; returns its number and the offset of its body within it.
    @discardableResult
    public func append(method: String, path: String, body: String) -> (number: Int, bodyOffset: Int) {
        append(method: method, path: path, type: "application/json", body: Array(body.utf8))
    }

    /// Adds a request whose body is of another type; returns the same.
    @discardableResult
    public func append(method: String, path: String, type: String, body: [UInt8]) -> (number: Int, bodyOffset: Int) {
        let head =
            "\(method) \(path) HTTP/1.1\r\nHost: springg\r\nContent-Type: \(type)\r\n"
            + "Content-Length: \(body.count)\r\n\r\n"
        let start = used
        append(head)
        body.withUnsafeBufferPointer { append($0) }
        places.append(start..<used)
        return (places.count - 1, head.utf8.count)
    }

    /// The bytes of a request; valid until another one is added.
    public subscript(number: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: storage[places[number]])
    }

    private func append(_ text: String) {
        var text = text
        text.withUTF8 { append($0) }
    }

    private func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        if used + bytes.count > storage.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(storage.count * 2, used + bytes.count),
                alignment: 64
            )
            larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[..<used]))
            storage.deallocate()
            storage = larger
        }
        UnsafeMutableRawBufferPointer(rebasing: storage[used...]).copyMemory(from: UnsafeRawBufferPointer(bytes))
        used += bytes.count
    }
}

/// Adds of ever new ids, one vector each: the load of the benchmark.
///
/// The bodies come from a ring of prepared ones, so their vectors repeat after `bodies` adds; the ids do not.
public final class AddRequests: LoadSource {
    /// Digits of an id's number; an id is `vec-` and these.
    public static let idDigits = 10

    /// Bytes of one vector, its id and its metadata: what a user asks to be kept.
    public let payloadBytes: Int
    /// Mean bytes of a body.
    public let meanBodyBytes: Int
    /// Ids from 0 that have been handed out.
    public private(set) var handedOut = 0
    /// By number of the id: true once its add was answered with 200.
    public private(set) var acknowledged: [Bool] = []
    /// The vectors of the ring, row by row.
    public let vectors: [[Float]]

    private let requests: RequestBytes
    private let idOffsets: [Int]
    private var limit = 0
    private var idOfConnection: [Int]

    /// Prepares the ring.
    public init(index: String, dimensions: Int, bodies: Int = 2000, connections: Int, random: inout SeededRandom) {
        let custom = #"{"title":"Introduction to Vector Databases","lang":"en"}"#
        let metadata = #"{"published_date":"2024-01-15","custom":\#(custom)}"#
        let requests = RequestBytes(capacity: bodies * (dimensions * 12 + 400))
        var offsets: [Int] = []
        var vectors: [[Float]] = []
        var bytes = 0
        for _ in 0..<bodies {
            let vector = random.floats(dimensions)
            let id = "vec-" + String(repeating: "0", count: Self.idDigits)
            let body = #"{"id":"\#(id)","vector":\#(JSONValue.array(of: vector)),"metadata":\#(metadata)}"#
            let place = requests.append(method: "POST", path: "/api/indexes/\(index)/vectors", body: body)
            offsets.append(place.bodyOffset + #"{"id":"vec-"#.utf8.count)
            vectors.append(vector)
            bytes += body.utf8.count
        }
        self.requests = requests
        self.vectors = vectors
        idOffsets = offsets
        payloadBytes = dimensions * 4 + 4 + Self.idDigits + metadata.utf8.count
        meanBodyBytes = bytes / max(bodies, 1)
        idOfConnection = [Int](repeating: 0, count: connections)
    }

    /// Allows `count` more adds.
    public func allow(_ count: Int) {
        limit += count
        acknowledged += [Bool](repeating: false, count: count)
    }

    /// The id with this number.
    public static func id(_ number: Int) -> String {
        let digits = String(number)
        return "vec-" + String(repeating: "0", count: idDigits - digits.count) + digits
    }

    /// The vector that was sent with an id.
    public func vector(ofID number: Int) -> [Float] { vectors[number % vectors.count] }

    /// The next add.
    public func nextRequest(connection: Int) -> UnsafeRawBufferPointer? {
        guard handedOut < limit else { return nil }
        let number = handedOut
        handedOut += 1
        idOfConnection[connection] = number
        let slot = number % idOffsets.count
        let request = requests[slot]
        var rest = number
        var at = idOffsets[slot] + Self.idDigits
        for _ in 0..<Self.idDigits {
            at -= 1
            request[at] = UInt8(0x30 + rest % 10)
            rest /= 10
        }
        return UnsafeRawBufferPointer(request)
    }

    /// Notes which adds were acknowledged.
    public func answered(connection: Int, status: Int, body: UnsafeRawBufferPointer) {
        if status == 200 { acknowledged[idOfConnection[connection]] = true }
    }

    /// Leaves the add unacknowledged.
    public func lost(connection: Int) {}
}

/// The same few requests over and over, taken in turn: reads for the benchmark.
public final class RepeatedRequests: LoadSource {
    private let requests: RequestBytes
    private var next = 0
    private var left: Int
    /// Answers whose status was not 200.
    public private(set) var refused = 0
    /// Bytes of all bodies received.
    public private(set) var bodyBytes = 0

    /// Sends `count` requests altogether.
    public init(_ requests: RequestBytes, count: Int) {
        self.requests = requests
        left = count
    }

    /// The next one in turn.
    public func nextRequest(connection: Int) -> UnsafeRawBufferPointer? {
        guard left > 0 else { return nil }
        left -= 1
        next = (next + 1) % requests.count
        return UnsafeRawBufferPointer(requests[next])
    }

    /// Counts the answer.
    public func answered(connection: Int, status: Int, body: UnsafeRawBufferPointer) {
        bodyBytes += body.count
        if status != 200 { refused += 1 }
    }

    /// Counts the request as refused.
    public func lost(connection: Int) { refused += 1 }
}
