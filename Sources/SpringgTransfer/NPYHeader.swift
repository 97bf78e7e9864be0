import SpringgLog

/// The head of a NumPy file (`.npy`, NEP 1): what the array behind it is.
///
/// | offset | size | |
/// | --- | --- | --- |
/// | 0 | 6 | `\x93NUMPY` |
/// | 6 | 2 | version: 1.0, 2.0 or 3.0 |
/// | 8 | 2 (version 1) or 4 | bytes of the text that follows, little-endian |
/// | 10 or 12 | … | a Python dictionary: `descr`, `fortran_order`, `shape`; spaces; a line feed |
///
/// Then the array, row after row.
struct NPYHeader: Equatable {
    /// Type of a component.
    enum Element: String {
        case float32 = "<f4"
        case float16 = "<f2"

        var bytes: Int { self == .float32 ? 4 : 2 }
    }

    var element: Element
    var rows: Int
    var dimensions: Int
    /// Where the array begins.
    var bytes: Int

    static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    /// Magic, version, and the longer of the two lengths.
    static let prefixBytes = 12
    /// Bytes of the text: NumPy itself refuses more than 10,000 unless told otherwise.
    static let textBytesMax = 64 << 10

    /// The text's bytes and where it begins, by the first bytes of a file; the reason when it is none.
    static func text(of prefix: UnsafeRawBufferPointer) -> Result<Range<Int>, Refusal> {
        guard prefix.count >= 10, prefix.prefix(magic.count).elementsEqual(magic) else {
            return .failure(Refusal(offset: 0, reason: "the file does not begin as NumPy files do"))
        }
        let (major, minor) = (prefix[6], prefix[7])
        guard (1...3).contains(major), minor == 0 else {
            return .failure(
                Refusal(offset: 6, reason: "the format's version is \(major).\(minor); 1.0 to 3.0 are known")
            )
        }
        guard major == 1 || prefix.count >= prefixBytes else {
            return .failure(Refusal(offset: 8, reason: "the file ends inside its header"))
        }
        let start = major == 1 ? 10 : 12
        let count = major == 1 ? Int(prefix.integer(UInt16.self, at: 8)) : Int(prefix.integer(UInt32.self, at: 8))
        guard count <= textBytesMax else {
            return .failure(Refusal(offset: 8, reason: "the header has \(count) bytes by its length"))
        }
        return .success(start..<start + count)
    }

    /// Why a file cannot be read, and at which byte that is seen.
    struct Refusal: Error {
        var offset: Int
        var reason: String
    }

    /// Reads the text, which begins at `start` in the file.
    static func decode(_ text: UnsafeRawBufferPointer, at start: Int) -> Result<NPYHeader, Refusal> {
        var literal = PythonLiteral(text)
        func refusal(_ reason: String) -> Result<NPYHeader, Refusal> {
            .failure(Refusal(offset: start + literal.offset, reason: reason))
        }
        var element: Element?
        var shape: [Int]?
        var isFortran: Bool?
        guard literal.take("{") else { return refusal("the header is no Python dictionary") }
        while !literal.take("}") {
            guard let key = literal.takeText(), literal.take(":") else {
                return refusal("the header is no Python dictionary of names")
            }
            switch key {
            case "descr":
                guard let name = literal.takeText() else { return refusal("the type is not one of numbers alone") }
                guard let known = Element(rawValue: name) else {
                    return refusal(
                        "the type is \(name.debugDescription); \"<f4\" (float32) and \"<f2\" (float16) are known: "
                            + "convert it with array.astype(\"<f4\")"
                    )
                }
                element = known
            case "fortran_order":
                guard let value = literal.takeBool() else { return refusal("fortran_order is neither True nor False") }
                isFortran = value
            case "shape":
                guard let value = literal.takeTuple() else { return refusal("the shape is not a tuple of numbers") }
                shape = value
            default:
                return refusal("the header has a field \(key.debugDescription) that is not known")
            }
            guard literal.take(",") || literal.isBefore("}") else {
                return refusal("the header is no Python dictionary")
            }
        }
        guard literal.isAtEnd else { return refusal("something follows the header's dictionary") }
        guard let element, let shape, let isFortran else {
            return refusal("the header lacks one of descr, fortran_order and shape")
        }
        guard !isFortran else {
            return refusal("the array is in Fortran order: convert it with numpy.ascontiguousarray")
        }
        guard shape.count == 2 else { return refusal("the array has \(shape.count) axes; rows and components are two") }
        guard (1...EventLimits.dimensionsMax).contains(shape[1]) else {
            return refusal("\(shape[1]) dimensions; there may be 1 to \(EventLimits.dimensionsMax)")
        }
        return .success(
            NPYHeader(element: element, rows: shape[0], dimensions: shape[1], bytes: start + text.count)
        )
    }

    /// The header of a float32 array, byte for byte as NumPy writes it.
    static func encode(rows: Int, dimensions: Int) -> [UInt8] {
        let shape = "(\(rows), \(dimensions))"
        var text = "{'descr': '<f4', 'fortran_order': False, 'shape': \(shape), }"
        // NumPy leaves room for the number of rows to grow in place.
        text += String(repeating: " ", count: max(0, rowDigitsMax - String(rows).utf8.count))
        // The array begins at a multiple of 64 bytes, so that it can be mapped into memory.
        let unpadded = 10 + text.utf8.count + 1
        text += String(repeating: " ", count: (64 - unpadded % 64) % 64) + "\n"
        return magic + [1, 0, UInt8(text.utf8.count & 0xFF), UInt8(text.utf8.count >> 8)] + Array(text.utf8)
    }

    /// Digits of the largest number of rows, as NumPy reckons.
    private static let rowDigitsMax = 21
}

/// The few Python literals that stand in such a header.
private struct PythonLiteral {
    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private mutating func skipSpace() {
        while offset < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[offset]) { offset += 1 }
    }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return offset == bytes.count
        }
    }

    mutating func isBefore(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        return offset < bytes.count && bytes[offset] == UInt8(ascii: character)
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard isBefore(character) else { return false }
        offset += 1
        return true
    }

    mutating func takeText() -> String? {
        skipSpace()
        guard offset < bytes.count, bytes[offset] == 0x22 || bytes[offset] == 0x27 else { return nil }
        let quote = bytes[offset]
        guard let end = bytes[(offset + 1)...].firstIndex(of: quote) else { return nil }
        let text = bytes[offset + 1..<end]
        // No name that belongs here has an escape, or anything beyond ASCII.
        guard text.allSatisfy({ (0x20..<0x7F).contains($0) && $0 != 0x5C }) else { return nil }
        offset = end + 1
        return String(decoding: text, as: UTF8.self)
    }

    mutating func takeBool() -> Bool? {
        skipSpace()
        for (word, value) in [("True", true), ("False", false)] where bytes[offset...].starts(with: word.utf8) {
            offset += word.utf8.count
            return value
        }
        return nil
    }

    mutating func takeTuple() -> [Int]? {
        guard take("(") else { return nil }
        var numbers: [Int] = []
        while !take(")") {
            guard let number = takeNumber() else { return nil }
            numbers.append(number)
            // A tuple of one needs its comma, and one of none has none.
            guard take(",") || (numbers.count > 1 && isBefore(")")) else { return nil }
        }
        return numbers
    }

    private mutating func takeNumber() -> Int? {
        skipSpace()
        let digits = bytes[offset...].prefix { (0x30...0x39).contains($0) }
        guard !digits.isEmpty, let number = Int(String(decoding: digits, as: UTF8.self)) else { return nil }
        offset += digits.count
        return number
    }
}
