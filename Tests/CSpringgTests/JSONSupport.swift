import CSimdjson
import CSpringg
import Glibc

/// Mutations of documents that are read; `make fuzz` asks for many more.
let jsonMutations = getenv("SPRINGG_FUZZ_CASES").flatMap { Int(String(cString: $0)) } ?? 500_000

/// A small seeded generator (splitmix64) for this target's random tests.
struct JSONRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    /// Starts from SPRINGG_SEED when it is set, and prints the seed, so that a failure can be replayed.
    init(announcing test: String) {
        let seed = getenv("SPRINGG_SEED").flatMap { UInt64(String(cString: $0)) } ?? UInt64.random(in: 0...UInt64.max)
        print("\(test): SPRINGG_SEED=\(seed)")
        self.init(seed: seed)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Memory between two pages that must not be touched: reading one byte too far ends the test run.
final class GuardedBytes {
    private let base: UnsafeMutableRawPointer
    private let usable: Int
    private let mapped: Int

    init(capacity: Int) {
        let page = sysconf(Int32(_SC_PAGESIZE))
        usable = (capacity + page - 1) / page * page
        mapped = usable + 2 * page
        guard let memory = mmap(nil, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            memory != MAP_FAILED, mprotect(memory, page, PROT_NONE) == 0,
            mprotect(memory + page + usable, page, PROT_NONE) == 0
        else { fatalError("no guarded memory: errno \(errno)") }
        base = memory + page
    }

    deinit {
        munmap(base - (mapped - usable) / 2, mapped)
    }

    /// Calls `body` with a reader over a copy of `bytes` that ends where a forbidden page begins, or begins where one ends.
    func read<Result>(
        _ bytes: some Collection<UInt8>,
        atStart: Bool = false,
        _ body: (inout springg_json) throws -> Result
    ) rethrows -> Result {
        precondition(bytes.count <= usable, "\(bytes.count) bytes do not fit \(usable)")
        let start = base + (atStart ? 0 : usable - bytes.count)
        UnsafeMutableRawBufferPointer(start: start, count: bytes.count).copyBytes(from: bytes)
        var reader = springg_json()
        springg_json_start(&reader, start, bytes.count)
        return try body(&reader)
    }

    func utf8Valid(_ bytes: some Collection<UInt8>) -> Bool {
        read(bytes) { springg_utf8_valid($0.begin, bytes.count) }
    }
}

extension springg_json {
    var offset: Int { cursor - begin }

    /// Consumes the whole document without looking into it.
    mutating func skipDocument() -> springg_json_status {
        var raw = springg_json_slice()
        let status = springg_json_skip(&self, &raw)
        return status == SPRINGG_JSON_OK ? springg_json_finish(&self) : status
    }

    /// Consumes the whole document through the calls a decoder makes, reading each string and each number.
    mutating func walkDocument(_ onNumber: (_ beyondRange: Bool) -> Void = { _ in }) -> springg_json_status {
        let status = walkValue(onNumber)
        return status == SPRINGG_JSON_OK ? springg_json_finish(&self) : status
    }

    private mutating func walkValue(_ onNumber: (Bool) -> Void) -> springg_json_status {
        var more = false
        var status = SPRINGG_JSON_OK
        switch springg_json_peek(&self) {
        case SPRINGG_JSON_OBJECT:
            var key = springg_json_slice()
            status = springg_json_object_begin(&self)
            while status == SPRINGG_JSON_OK {
                status = springg_json_object_next(&self, &more, &key)
                guard status == SPRINGG_JSON_OK, more else { return status }
                status = walkValue(onNumber)
            }
        case SPRINGG_JSON_ARRAY:
            status = springg_json_array_begin(&self)
            while status == SPRINGG_JSON_OK {
                status = springg_json_array_next(&self, &more)
                guard status == SPRINGG_JSON_OK, more else { return status }
                status = walkValue(onNumber)
            }
        case SPRINGG_JSON_STRING:
            var length = 0
            return springg_json_string(&self, nil, 0, &length)
        case SPRINGG_JSON_NUMBER:
            // A number too large for the type asked for is still JSON, but ends a reader: ask copies of it.
            var asDouble = self
            var asInteger = self
            var double = 0.0
            var integer: Int64 = 0
            onNumber(
                springg_json_double(&asDouble, &double) == SPRINGG_JSON_RANGE
                    || springg_json_integer(&asInteger, &integer) == SPRINGG_JSON_RANGE
            )
            fallthrough
        case SPRINGG_JSON_NULL, SPRINGG_JSON_END:
            var raw = springg_json_slice()
            return springg_json_skip(&self, &raw)
        case SPRINGG_JSON_BOOL:
            var value = false
            return springg_json_bool(&self, &value)
        default:
            preconditionFailure("springg_json_peek gave a kind that does not exist")
        }
        return status
    }
}

/// simdjson, which answers for the same bytes.
final class Oracle {
    private let parser: OpaquePointer

    init() {
        guard let created = springg_simdjson_create() else { fatalError("no simdjson parser") }
        parser = created
    }

    deinit {
        springg_simdjson_destroy(parser)
    }

    func accepts(_ bytes: [UInt8]) -> Bool {
        springg_simdjson_accepts(parser, bytes, bytes.count)
    }

    /// The numbers of `vector` in a body, or nil when simdjson refuses it.
    func vector(_ bytes: [UInt8], capacity: Int) -> [Float]? {
        var count = -1
        let floats = [Float](unsafeUninitializedCapacity: capacity) { buffer, initialized in
            count = springg_simdjson_vector(parser, bytes, bytes.count, buffer.baseAddress, capacity)
            initialized = max(0, min(count, capacity))
        }
        return count < 0 ? nil : floats
    }
}

/// Why simdjson answers otherwise than the reader for some documents.
///
/// There are no other reasons.
enum OracleDifference: String {
    case depth = "the reader stops at 64 levels, simdjson at 1024: what vectors carry is never that deep"
    case range = """
        simdjson makes a double or a 64-bit integer of every number and refuses those that do not fit; for the reader \
        a number that is only passed over is text, as RFC 8259 allows
        """
}

/// Reads `[…]` as floats; the status says why not.
func readFloats(
    _ reader: inout springg_json,
    capacity: Int
) -> (status: springg_json_status, floats: [Float], count: Int) {
    var status = SPRINGG_JSON_OK
    var count = 0
    let floats = [Float](unsafeUninitializedCapacity: capacity) { buffer, initialized in
        status = springg_json_floats(&reader, buffer.baseAddress, capacity, &count)
        initialized = status == SPRINGG_JSON_OK ? min(count, capacity) : 0
    }
    return (status, floats, count)
}

func format(_ value: Float) -> String {
    String(unsafeUninitializedCapacity: Int(SPRINGG_NUMBER_MAX)) { buffer in
        buffer.withMemoryRebound(to: CChar.self) { springg_format_float(value, $0.baseAddress) }
    }
}

func format(_ value: Double) -> String {
    String(unsafeUninitializedCapacity: Int(SPRINGG_NUMBER_MAX)) { buffer in
        buffer.withMemoryRebound(to: CChar.self) { springg_format_double(value, $0.baseAddress) }
    }
}
